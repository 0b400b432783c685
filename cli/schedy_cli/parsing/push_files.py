"""The files of `schedy push NAME --from FILE`: many jobs, as JSON lines or CSV."""

import contextlib
import csv
import io
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import click

from schedy.errors import InvalidValueError
from schedy.pushing import CheckedJob, check_new_job
from schedy.wire.base import JOB_STATUSES, RUNNING
from schedy_cli.parsing.values_text import parse_value

PUSHED_STATUSES = tuple(status for status in JOB_STATUSES if status != RUNNING)
_FIELDS = ("hyperparameters", "results", "status", "quality")

_Lines = Iterator[tuple[int, dict[str, Any]]]
"""The fields of jobs, each with the number of its line."""


def check_pushed_job(fields: dict[str, Any], *, limit_bytes: int) -> CheckedJob:
    """Return the job as it is sent. Raises InvalidValueError."""
    status = fields.get("status", "QUEUED")
    if status == RUNNING:
        raise InvalidValueError("A pushed job cannot be RUNNING: it has no worker. A worker's add_job() can do that.")
    if status not in PUSHED_STATUSES:
        raise InvalidValueError(f"The status of a pushed job is one of {', '.join(PUSHED_STATUSES)}, not {status!r}.")
    return check_new_job(**fields, limit_bytes=limit_bytes)


@contextlib.contextmanager
def open_push_file(source: str) -> Iterator[IO[str]]:
    """Open a file that can be read twice; the standard input, ``-``, is copied to a temporary one.

    Raises click.ClickException if it cannot be read.
    """
    try:
        file = _copy_of_input() if source == "-" else Path(source).open("rb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise click.ClickException(f"{source} cannot be read: {error.strerror}.") from None
    with io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as lines:
        try:
            yield lines
        except UnicodeDecodeError as error:
            raise click.ClickException(f"{source} cannot be read: {error}. Write it in UTF-8.") from None


def _copy_of_input() -> IO[bytes]:
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - `open_push_file` closes it
    shutil.copyfileobj(sys.stdin.buffer, copy)
    copy.seek(0)
    return copy


def read_jobs(file: IO[str], *, limit_bytes: int) -> Iterator[CheckedJob]:
    """Read the jobs of a file from its beginning. Raises click.UsageError naming the line."""
    file.seek(0)
    for number, fields in _lines(file):
        try:
            yield check_pushed_job(fields, limit_bytes=limit_bytes)
        except InvalidValueError as error:
            raise _fault(f"Line {number}: {error}") from None


def _fault(text: str) -> click.UsageError:
    return click.UsageError(f"{text} Nothing was pushed.")


def _lines(file: IO[str]) -> _Lines:
    """Read JSON lines if the first character that is not blank is a brace, else CSV."""
    first = next((line for line in file if line.strip()), "").lstrip()
    file.seek(0)
    if first.startswith("["):
        raise _fault("The file is a JSON list. Write one object per line instead.")
    return _json_lines(file) if first.startswith("{") else _csv_rows(file)


def _json_lines(file: IO[str]) -> _Lines:
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            job = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise _fault(f"Line {number} is not JSON: {error}.") from None
        if not isinstance(job, dict) or "hyperparameters" not in job:
            raise _fault(f'Line {number} has no "hyperparameters".')
        unknown = [field for field in job if field not in _FIELDS]
        if unknown:
            raise _fault(f"Line {number}: unknown field {unknown[0]!r}. There are {', '.join(_FIELDS)}.")
        yield number, job


def _csv_rows(file: IO[str]) -> _Lines:
    rows = csv.reader(file, strict=True)
    try:
        header = next(rows, [])
        if not all(header) or len(set(header)) != len(header):
            raise _fault("The header of the CSV file has an empty or repeated name.")
        for row in rows:
            if row:
                yield rows.line_num, _csv_job(header, row, rows.line_num)
    except csv.Error as error:
        raise _fault(f"Line {rows.line_num} is not CSV: {error}.") from None


def _csv_job(header: list[str], row: list[str], number: int) -> dict[str, Any]:
    if len(row) != len(header):
        raise _fault(f"Line {number} has {len(row)} cells, the header has {len(header)}.")
    hyperparameters: dict[str, Any] = {}
    results: dict[str, Any] = {}
    for name, cell in zip(header, row, strict=True):
        if not cell:
            continue
        try:
            value = parse_value(cell)
        except ValueError as error:
            raise _fault(f"Line {number}, column {name}: {cell}: {error}.") from None
        kind, _, rest = name.partition(".")
        if kind == "result" and rest:
            results[rest] = value
        else:
            hyperparameters[name] = value
    return {"hyperparameters": hyperparameters, "results": results}
