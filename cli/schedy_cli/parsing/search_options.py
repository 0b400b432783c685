"""The definition of a search, as a command takes it: hyperparameters, options, and a file."""

import difflib
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from schedy.random import distributions_to_json
from schedy.search.algorithms import ALGORITHMS, MANUAL, unknown_algorithm
from schedy.search.checks import check_search, warm_start_form
from schedy.search.definition import Definition, read_definition
from schedy.values_text import parse_value
from schedy_cli.parsing.argv import pairs_option
from schedy_cli.parsing.option_groups import option_group
from schedy_cli.parsing.space_line import SpaceLine, ordered_option

F = TypeVar("F", bound=Callable[..., Any])

_CONSTRAINT = re.compile(r"\s*(?P<result>.*?)\s*(?P<sign><=|>=)\s*(?P<number>\S+)\s*")
_KNOWN = (MANUAL, *ALGORITHMS)


@dataclass(frozen=True)
class SearchOptions:
    """The options of a search that click parses; objectives and hyperparameters are in the `SpaceLine`."""

    constraints: tuple[str, ...]
    seed: int | None
    from_experiments: tuple[str, ...]
    own: tuple[tuple[str, str], ...]
    where: tuple[str, ...]
    repeats: int | None
    exact: bool
    no_repeats: bool
    assumed: tuple[tuple[str, str], ...]


def assume_option(help_text: str) -> Callable[[F], F]:
    """Declare `--assume`, as `assumed`."""
    return click.option("--assume", "assumed", nargs=2, multiple=True, metavar="NAME VALUE", help=help_text)


search_options = option_group(
    "search",
    SearchOptions,
    pairs_option(
        "-p",
        "--hyperparameters",
        name="hyperparameters",
        metavar="NAME DISTRIBUTION ...",
        example="seed 'int(1, 8)' lr 'loguniform(1e-4, 1)'",
        help_text="Hyperparameters with any names: -p seed 'int(1, 8)'.",
    ),
    ordered_option("--minimize", metavar="RESULT", help_text="Minimize RESULT; repeat for several objectives."),
    ordered_option("--maximize", metavar="RESULT", help_text="Maximize RESULT; repeat for several objectives."),
    click.option(
        "--constraint",
        "constraints",
        multiple=True,
        metavar="CONSTRAINT",
        help="Require a bound, as 'latency <= 10' or 'accuracy >= 0.9'; repeatable.",
    ),
    click.option(
        "--where",
        multiple=True,
        metavar="CONDITION",
        help="Make only jobs that keep 'batch_size * accumulate <= 256'; repeatable.",
    ),
    click.option("--repeats", type=int, metavar="N", help="Run N jobs at each point, and learn from their mean."),
    click.option("--seed", type=int, metavar="N", help="Random seed, for reproducible suggestions."),
    click.option(
        "--from-experiment",
        "from_experiments",
        multiple=True,
        metavar="NAME",
        help="Learn from the finished jobs of another experiment; repeatable.",
    ),
    click.option(
        "--option",
        "own",
        nargs=2,
        multiple=True,
        metavar="NAME VALUE",
        help="Set an option of the algorithm, as startup_jobs 20; repeatable.",
    ),
    click.option("--exact", is_flag=True, help="The same hyperparameters always give the same results."),
    click.option("--no-repeats", is_flag=True, help="Make no point that was tried; end when all were."),
    assume_option("Count jobs of others that lack NAME as if it had VALUE; repeatable."),
)
"""Give a `SpaceCommand` the options of `SearchOptions`, as `search`, and those of the `SpaceLine`."""


def parse_search(options: SearchOptions, line: SpaceLine) -> dict[str, Any]:
    """Return the settings of a definition that the command line gives. Raises click.UsageError."""
    settings = {
        "hyperparameters": distributions_to_json(line.distributions()),
        "objectives": [{"direction": option.removeprefix("--"), "result": result} for option, result in line.ordered],
        "constraints": [parse_constraint(text) for text in options.constraints],
        "where": list(options.where),
        "repeats": options.repeats,
        "seed": options.seed,
        "warm_start": warm_start_form(options.from_experiments),
        "options": parse_named("--option", options.own),
        "assumed": parse_named("--assume", options.assumed),
        "exact": options.exact or None,
        "no_repeats": options.no_repeats or None,
    }
    return {name: value for name, value in settings.items() if value not in ([], {}, None)}


def merged_definition(scheduler: str, from_file: dict[str, Any], from_options: dict[str, Any]) -> Definition:
    """Return the definition of a file with the options, which win; options of the algorithm are merged one by one.

    Raises click.UsageError and InvalidValueError.
    """
    if "hyperparameters" in from_file and "hyperparameters" in from_options:
        raise click.UsageError("The file has hyperparameters; remove them from the file or from the command line.")
    merged = {**from_file, **from_options}
    if isinstance(from_file.get("options"), dict) and "options" in from_options:
        merged["options"] = {**from_file["options"], **from_options["options"]}
    definition = read_definition(merged)
    if not definition.hyperparameters and difflib.get_close_matches(scheduler, _KNOWN, n=1) not in ([], [scheduler]):
        raise unknown_algorithm(scheduler, dict.fromkeys(_KNOWN))
    check_search(scheduler, definition)
    return definition


def parse_constraint(text: str, *, option: str = "--constraint") -> dict[str, Any]:
    """Return a bound of a result as a definition has it. Raises click.UsageError."""
    found = _CONSTRAINT.fullmatch(text)
    number = _parse_number(found["number"]) if found else math.nan
    if found is None or not found["result"] or not math.isfinite(number):
        raise click.UsageError(f"{option} {text!r}: write 'RESULT <= NUMBER' or 'RESULT >= NUMBER'.")
    return {"result": found["result"], "at_most" if found["sign"] == "<=" else "at_least": number}


def _parse_number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return math.nan


def parse_named(option: str, words: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return the values by name that a repeated option was given. Raises click.UsageError."""
    found: dict[str, Any] = {}
    for name, word in words:
        if name in found:
            raise click.UsageError(f"{option}: {name!r} is given twice.")
        try:
            found[name] = parse_value(word)
        except ValueError as error:
            raise click.UsageError(f"{option} {name} {word}: {error}.") from None
    return found
