"""The command lines of `schedy add` and `schedy run`, which describe the hyperparameters of a search.

A hyperparameter is written in one of three ways, which may be mixed:

- as an option that the command does not have, with a distribution in short form: ``--lr 'loguniform(1e-4, 1)'``;
- after ``-p`` in pairs, for a name that an option has: ``-p seed 'int(1, 8)'``;
- behind the arguments: a name, a distribution, then its parameters whatever they look like: ``x const -5``. A short
  form has its parameters already: ``x 'const(-5)'``. Options may come before the first and the second of these words.

The line is cut into hyperparameters and what click parses. After ``--`` there are words of the third kind only, or a
program.
"""

import difflib
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import click

from schedy.errors import InvalidValueError
from schedy.random import KINDS, Distribution
from schedy.random.short_form import read_call
from schedy.search.algorithms import ALGORITHMS
from schedy.search.options import options_of as options_of_algorithm
from schedy_cli.parsing.argv import Options, PairsOption, first_words, is_option, options_of, refuse_joined, take_pairs
from schedy_cli.parsing.distribution_words import read_distribution

F = TypeVar("F", bound=Callable[..., Any])
Described = tuple[str, list[str]]
"""The name of a hyperparameter, and the words that describe it, as `read_distribution` takes them."""
_KEY = "schedy.space_line"
_OTHER_NAMES = {"warm-start": "from-experiment"}
"""Settings of a definition in a file whose options have other names."""


@dataclass
class SpaceLine:
    """A command line in parts: `rest` is left for click, `ordered` are repeatable options in the order given."""

    rest: list[str] = field(default_factory=list)
    ordered: list[tuple[str, str]] = field(default_factory=list)
    hyperparameters: list[Described] = field(default_factory=list)
    program: list[str] | None = None
    """What follows ``--`` if the command takes a program."""

    def distributions(self) -> dict[str, Distribution]:
        """Return the hyperparameters. Raises click.UsageError naming the one at fault."""
        found: dict[str, Distribution] = {}
        for name, words in self.hyperparameters:
            if name in found:
                raise click.UsageError(f"The hyperparameter {name!r} is given twice.")
            try:
                found[name] = read_distribution(*words)
            except InvalidValueError as error:
                raise click.UsageError(f"{name}: {error}") from None
        return found


class OrderedOption(click.Option):
    """An option that keeps its order among others of this class."""


class SpaceCommand(click.Command):
    """A command whose line describes hyperparameters; with `takes_program` a program follows ``--``."""

    def __init__(self, *arguments: Any, takes_program: bool = False, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.takes_program = takes_program

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if ctx.resilient_parsing:
            return super().parse_args(ctx, first_words(args))
        line = ctx.meta[_KEY] = cut_line(args, self)
        return super().parse_args(ctx, line.rest)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        program = ["-- PROGRAM [ARGUMENT]..."] if self.takes_program else []
        return [*super().collect_usage_pieces(ctx), "[--NAME DISTRIBUTION]...", *program]


def ordered_option(spelling: str, *, metavar: str, help_text: str) -> Callable[[F], F]:
    """Declare an option with one word for the help; `SpaceCommand` parses it into `SpaceLine.ordered`."""
    return click.option(spelling, cls=OrderedOption, metavar=metavar, help=help_text, multiple=True, expose_value=False)


def given_line(ctx: click.Context) -> SpaceLine:
    """Return the parts of the command line of a `SpaceCommand`."""
    found: SpaceLine = ctx.meta[_KEY]
    return found


def cut_line(arguments: Sequence[str], command: SpaceCommand) -> SpaceLine:
    """Cut a command line. Raises click.UsageError for a misspelt option."""
    line = SpaceLine()
    if command.takes_program and "--" in arguments:
        end = arguments.index("--")
        arguments, line.program = arguments[:end], list(arguments[end + 1 :])
    if command.takes_program and not line.program and not {"-h", "--help"}.intersection(arguments):
        raise click.UsageError("There is no program. Write it after --, as: -- python train.py.")
    _Cutter(arguments, command, line).cut()
    return line


class _Cutter:
    """Goes through the words of a command line once, and sorts them into a `SpaceLine`."""

    def __init__(self, arguments: Sequence[str], command: SpaceCommand, line: SpaceLine) -> None:
        self._arguments = arguments
        self._options = options_of(command)
        self._leading = sum(isinstance(param, click.Argument) for param in command.params)
        self._line = line
        self._words: list[str] = []
        self._begun: list[str] = []
        """The name and the distribution of a hyperparameter that is not complete."""
        self._place = 0

    def cut(self) -> None:
        only_words = False
        while self._place < len(self._arguments):
            word = self._arguments[self._place]
            self._place += 1
            if len(self._begun) == 2 or only_words or not word.startswith("-") or word == "-":
                self._add_word(word)
            elif word == "--":
                only_words = True
            else:
                self._add_option(word)
        if self._begun:
            self._line.hyperparameters.append((self._begun[0], self._begun[1:]))
        self._line.rest.extend(["--", *self._words])

    def _add_word(self, word: str) -> None:
        if len(self._words) < self._leading:
            self._words.append(word)
            return
        self._begun.append(word)
        is_short = len(self._begun) == 2 and read_call(word) is not None
        if is_short or len(self._begun) == 3:
            self._line.hyperparameters.append((self._begun[0], self._begun[1:]))
            self._begun = []

    def _add_option(self, word: str) -> None:
        spelling, equals, joined = word.partition("=")
        option = self._options.get(spelling)
        refuse_joined(word, self._options)
        if isinstance(option, PairsOption):
            pairs, self._place = take_pairs(self._arguments, self._place, option, self._options)
            self._line.hyperparameters.extend((name, [described]) for name, described in pairs)
        elif is_option(word, self._options):
            self._take_known(word, option)
        else:
            value = joined if equals else "".join(self._arguments[self._place : self._place + 1])
            if not word.startswith("--") or read_call(value) is None:
                raise _no_such_option(spelling, self._options)
            self._place += not equals
            self._line.hyperparameters.append((_name(spelling), [value]))

    def _take_known(self, word: str, option: click.Option | None) -> None:
        """Take an option of the command with its words."""
        spelling, equals, joined = word.partition("=")
        count = 0 if equals or option is None or option.is_flag else option.nargs
        words = list(self._arguments[self._place : self._place + count])
        self._place += len(words)
        values = [joined] if equals else words
        _refuse_distribution(spelling, values)
        if not isinstance(option, OrderedOption):
            self._line.rest.extend([word, *words])
        elif values:
            self._line.ordered.append((spelling, values[0]))
        else:
            raise click.BadOptionUsage(spelling, f"Option {spelling!r} requires an argument.")


def _name(option: str) -> str:
    return option.lstrip("-").replace("-", "_")


def _refuse_distribution(option: str, values: list[str]) -> None:
    """Raise click.UsageError for ``--seed 'int(1, 8)'``, which means a hyperparameter."""
    call = read_call(values[0]) if values else None
    if call is not None and call.kind in KINDS and call.inside.rstrip().endswith(")"):
        written = f"-p {_name(option)} {shlex.quote(values[0])}"
        raise click.UsageError(f"{option} is an option. A hyperparameter of that name is written {written}.")


def _no_such_option(option: str, options: Options) -> click.UsageError:
    name = option.lstrip("-").replace("-", "_")
    if any(name in options_of_algorithm(algorithm).model_fields for algorithm in ALGORITHMS):
        return click.UsageError(
            f"No such option {option}. An option of the algorithm is written --option {name} VALUE."
        )
    known = {spelling.removeprefix("--"): spelling for spelling in options if spelling.startswith("--")}
    known |= {name: f"--{other}" for name, other in _OTHER_NAMES.items()}
    close = difflib.get_close_matches(option.lstrip("-").replace("_", "-"), known, n=1)
    hint = f" Did you mean {known[close[0]]}?" if close else ""
    example = f"--{option.lstrip('-')} 'uniform(0, 1)'"
    return click.UsageError(f"No such option {option}.{hint} A hyperparameter is written {example}.")
