"""The words of a command line that click cannot parse: names, each with a value.

click has no option that takes any number of words, and the usual work-arounds misread ``-p opt -sgd``. The command line
is therefore cut before click parses it. After an option declared by `pairs_option` words come in pairs, a name, then a
value whatever it looks like; the list ends at an option of the command in name position, or at ``--``.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click

from schedy.values_text import parse_value

F = TypeVar("F", bound=Callable[..., Any])
Options = Mapping[str, click.Option | None]
"""The options of a command by their spellings; None for the help, which click declares."""
Pairs = list[tuple[str, str]]
"""Names with their words, in the order given."""


class PairsOption(click.Option):
    """An option that takes any number of pairs of words. `example` shows two of them."""

    def __init__(self, declared: Sequence[str], *, example: str, **settings: Any) -> None:
        super().__init__(declared, multiple=True, expose_value=False, **settings)
        self.example = example


def pairs_option(*spellings: str, name: str, metavar: str, example: str, help_text: str) -> Callable[[F], F]:
    """Declare an option with pairs of words for the help; a command that cuts its line parses it."""
    return click.option(*spellings, name, cls=PairsOption, metavar=metavar, example=example, help=help_text)


class PairsCommand(click.Command):
    """A command whose options declared by `pairs_option` take any number of names and values."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if ctx.resilient_parsing:
            return super().parse_args(ctx, first_words(args))
        rest, found = cut_pairs(args, self)
        for option, values in found.items():
            ctx.meta[f"schedy.pairs.{option}"] = values
        return super().parse_args(ctx, rest)


def given_pairs(ctx: click.Context, name: str) -> dict[str, Any]:
    """Return the values by name that the option of a `PairsCommand` was given."""
    found: dict[str, Any] = ctx.meta.get(f"schedy.pairs.{name}", {})
    return found


def cut_pairs(arguments: Sequence[str], command: click.Command) -> tuple[list[str], dict[str, dict[str, Any]]]:
    """Cut the pairs out of a command line; return the words left for click, and the values by option.

    Raises click.UsageError for a name without a value, a repeated name, an unreadable value and a misspelt option.
    """
    options = options_of(command)
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
        if isinstance(option, PairsOption):
            pairs, place = take_pairs(arguments, place, option, options)
            _add_values(found.setdefault(str(option.name), {}), pairs, word)
            continue
        refuse_joined(word, options)
        rest.append(word)
        if option is not None and not option.is_flag and place < len(arguments):
            rest.append(arguments[place])
            place += 1
    return rest, found


def first_words(arguments: Sequence[str]) -> list[str]:
    """Return the arguments that stand before all options: what is known while a line is typed and completed."""
    return list(itertools.takewhile(lambda word: not word.startswith("-"), arguments))


def _add_values(values: dict[str, Any], pairs: Pairs, option: str) -> None:
    for name, word in pairs:
        if name in values:
            raise click.UsageError(f"{option}: {name!r} is given twice.")
        try:
            values[name] = parse_value(word)
        except ValueError as error:
            raise click.UsageError(f"{option} {name} {word}: {error}.") from None


def options_of(command: click.Command) -> Options:
    """Return the options of a command by their spellings."""
    declared = [param for param in command.params if isinstance(param, click.Option)]
    options: dict[str, click.Option | None] = dict.fromkeys(("-h", "--help"))
    return options | {spelling: option for option in declared for spelling in (*option.opts, *option.secondary_opts)}


def is_option(word: str, options: Options) -> bool:
    """Return true for an option of the command, also with a value joined to it: ``--seed=3``, ``-sDONE``."""
    if word in options or word.partition("=")[0] in options:
        return True
    short = options.get(word[:2])
    return len(word) > 2 and not word.startswith("--") and short is not None and not isinstance(short, PairsOption)


def refuse_joined(word: str, options: Options) -> None:
    """Raise click.UsageError for ``-px`` and ``--results=x``, of which click would drop the value."""
    name, equals, _value = word.partition("=")
    start = name if equals and name.startswith("--") else "" if word.startswith("--") else word[:2]
    option = options.get(start)
    if isinstance(option, PairsOption) and word != start:
        raise click.UsageError(f"{word}: write names and values as separate words: {start} {option.example}.")


def take_pairs(arguments: Sequence[str], place: int, option: PairsOption, options: Options) -> tuple[Pairs, int]:
    """Return the pairs of `option`, which stands before `place`, and the place where their list ends."""
    start = arguments[place - 1]
    pairs: Pairs = []
    while place < len(arguments):
        name = arguments[place]
        if name == "--":
            return pairs, place + 1
        if is_option(name, options):
            break
        if name.startswith("-"):
            raise click.NoSuchOption(name, possibilities=[known for known in options if known.startswith("--")])
        if place + 1 == len(arguments):
            raise click.UsageError(
                f"{start}: {name!r} has no value. Write names and values in turn: {start} {option.example}."
            )
        pairs.append((name, arguments[place + 1]))
        place += 2
    return pairs, place
