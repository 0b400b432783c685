"""Tables as CSV and as JSON lines, both of which `schedy push --from` reads."""

import csv
import functools
import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import IO, Any

from schedy.results.columns import MISSING
from schedy.values_text import format_value
from schedy_cli.exporting.table import Table
from schedy_cli.printing.text import JsonForm, json_line


def write_csv(table: Table, file: IO[bytes]) -> int:
    """Write a header and the rows. Users' values are JSON or plain text, what a job does not have is empty."""
    rows = 0
    start, stop = table.values.start, table.values.stop

    def _line(row: list[Any]) -> list[Any]:
        return [*row[:start], *map(_value_cell, row[start:stop]), *map(_field_cell, row[stop:])]

    with _as_text(file) as text:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(table.names)
        for page in table.pages():
            writer.writerows(map(_line, page))
            rows += len(page)
    return rows


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


def write_json_lines(table: Table, file: IO[bytes], form: JsonForm) -> int:
    """Write an object for each row, without what a job does not have."""
    rows = 0
    with _as_text(file) as text:
        for page in table.pages():
            for row in page:
                fields = zip(table.names, row, strict=True)
                text.write(json_line({name: cell for name, cell in fields if cell is not MISSING}, form))
                text.write("\n")
            rows += len(page)
    return rows


@contextmanager
def _as_text(file: IO[bytes]) -> Iterator[IO[str]]:
    text = io.TextIOWrapper(file, encoding="utf-8", errors="backslashreplace", newline="")
    try:
        yield text
        text.flush()
    finally:
        text.detach()
