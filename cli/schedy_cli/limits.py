"""The options of `schedy add` and `schedy set` that limit what a job may cost."""

from collections.abc import Callable
from typing import Any, TypeVar

import click
from pydantic import ValidationError

from schedy.messages import Limits

F = TypeVar("F", bound=Callable[..., Any])

_NONE = "none"


def _checked(what: str, number: Callable[[str], float]) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """Return a callback that turns a word into a number that `Limits` takes, and leaves `none` and nothing alone."""

    def _check(_ctx: click.Context, option: click.Parameter, word: str | None) -> Any:
        if word is None or word == _NONE:
            return word
        try:
            value = number(word)
            Limits.model_validate({str(option.name): value})
        except (ValueError, ValidationError):
            raise click.BadParameter(f"{word!r} is not {what}. Write none to take the limit away.") from None
        return value

    return _check


_attempts = _checked("a whole number from 1 to 1000000", int)
_timeout = _checked("a number of seconds above 0 and up to 1000000000", float)

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


def limit_options(command: F) -> F:
    """Give a command the options; it gets them as keyword arguments, None for what is not given."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def changed_limits(before: Limits, options: dict[str, Any]) -> Limits | None:
    """Return the limits with what the options change, None if they change nothing."""
    given = {field: None if value == _NONE else value for field, value in options.items() if value is not None}
    return Limits.model_validate({**before.model_dump(), **given}) if given else None
