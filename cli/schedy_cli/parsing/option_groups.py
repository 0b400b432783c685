"""Options that several commands share, and groups of options that a command gets as one object."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object per line.")
FORCE_OPTION = click.option("-f", "--force", is_flag=True, help="Do not ask for confirmation.")


def option_group(keyword: str, kind: type, *options: Callable[[Any], Any]) -> Callable[[F], F]:
    """Return a decorator that declares `options`; the command gets their values as a `kind` named `keyword`.

    `kind` is a dataclass with a field for the parameter of each option.
    """
    names = {field.name for field in dataclasses.fields(kind)}

    def _declare(command: F) -> F:
        @functools.wraps(command)
        def _grouped(*arguments: Any, **values: Any) -> Any:
            group = kind(**{name: value for name, value in values.items() if name in names})
            others = {name: value for name, value in values.items() if name not in names}
            return command(*arguments, **others, **{keyword: group})

        for option in reversed(options):
            option(_grouped)
        return _grouped  # type: ignore[return-value]  # it takes the options in place of the group

    return _declare
