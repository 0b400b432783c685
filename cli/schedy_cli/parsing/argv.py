"""The words of a command line that click cannot parse: hyperparameters and results.

click has no option that takes any number of words, and the usual work-arounds misread ``-p opt -sgd``. The command line
is therefore cut before click parses it.

- Pairs (`schedy push`): after ``-p`` or ``-r`` words come in pairs, a name, then a value whatever it looks like. The
  list ends at an option of the command in name position, or at ``--``.
- Triples (`schedy add`): the hyperparameters of a search follow the arguments, each a name, a distribution, then its
  parameters whatever they look like. Options may come before the first and the second word of a triple.
"""

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import click

from schedy_cli.parsing.values_text import parse_value

F = TypeVar("F", bound=Callable[..., Any])
Options = Mapping[str, click.Option | None]
"""The options of a command by their spellings; None for the help, which click declares."""


class PairsCommand(click.Command):
    """A command whose options declared by `pairs_option` take any number of pairs."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        rest, found = cut_pairs(args, self)
        for option, pairs in found.items():
            ctx.meta[f"schedy.pairs.{option}"] = pairs
        return super().parse_args(ctx, rest)


def pairs_option(*spellings: str, name: str, help_text: str) -> Callable[[F], F]:
    """Declare an option with pairs of words for the help; `PairsCommand` parses it, `given_pairs` returns them."""
    return click.option(*spellings, name, metavar="NAME VALUE ...", help=help_text, multiple=True, expose_value=False)


def given_pairs(ctx: click.Context, name: str) -> dict[str, Any]:
    """Return the values by name that the option was given."""
    found: dict[str, Any] = ctx.meta.get(f"schedy.pairs.{name}", {})
    return found


def cut_pairs(arguments: Sequence[str], command: click.Command) -> tuple[list[str], dict[str, dict[str, Any]]]:
    """Cut the pairs out of a command line; return the words left for click, and the values by option.

    Raises click.UsageError for a name without a value, a repeated name, an unreadable value and a misspelt option.
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
        if _takes_pairs(option):
            place = _take_pairs(arguments, place, found.setdefault(_name(option), {}), options)
            continue
        _refuse_joined(word, options)
        rest.append(word)
        if option is not None and not option.is_flag and place < len(arguments):
            rest.append(arguments[place])
            place += 1
    return rest, found


def _options(command: click.Command) -> Options:
    declared = [param for param in command.params if isinstance(param, click.Option)]
    options: dict[str, click.Option | None] = dict.fromkeys(("-h", "--help"))
    return options | {spelling: option for option in declared for spelling in (*option.opts, *option.secondary_opts)}


def _takes_pairs(option: click.Option | None) -> bool:
    return option is not None and not option.expose_value


def _name(option: click.Option | None) -> str:
    return "" if option is None else str(option.name)


def _refuse_joined(word: str, options: Options) -> None:
    """Raise click.UsageError for ``-px`` and ``--results=x``, of which click would drop the value."""
    name, equals, _value = word.partition("=")
    start = name if equals and name.startswith("--") else "" if word.startswith("--") else word[:2]
    if _takes_pairs(options.get(start)):
        raise click.UsageError(f"{word}: write names and values as separate words: {start} x 1 y 2.")


def _take_pairs(arguments: Sequence[str], place: int, pairs: dict[str, Any], options: Options) -> int:
    """Add the pairs from `place` on to `pairs`; return the place where the list ends."""
    option = arguments[place - 1]
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


def _is_option(word: str, options: Options) -> bool:
    """Return true for an option of the command, also with a value joined to it: ``--seed=3``, ``-sDONE``."""
    if word in options or word.partition("=")[0] in options:
        return True
    short = options.get(word[:2])
    return len(word) > 2 and not word.startswith("--") and short is not None and short.expose_value


class CutLine(NamedTuple):
    """A command line in parts: `rest` is left for click, `ordered` are repeatable options in the order given."""

    rest: list[str]
    triples: list[str]
    ordered: list[tuple[str, str]]


class TriplesCommand(click.Command):
    """A command whose arguments are followed by hyperparameters, in triples: a name, a distribution, its parameters.

    Options declared by `ordered_option` keep their order also among each other.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        cut = cut_triples(args, self)
        ctx.meta["schedy.triples"] = cut.triples
        ctx.meta["schedy.ordered"] = cut.ordered
        return super().parse_args(ctx, cut.rest)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "[NAME DISTRIBUTION JSON]..."]


def ordered_option(spelling: str, *, metavar: str, help_text: str) -> Callable[[F], F]:
    """Declare an option with one word for the help; `TriplesCommand` parses it, `given_in_order` returns it."""
    return click.option(spelling, metavar=metavar, help=help_text, multiple=True, expose_value=False)


def given_triples(ctx: click.Context) -> list[str]:
    """Return the words of the hyperparameters."""
    found: list[str] = ctx.meta.get("schedy.triples", [])
    return found


def given_in_order(ctx: click.Context) -> list[tuple[str, str]]:
    """Return the options declared by `ordered_option`, each with its word."""
    found: list[tuple[str, str]] = ctx.meta.get("schedy.ordered", [])
    return found


def cut_triples(arguments: Sequence[str], command: click.Command) -> CutLine:
    """Cut the hyperparameters out of a command line. Raises click.UsageError for a misspelt option."""
    options = _options(command)
    leading = sum(isinstance(param, click.Argument) for param in command.params)
    cut = CutLine([], [], [])
    words: list[str] = []
    place, only_words = 0, False
    while place < len(arguments):
        word = arguments[place]
        place += 1
        is_parameters = len(words) > leading and (len(words) - leading) % 3 == 2
        if is_parameters or only_words or not word.startswith("-") or word == "-":
            words.append(word)
        elif word == "--":
            only_words = True
        elif _is_option(word, options):
            place = _take_option(arguments, place, options, cut)
        else:
            raise _no_such_option(word, options)
    cut.triples.extend(words[leading:])
    return cut._replace(rest=[*cut.rest, "--", *words[:leading]])


def _take_option(arguments: Sequence[str], place: int, options: Options, cut: CutLine) -> int:
    """Take the option before `place` with its words; return the place where they end."""
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


def _no_such_option(word: str, options: Options) -> click.NoSuchOption:
    name = word.partition("=")[0]
    return click.NoSuchOption(name, possibilities=difflib.get_close_matches(name, options))
