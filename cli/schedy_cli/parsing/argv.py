"""Hyperparameters and results on the command line.

click has no option with any number of words, and its work-arounds misread ``-p opt -sgd``. So the command line is cut
before click parses it: after ``-p`` or ``-r`` words go in pairs, a name, then a value whatever it looks like; the list
ends at an option of the command in name position, or at ``--``. The hyperparameters of a search go in threes behind the
arguments, a name, a distribution, then its parameters whatever they look like; options may stand in front of the first
and the second.
"""

import difflib
import json
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

_NOT_JSON = {
    "True": "true",
    "False": "false",
    "None": "null",
    "nan": "NaN",
    "inf": "Infinity",
    "+inf": "Infinity",
    "-inf": "-Infinity",
}
_TEXT_STARTS = "/_"
_NOT_IN_TEXT = set(" \t\r\n\"'`()[]{}")


def parse_value(word: str) -> Any:
    """Return the value of a word: JSON, or plain text. Raises ValueError saying what to write instead."""
    if word in _NOT_JSON:
        raise ValueError(f"write {_NOT_JSON[word]} for the JSON value, or '\"{word}\"' for the text")
    try:
        return json.loads(word)
    except (ValueError, RecursionError):
        pass
    if is_plain_text(word):
        return word
    raise ValueError(f"it is not JSON; for text write '{json.dumps(word, ensure_ascii=False)}'")


def is_plain_text(word: str) -> bool:
    """Whether a word that is not JSON is taken as text as it stands."""
    starts_well = bool(word) and (word[0].isalpha() or word[0] in _TEXT_STARTS)
    return starts_well and word.isprintable() and not _NOT_IN_TEXT.intersection(word)


def format_value(value: Any) -> str:
    """Return a value as `parse_value` reads it."""
    if isinstance(value, str) and is_plain_text(value) and not _reads_as_something_else(value):
        return value
    text = json.dumps(value, ensure_ascii=False)
    return text if text.isprintable() else json.dumps(value)


def _reads_as_something_else(word: str) -> bool:
    if word in _NOT_JSON:
        return True
    try:
        json.loads(word)
    except ValueError:
        return False
    return True


def format_quality(quality: float) -> str:
    """Return a quality: ``0.0``, ``NaN``, ``Infinity``."""
    return json.dumps(quality) if math.isfinite(quality) else format_value(quality)


class WordsCommand(click.Command):
    """A command whose options marked by `words_option` take any number of pairs."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        rest, found = cut_words(args, self)
        for option, pairs in found.items():
            ctx.meta[f"schedy.words.{option}"] = pairs
        return super().parse_args(ctx, rest)


def words_option(*names: str, name: str, help_text: str) -> Callable[[F], F]:
    """Declare an option with pairs of words, for the help; `WordsCommand` reads it."""
    return click.option(*names, name, metavar="NAME VALUE ...", help=help_text, multiple=True, expose_value=False)


def words(ctx: click.Context, name: str) -> dict[str, Any]:
    """Return what the option of that name was given."""
    found: dict[str, Any] = ctx.meta.get(f"schedy.words.{name}", {})
    return found


def cut_words(arguments: Sequence[str], command: click.Command) -> tuple[list[str], dict[str, dict[str, Any]]]:
    """Cut the pairs out of a command line; return what is left for click, and the values by option.

    Raises click.UsageError for an odd word, a name twice, a value that cannot be read, a misspelt option.
    """
    options = _options(command)
    rest: list[str] = []
    found: dict[str, dict[str, Any]] = {}
    place = 0
    while place < len(arguments):
        word = arguments[place]
        option = options.get(word)
        place += 1
        if word == "--":
            rest.extend(arguments[place - 1 :])
            break
        if option is not None and not option.expose_value:
            pairs = found.setdefault(str(option.name), {})
            place = _take_pairs(arguments, place, pairs, options, word)
        else:
            _refuse_joined(word, options)
            rest.append(word)
            if option is not None and not option.is_flag and place < len(arguments):
                rest.append(arguments[place])
                place += 1
    return rest, found


def _options(command: click.Command) -> dict[str, Any]:
    """The options of a command by how they are written; of the help there is only the name."""
    params = [param for param in command.params if isinstance(param, click.Option)]
    options: dict[str, Any] = dict.fromkeys(("-h", "--help"))
    return options | {option: param for param in params for option in (*param.opts, *param.secondary_opts)}


def _refuse_joined(word: str, options: dict[str, Any]) -> None:
    """click would take ``-px`` and ``--results=x`` and drop the value."""
    name, equals, _value = word.partition("=")
    start = name if equals and name.startswith("--") else "" if word.startswith("--") else word[:2]
    option = options.get(start)
    if option is not None and not option.expose_value:
        raise click.UsageError(f"{word}: after {start} come words, names and values in turn: {start} x 1 y 2.")


def _take_pairs(
    arguments: Sequence[str], place: int, pairs: dict[str, Any], options: dict[str, Any], option: str
) -> int:
    """Take pairs from `place` on; return where the list ends."""
    while place < len(arguments):
        name = arguments[place]
        if name == "--":
            return place + 1
        if _is_option(name, options):
            return place
        if name.startswith("-"):
            raise click.NoSuchOption(name, possibilities=[known for known in options if known.startswith("--")])
        if place + 1 == len(arguments):
            raise click.UsageError(
                f"{option}: {name!r} has no value. Write names and values in turn: {option} x 1 y 2."
            )
        if name in pairs:
            raise click.UsageError(f"{option}: {name!r} is given twice.")
        try:
            pairs[name] = parse_value(arguments[place + 1])
        except ValueError as error:
            raise click.UsageError(f"{option} {name} {arguments[place + 1]}: {error}.") from None
        place += 2
    return place


def _is_option(word: str, options: dict[str, Any]) -> bool:
    if word in options or word.partition("=")[0] in options:
        return True
    short = options.get(word[:2])
    return len(word) > 2 and not word.startswith("--") and short is not None and short.expose_value


class Cut(NamedTuple):
    """A command line without its hyperparameters: `rest` is left for click, `ordered` are options in their order."""

    rest: list[str]
    threes: list[str]
    ordered: list[tuple[str, str]]


class ThreesCommand(click.Command):
    """A command whose words behind its arguments are hyperparameters, in threes: a name, a distribution, parameters.

    Options declared by `ordered_option` keep their order also among each other.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        cut = cut_threes(args, self)
        ctx.meta["schedy.words.threes"] = cut.threes
        ctx.meta["schedy.words.ordered"] = cut.ordered
        return super().parse_args(ctx, cut.rest)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "[NAME DISTRIBUTION JSON]..."]


def ordered_option(name: str, *, metavar: str, help_text: str) -> Callable[[F], F]:
    """Declare an option with one word, for the help; `ThreesCommand` reads it."""
    return click.option(name, metavar=metavar, help=help_text, multiple=True, expose_value=False)


def threes(ctx: click.Context) -> list[str]:
    """Return the words behind the arguments."""
    found: list[str] = ctx.meta.get("schedy.words.threes", [])
    return found


def ordered(ctx: click.Context) -> list[tuple[str, str]]:
    """Return the options declared by `ordered_option`, each with its word."""
    found: list[tuple[str, str]] = ctx.meta.get("schedy.words.ordered", [])
    return found


def cut_threes(arguments: Sequence[str], command: click.Command) -> Cut:
    """Cut the hyperparameters out of a command line. Raises click.UsageError for a misspelt option."""
    options = _options(command)
    leading = sum(isinstance(param, click.Argument) for param in command.params)
    cut = Cut([], [], [])
    words: list[str] = []
    place, only_words = 0, False
    while place < len(arguments):
        word = arguments[place]
        place += 1
        is_value = len(words) > leading and (len(words) - leading) % 3 == 2
        if is_value or only_words or not word.startswith("-") or word == "-":
            words.append(word)
        elif word == "--":
            only_words = True
        elif _is_option(word, options):
            place = _take_option(arguments, place, options, cut)
        else:
            raise _no_such_option(word, options)
    cut.threes.extend(words[leading:])
    return cut._replace(rest=[*cut.rest, "--", *words[:leading]])


def _take_option(arguments: Sequence[str], place: int, options: dict[str, Any], cut: Cut) -> int:
    """Take the option in front of `place` with its words; return where they end."""
    word, equals, value = arguments[place - 1].partition("=")
    option = options.get(word)
    end = place
    if option is not None and not option.is_flag and not equals:
        end = min(place + option.nargs, len(arguments))
    if option is None or option.expose_value:
        cut.rest.extend(arguments[place - 1 : end])
        return end
    if not equals and end == place:
        raise click.BadOptionUsage(word, f"Option {word!r} requires an argument.")
    cut.ordered.append((word, value if equals else arguments[place]))
    return end


def _no_such_option(word: str, options: dict[str, Any]) -> click.NoSuchOption:
    name = word.partition("=")[0]
    return click.NoSuchOption(name, possibilities=difflib.get_close_matches(name, options))
