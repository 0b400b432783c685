"""Options that several commands share, and groups of options that a command gets as one object."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

from schedy_cli.printing.text import JsonForm

F = TypeVar("F", bound=Callable[..., Any])

_NAN_AS_TEXT = "schedy_cli.nan_as_text"
FORCE_OPTION = click.option("-f", "--force", is_flag=True, help="Do not ask for confirmation.")


class StatusChoice(click.Choice):  # type: ignore[type-arg]  # generic since click 8.2
    """One of several statuses, which may be typed in lower case."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        status: str = super().convert(value.upper(), param, ctx)
        return status


def JSON_OPTION(command: F) -> F:
    """Give a command the options --json and --nan, as `as_json`: the form of the JSON, None for other output."""
    help_text = "With --json, write NaN and infinities as text (default: null)."
    nan = click.option("--nan", is_flag=True, is_eager=True, expose_value=False, callback=_note_nan, help=help_text)
    json = click.option("--json", "as_json", is_flag=True, callback=_json_form, help="Print JSON, one object per line.")
    return json(nan(command))


def _note_nan(ctx: click.Context, _option: click.Parameter, given: bool) -> None:
    ctx.meta[_NAN_AS_TEXT] = given


def _json_form(ctx: click.Context, _option: click.Parameter, given: bool) -> JsonForm | None:
    nan_as_text: bool = ctx.meta[_NAN_AS_TEXT]
    if nan_as_text and not given:
        raise click.UsageError("--nan applies to --json: give both.")
    return JsonForm.of(as_json=given, nan_as_text=nan_as_text)


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
