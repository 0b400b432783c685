"""The options of `schedy add` and `schedy set` that limit what a job, and a search, may cost."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

import click
from pydantic import BaseModel, ValidationError

from schedy.search.definition import MOST_READY, Definition
from schedy.wire.records import Limits

F = TypeVar("F", bound=Callable[..., Any])

_NONE = "none"


def _checked(
    what: str, number: Callable[[str], float], model: type[BaseModel] = Limits
) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """Return a callback that turns a word into a number that the model takes, and leaves `none` and nothing alone."""

    def _check(_ctx: click.Context, option: click.Parameter, word: str | None) -> Any:
        if word is None or word == _NONE:
            return word
        try:
            value = number(word)
            model.model_validate({str(option.name): value})
        except (ValueError, ValidationError):
            raise click.BadParameter(f"{word!r} is not {what}. Write none to take the limit away.") from None
        return value

    return _check


_attempts = _checked("a whole number from 1 to 1000000", int)
_timeout = _checked("a number of seconds above 0 and up to 1000000000", float)
_jobs = _checked("a whole number of at least 0", int, Definition)
_seconds = _checked("a number of seconds above 0 and up to 1000000000", float, Definition)
_patience = _checked("a whole number of at least 1", int, Definition)
_ready = _checked(f"a whole number from 0 to {MOST_READY}", int, Definition)

_OPTIONS = (
    click.option(
        "--max-attempts",
        callback=_attempts,
        metavar="N",
        help="A job is CRASHED when N workers were lost on it; none: as the results service is set.",
    ),
    click.option(
        "--job-timeout",
        callback=_timeout,
        metavar="SECONDS",
        help="Stop a job that runs for longer; none: never.",
    ),
    click.option(
        "--stall-timeout",
        callback=_timeout,
        metavar="SECONDS",
        help="Stop a job that puts nothing for longer; none: never.",
    ),
    click.option(
        "--retry-timeouts/--no-retry-timeouts",
        default=None,
        help="Run a job that was stopped for its time again, while attempts are left, or make it CRASHED.",
    ),
)

_BUDGET_OPTIONS = (
    click.option("--max-jobs", callback=_jobs, metavar="N", help="Make N jobs, and no more; none: no limit."),
    click.option(
        "--max-time",
        callback=_seconds,
        metavar="SECONDS",
        help="Make no job later than that after the experiment was added; none: no limit.",
    ),
    click.option(
        "--stop-after-no-improvement",
        callback=_patience,
        metavar="N",
        help="Make no job after N that ended without a new best value; none: no limit.",
    ),
    click.option(
        "--ready",
        callback=_ready,
        metavar="N",
        help="Make N jobs ahead of the workers' demand; none: as it suits the algorithm.",
    ),
    click.option(
        "--pruner",
        metavar="PRUNER",
        help="End jobs that do badly: a name, as median, or name and parameters in one word, as"
        " 'median {\"startup_jobs\": 3}'; none: no pruner.",
    ),
)
BUDGET = ("max_jobs", "max_time", "stop_after_no_improvement", "ready", "pruner")


def limit_options(command: F) -> F:
    """Give a command the options; it gets them as keyword arguments, None for what is not given."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def budget_options(command: F) -> F:
    """Give a command the options of `BUDGET`; it gets them as keyword arguments, None for what is not given."""
    for option in reversed(_BUDGET_OPTIONS):
        command = option(command)
    return command


def changed_settings(options: dict[str, Any]) -> dict[str, Any]:
    """Take the options of `BUDGET` out of all; return what they change in a definition. Raises click.UsageError."""
    given = {name: value for name in BUDGET if (value := options.pop(name)) is not None}
    if "pruner" in given:
        given["pruner"] = _pruner(given["pruner"])
    return {name: None if value == _NONE else value for name, value in given.items()}


def _pruner(word: str) -> Any:
    name, _, parameters = word.strip().partition(" ")
    if name == _NONE:
        return _NONE
    try:
        return {name: json.loads(parameters) if parameters else {}}
    except (ValueError, RecursionError):
        raise click.UsageError(
            f"--pruner {name}: {parameters.strip()} is not JSON. Write a name, or name and parameters in one word:"
            """ 'median {"startup_jobs": 3}'."""
        ) from None


def changed_limits(before: Limits, options: dict[str, Any]) -> Limits | None:
    """Return the limits with what the options change, None if they change nothing."""
    given = {field: None if value == _NONE else value for field, value in options.items() if value is not None}
    return Limits.model_validate({**before.model_dump(), **given}) if given else None
