"""Tables as CSV and as JSON lines, both of which `schedy push --from` reads."""

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from schedy.results.columns import MISSING
from schedy.results.csv_cells import csv_row
from schedy_cli.exporting.table import Table
from schedy_cli.printing.text import JsonForm, json_line


def write_csv(table: Table, file: IO[bytes]) -> int:
    """Write a header and the rows. Users' values are JSON or plain text, what a job does not have is empty."""
    rows = 0
    with _as_text(file) as text:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(table.names)
        for page in table.pages():
            writer.writerows(csv_row(row, table.values) for row in page)
            rows += len(page)
    return rows


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
