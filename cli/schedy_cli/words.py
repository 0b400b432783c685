"""Hyperparameters and results on the command line.

click has no option with any number of words, and its work-arounds misread ``-p opt -sgd``. So the command line is cut
before click parses it: after ``-p`` or ``-r`` words go in pairs, a name, then a value whatever it looks like; the list
ends at an option of the command in name position, or at ``--``.
"""

import json
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

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
    options = {option: param for param in command.params if isinstance(param, click.Option) for option in param.opts}
    options |= dict.fromkeys(("-h", "--help"))  # type: ignore[arg-type]
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
