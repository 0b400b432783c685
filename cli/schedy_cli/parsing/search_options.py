"""What `schedy add` is told of a search: by words in threes, by options, and by a file."""

import difflib
import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import click

from schedy.errors import InvalidValueError
from schedy.random import KINDS, Distribution, distribution_from_json, distributions_to_json
from schedy.search.checks import check_search
from schedy.search.definition import ALGORITHMS, Definition, read_definition, unknown_algorithm
from schedy.searches import warm_start_form
from schedy_cli.parsing.argv import ordered, ordered_option, parse_value, threes

F = TypeVar("F", bound=Callable[..., Any])

_CONSTRAINT = re.compile(r"\s*(?P<result>.*?)\s*(?P<sign><=|>=)\s*(?P<number>\S+)\s*")
_EXAMPLE = """x uniform '{"low": 0, "high": 1}'"""

_OPTIONS = (
    ordered_option("--minimize", metavar="RESULT", help_text="A result that is to be as small as it can; repeatable."),
    ordered_option("--maximize", metavar="RESULT", help_text="A result that is to be as large as it can; repeatable."),
    click.option(
        "--constraint",
        "constraints",
        multiple=True,
        metavar="CONSTRAINT",
        help="A bound that a result must keep, in one word: 'latency <= 10' or 'accuracy >= 0.9'; repeatable.",
    ),
    click.option("--seed", type=int, metavar="N", help="Draw as every search with this seed does."),
    click.option(
        "--from-experiment",
        "from_experiments",
        multiple=True,
        metavar="NAME",
        help="Learn from the jobs of another experiment that have ended; repeatable.",
    ),
    click.option(
        "--option",
        "own",
        nargs=2,
        multiple=True,
        metavar="NAME VALUE",
        help="A setting of the algorithm's own, the value as push -p takes it; repeatable.",
    ),
)


def search_options(command: F) -> F:
    """Give a command the options; `told` reads them."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def told(ctx: click.Context, options: dict[str, Any]) -> dict[str, Any]:
    """Take the options out of all; return what they and the words behind the arguments say, as a definition's settings.

    Raises click.UsageError and InvalidValueError.
    """
    objectives = [{"direction": option.removeprefix("--"), "result": result} for option, result in ordered(ctx)]
    settings = {
        "hyperparameters": distributions_to_json(read_threes(threes(ctx))),
        "objectives": objectives,
        "constraints": [read_constraint(text) for text in options.pop("constraints")],
        "seed": options.pop("seed"),
        "warm_start": warm_start_form(options.pop("from_experiments")),
        "options": _own(options.pop("own")),
    }
    return {name: value for name, value in settings.items() if value not in ([], {}, None)}


def laid_down(scheduler: str, from_file: dict[str, Any], from_options: dict[str, Any]) -> Definition:
    """Return the definition that a file and the options make together; the options win, and own options are mixed.

    Raises click.UsageError and InvalidValueError.
    """
    if "hyperparameters" in from_file and "hyperparameters" in from_options:
        raise click.UsageError("The file has hyperparameters; leave them out on the command line, or in the file.")
    together = {**from_file, **from_options}
    if isinstance(from_file.get("options"), dict) and "options" in from_options:
        together["options"] = {**from_file["options"], **from_options["options"]}
    definition = read_definition(together)
    if not definition.hyperparameters and difflib.get_close_matches(scheduler, _KNOWN, n=1) not in ([], [scheduler]):
        raise unknown_algorithm(scheduler, dict.fromkeys(_KNOWN))
    check_search(scheduler, definition)
    return definition


_KNOWN = ("manual", *ALGORITHMS)


def read_threes(words: Sequence[str]) -> dict[str, Distribution]:
    """Return the hyperparameters in the words. Raises click.UsageError naming the word."""
    found: dict[str, Distribution] = {}
    for start in range(0, len(words), 3):
        name, *described = words[start : start + 3]
        if name in found:
            raise click.UsageError(f"The hyperparameter {name!r} is given twice.")
        if not described:
            raise click.UsageError(
                f"{name!r} has no distribution. Write name, distribution and parameters in turn: {_EXAMPLE}."
            )
        try:
            found[name] = _distribution(*described)
        except InvalidValueError as error:
            raise click.UsageError(f"{name}: {error}") from None
    return found


def _distribution(kind: str, word: str | None = None) -> Distribution:
    """Return the distribution of a kind whose parameters are in a word. Raises InvalidValueError."""
    if kind not in KINDS:
        return distribution_from_json(kind, {})
    if word is None:
        raise InvalidValueError(f"{kind} has no parameters. Write name, distribution and parameters in turn.")
    if KINDS[kind].takes_bare_value:
        try:
            return distribution_from_json(kind, parse_value(word))
        except ValueError as error:
            raise InvalidValueError(f"{kind} {word}: {error}.") from None
    try:
        parameters = json.loads(word)
    except (ValueError, RecursionError):
        takes = ", ".join(f'"{name}": ...' for name in KINDS[kind].parameter_names())
        raise InvalidValueError(f"{kind} {word}: it is not JSON. {kind} takes '{{{takes}}}'.") from None
    return distribution_from_json(kind, parameters)


def read_constraint(text: str) -> dict[str, Any]:
    """Return a constraint as a definition has it. Raises click.UsageError."""
    found = _CONSTRAINT.fullmatch(text)
    number = _number(found["number"]) if found else math.nan
    if found is None or not found["result"] or not math.isfinite(number):
        raise click.UsageError(f"--constraint {text!r}: write 'RESULT <= NUMBER' or 'RESULT >= NUMBER'.")
    return {"result": found["result"], "at_most" if found["sign"] == "<=" else "at_least": number}


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return math.nan


def _own(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, word in pairs:
        if name in found:
            raise click.UsageError(f"--option: {name!r} is given twice.")
        try:
            found[name] = parse_value(word)
        except ValueError as error:
            raise click.UsageError(f"--option {name} {word}: {error}.") from None
    return found
