"""Texts that are safe to print on a terminal: names, durations, times, values, and lines of JSON."""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import click

from schedy.values_text import format_name, format_value

STATUS_COLOURS = {"QUEUED": "blue", "RUNNING": "cyan", "DONE": "green", "CRASHED": "red", "PRUNED": "yellow"}


def coloured_status(status: str) -> str:
    """Return a status in its colour; click drops the colour in a pipe."""
    return click.style(status, fg=STATUS_COLOURS.get(status))


def age(seconds: float) -> str:
    """Return a duration in the largest unit of which there are at least two, rounded down."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{int(seconds // length)} {unit}"
    return f"{int(max(0.0, seconds))} s"


def size(count: int) -> str:
    """Return a number of bytes in a unit in which it has up to four characters."""
    for unit, length in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= length:
            return f"{count / length:.1f} {unit}" if count < 10 * length else f"{count / length:.0f} {unit}"
    return f"{count} bytes"


def local_time(moment: datetime) -> str:
    """Return a time in the time zone of this machine."""
    return moment.astimezone().isoformat(sep=" ", timespec="seconds")


def short_time(moment: datetime) -> str:
    """Return a time in the time zone of this machine, as short as it can be: of today without the day."""
    here = moment.astimezone()
    is_today = here.date() == datetime.now(UTC).astimezone().date()
    return f"{here:%H:%M:%S}" if is_today else f"{here:%Y-%m-%d %H:%M}"


def values_lines(values: dict[str, Any]) -> Iterator[str]:
    """Return hyperparameters or results as `show` prints them."""
    return (f" - {format_name(name)}: {format_value(value)}" for name, value in values.items())


def print_paragraphs(paragraphs: Iterable[str]) -> None:
    """Print paragraphs with a blank line between them."""
    for place, paragraph in enumerate(paragraphs):
        if place:
            click.echo()
        click.echo(paragraph)


class JsonForm(Enum):
    """The form of NaN and the infinities in JSON, which has no numbers for them."""

    NAN_AS_NULL = "null"
    NAN_AS_TEXT = "text"

    @classmethod
    def of(cls, *, as_json: bool, nan_as_text: bool) -> "JsonForm | None":
        """Return the form that the options --json and --nan ask for, None for none."""
        if not as_json:
            return None
        return cls.NAN_AS_TEXT if nan_as_text else cls.NAN_AS_NULL


def json_line(fields: dict[str, Any], form: JsonForm) -> str:
    """Return fields as one line of strict JSON."""
    try:
        return json.dumps(fields, default=_json_time, allow_nan=False)
    except ValueError:
        loose = json.dumps(fields, default=_json_time)
        as_text = form is JsonForm.NAN_AS_TEXT
        return json.dumps(json.loads(loose, parse_constant=lambda name: name if as_text else None), allow_nan=False)


def _json_time(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(type(value).__name__)
