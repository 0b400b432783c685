"""Cells of CSV files, which `schedy push --from` reads again."""

import functools
import math
from datetime import datetime
from typing import Any

from schedy.results.columns import MISSING
from schedy.values_text import format_value


def csv_row(row: list[Any], values: slice) -> list[Any]:
    """Return a row for a CSV writer; the cells in `values` are users' values: JSON or plain text, or MISSING."""
    start, stop = values.start, values.stop
    return [*row[:start], *map(_value_cell, row[start:stop]), *map(_field_cell, row[stop:])]


def _value_cell(value: Any) -> Any:
    kind = type(value)
    if kind is float and math.isfinite(value):
        return value
    if kind is int:
        return value
    if kind is str:
        return _text_cell(value)
    return "" if value is MISSING else format_value(value)


@functools.lru_cache(maxsize=10_000)
def _text_cell(value: str) -> str:
    return format_value(value)


def _field_cell(value: Any) -> Any:
    kind = type(value)
    if kind is datetime:
        return value.isoformat()
    if kind is float and not math.isfinite(value):
        return format_value(value)
    return value
