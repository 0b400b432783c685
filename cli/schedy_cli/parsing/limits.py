"""The options of `schedy add` and `schedy set` that limit what a job, and a search, may cost."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import click
from pydantic import BaseModel, ValidationError

from schedy.errors import InvalidValueError
from schedy.random.short_form import Call, read_call, read_words
from schedy.search.definition import DEFAULT_CRASHES, DEFAULT_NO_RESULT, MOST_READY, Definition
from schedy.search.pruners import PRUNERS
from schedy.wire.base import LONGEST_SECONDS
from schedy.wire.records import MOST_ATTEMPTS, Limits
from schedy_cli.parsing.option_groups import option_group
from schedy_cli.parsing.search_options import parse_constraint

F = TypeVar("F", bound=Callable[..., Any])

NONE: Literal["none"] = "none"
"""The word that removes a limit."""


@dataclass(frozen=True)
class More:
    """A word with a plus sign, `+20`: so much more than now."""

    amount: float


Number = int | float | Literal["none"] | More | None
"""A number, the word that removes a limit, more than now, or nothing where the option is not given."""


@dataclass(frozen=True)
class LimitOptions:
    """Limits of jobs as given on the command line."""

    max_attempts: Number
    job_timeout: Number
    stall_timeout: Number
    retry_timeouts: bool | None


@dataclass(frozen=True)
class BudgetOptions:
    """The budget and the pruner of a search as given on the command line."""

    max_jobs: Number
    max_time: Number
    stop_after_no_improvement: Number
    stop_after_no_result: Number
    stop_after_crashes: Number
    max_done: Number
    stop_at: tuple[str, ...]
    ready: Number
    pruner: str | None


def _checked(
    what: str, number: Callable[[str], float], model: type[BaseModel]
) -> Callable[[click.Context, click.Parameter, str | None], Number]:
    """Return a callback that turns a word into a number that `model` accepts; it leaves `none` and None alone."""

    def _check(_ctx: click.Context, option: click.Parameter, word: str | None) -> Number:
        if word is None or word == NONE:
            return NONE if word else None
        try:
            value = number(word)
            model.model_validate({str(option.name): value})
        except (ValueError, ValidationError):
            raise click.BadParameter(f"{word!r} is not {what}. Write none to remove the limit.") from None
        return More(value) if word.strip().startswith("+") else value

    return _check


def _option(
    spelling: str, metavar: str, help_text: str, what: str, *, number: type[float] = int, of: type[BaseModel] = Limits
) -> Callable[[F], F]:
    return click.option(spelling, callback=_checked(what, number, of), metavar=metavar, help=help_text)


_SECONDS = f"a number of seconds above 0 and up to {LONGEST_SECONDS}"

limit_options = option_group(
    "limits",
    LimitOptions,
    _option(
        "--max-attempts",
        "N",
        "Give up on a job after N lost workers (default: the service's setting).",
        f"a whole number from 1 to {MOST_ATTEMPTS}",
    ),
    _option(
        "--job-timeout",
        "SECONDS",
        "Stop a job that runs longer than SECONDS (default: no limit).",
        _SECONDS,
        number=float,
    ),
    _option(
        "--stall-timeout",
        "SECONDS",
        "Stop a job that reports nothing for SECONDS (default: no limit).",
        _SECONDS,
        number=float,
    ),
    click.option(
        "--retry-timeouts/--no-retry-timeouts",
        default=None,
        help="Retry timed-out jobs while attempts are left (default: they are CRASHED).",
    ),
)
"""Give a command the options of `LimitOptions`, as `limits`."""

budget_options = option_group(
    "budget",
    BudgetOptions,
    _option(
        "--max-jobs", "N", "Make at most N jobs (default: no limit).", "a whole number of at least 0", of=Definition
    ),
    _option(
        "--max-done",
        "N",
        "Make jobs until N have ended and were not CRASHED (default: no limit).",
        "a whole number of at least 0",
        of=Definition,
    ),
    _option(
        "--max-time",
        "SECONDS",
        "Stop making jobs SECONDS after the experiment was added (default: never).",
        _SECONDS,
        number=float,
        of=Definition,
    ),
    _option(
        "--stop-after-no-improvement",
        "N",
        "Stop making jobs after N jobs without a new best value (default: never).",
        "a whole number of at least 1",
        of=Definition,
    ),
    _option(
        "--stop-after-no-result",
        "N",
        f"Stop making jobs after N in a row without the objective (default: {DEFAULT_NO_RESULT}).",
        "a whole number of at least 1",
        of=Definition,
    ),
    _option(
        "--stop-after-crashes",
        "N",
        f"Stop making jobs if the first N have all CRASHED (default: {DEFAULT_CRASHES}).",
        "a whole number of at least 1",
        of=Definition,
    ),
    click.option(
        "--stop-at",
        multiple=True,
        metavar="BOUND",
        help="Stop making jobs once one has reached 'loss <= 0.01'; repeatable.",
    ),
    _option(
        "--ready",
        "N",
        "Make N jobs ahead of demand (default: depends on the algorithm).",
        f"a whole number from 0 to {MOST_READY}",
        of=Definition,
    ),
    click.option(
        "--pruner",
        metavar="PRUNER",
        help="Prune by median, percentile, asha, hyperband or threshold (default: none).",
    ),
)
"""Give a command the options of `BudgetOptions`, as `budget`."""


def parse_budget(options: BudgetOptions) -> dict[str, Any]:
    """Return the settings of a definition that the options change; None removes one. Raises click.UsageError."""
    changes = _given(options)
    if changes.get("pruner") is not None:
        changes["pruner"] = _parse_pruner(changes["pruner"])
    bounds = changes.pop("stop_at")
    if bounds:
        is_none = bounds == (NONE,)
        changes["stop_at"] = [] if is_none else [parse_constraint(text, option="--stop-at") for text in bounds]
    return changes


def _parse_pruner(word: str) -> dict[str, Any]:
    call = read_call(word)
    if call is not None:
        return {call.kind: _parse_parameters(word, call)}
    name, _, parameters = word.strip().partition(" ")
    try:
        return {name: json.loads(parameters) if parameters else {}}
    except (ValueError, RecursionError):
        raise click.UsageError(
            f"--pruner {name}: {parameters.strip()} is not JSON. Write a name, or name and parameters in one word:"
            " 'median(startup_jobs=3)'."
        ) from None


def _parse_parameters(word: str, pruner: Call) -> dict[str, Any]:
    names = PRUNERS[pruner.kind].model_fields if pruner.kind in PRUNERS else {}
    try:
        words = read_words(pruner.inside, names)
    except InvalidValueError as error:
        raise click.UsageError(f"--pruner {word}: {error}") from None
    if words.listed and names:
        raise click.UsageError(f"--pruner {word}: {pruner.kind} takes {', '.join(f'{name}=VALUE' for name in names)}.")
    return words.named


def parse_limits(options: LimitOptions) -> dict[str, Any]:
    """Return the limits that the options change; None removes one."""
    return _given(options)


def _given(options: LimitOptions | BudgetOptions) -> dict[str, Any]:
    return {name: None if value == NONE else value for name, value in vars(options).items() if value is not None}


def changed_limits(before: Limits, changes: dict[str, Any]) -> Limits:
    """Return the limits with the changes. Raises click.UsageError."""
    after = absolute(changes, before.model_dump())
    try:
        return Limits.model_validate({**before.model_dump(), **after})
    except ValidationError:  # each was checked, but not the sums
        added = ", ".join(f"{name} {after[name]:g}" for name in changes if isinstance(changes[name], More))
        raise click.UsageError(f"Too large: {added}.") from None


def absolute(changes: dict[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """Return the changes with `+N` added to what was before. Raises click.UsageError where there was no number."""
    return {name: _sum(name, value, before.get(name)) for name, value in changes.items()}


def _sum(name: str, value: object, before: object) -> object:
    if not isinstance(value, More):
        return value
    option = f"--{name.replace('_', '-')}"
    if not isinstance(before, int | float):
        raise click.UsageError(f"{option} +{value.amount:g}: there is no {name} to add to. Give it without the +.")
    return before + value.amount
