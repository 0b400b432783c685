"""The files of `schedy push NAME --from FILE`: many jobs, as JSON lines or CSV."""

import contextlib
import csv
import io
import json
import math
import shutil
import sys
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, Any

import click

from schedy.errors import InvalidValueError
from schedy.pushing import CheckedJob, check_new_job
from schedy.results.columns import FIELDS, parse_heading
from schedy.search.pushed import PushedJobs
from schedy.values_text import parse_value
from schedy.wire.base import JOB_STATUSES, QUEUED, RUNNING
from schedy.wire.records import JobRecord

PUSHED_STATUSES = tuple(status for status in JOB_STATUSES if status != RUNNING)
_FIELDS = ("hyperparameters", "results", "status", "quality")
_PRINTED_FIELDS = {"id", "events", "traceback", *JobRecord.model_fields}
"""Fields of a job that `list --json` and `show --json` print; those that a new job cannot have are left out."""

_NUMBERS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}

DEFINITION = "definition"
"""The only field of the first line of a file with a whole search: `schedy export --definition` has written it."""

_Lines = Iterator[tuple[int, dict[str, Any]]]
"""The fields of jobs, each with the number of its line."""


def definition_of(line: str) -> dict[str, Any] | None:
    """Return the definition in the first line of a file with a whole search; None if that is another line."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    definition = found.get(DEFINITION) if isinstance(found, dict) and len(found) == 1 else None
    return definition if isinstance(definition, dict) else None


def is_whole_search(source: str) -> bool:
    """Return whether a file for `schedy add --from` has jobs behind the definition."""
    return source.lower().endswith(".jsonl")


def check_pushed_job(fields: dict[str, Any], *, limit_bytes: int) -> CheckedJob:
    """Return the job as it is sent. Raises InvalidValueError."""
    status = fields.get("status", "QUEUED")
    if status == RUNNING:
        raise InvalidValueError("A pushed job cannot be RUNNING: it has no worker. A worker's add_job() can do that.")
    if status not in PUSHED_STATUSES:
        raise InvalidValueError(f"The status of a pushed job is one of {', '.join(PUSHED_STATUSES)}, not {status!r}.")
    return check_new_job(**fields, limit_bytes=limit_bytes)


@contextlib.contextmanager
def open_push_file(source: str, *, limit_bytes: int, nan_as_text: bool = False) -> Iterator["PushFile"]:
    """Open a file that can be read twice; the standard input, ``-``, is copied to a temporary one.

    Raises click.ClickException if it cannot be read.
    """
    try:
        file = _copy_of_input() if source == "-" else Path(source).open("rb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise click.ClickException(f"{source} cannot be read: {error.strerror}.") from None
    with io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as lines:
        try:
            yield PushFile(lines, limit_bytes=limit_bytes, nan_as_text=nan_as_text)
        except UnicodeDecodeError as error:
            raise click.ClickException(f"{source} cannot be read: {error}. Write it in UTF-8.") from None


def _copy_of_input() -> IO[bytes]:
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - `open_push_file` closes it
    shutil.copyfileobj(sys.stdin.buffer, copy)
    copy.seek(0)
    return copy


class PushFile:
    """A file of jobs, one of each line."""

    def __init__(self, file: IO[str], *, limit_bytes: int, nan_as_text: bool) -> None:
        """`nan_as_text`: in JSON lines the texts NaN, Infinity and -Infinity are these numbers."""
        self._file = file
        self._limit_bytes = limit_bytes
        self._nan_as_text = nan_as_text
        self.running_lines: set[int] = set()
        """The lines, of those read, that were written of a RUNNING job, which is pushed as QUEUED."""

    def jobs(self, pushed: PushedJobs | None = None) -> Iterator[CheckedJob]:
        """Read the jobs from the beginning. Raises click.UsageError naming the line, also if `pushed` refuses it."""
        self._file.seek(0)
        for number, fields in self._lines():
            try:
                job = check_pushed_job(fields, limit_bytes=self._limit_bytes)
                if pushed is not None:
                    pushed.fault(job.new.hyperparameters)
            except InvalidValueError as error:
                raise _fault(f"Line {number}: {error}") from None
            yield job

    def _lines(self) -> _Lines:
        """Read JSON lines if the first character that is not blank is a brace, else CSV."""
        first = next((line for line in self._file if line.strip()), "").lstrip()
        self._file.seek(0)
        if first.startswith("["):
            raise _fault("The file is a JSON list. Write one object per line instead.")
        return self._json_lines() if first.startswith("{") else self._csv_rows()

    def _json_lines(self) -> _Lines:
        for number, line in enumerate(self._file, start=1):
            if not line.strip():
                continue
            if number == 1 and definition_of(line) is not None:
                self._nan_as_text = True
                continue
            printed = _json_object(line, number)
            is_flat = _is_exported(printed)
            job = _nested(printed, number, is_exported=True) if is_flat else printed
            fields = {field: value for field, value in job.items() if field in _FIELDS}
            if self._nan_as_text:
                fields = {field: _numbers_in(value) for field, value in fields.items()}
            if "id" in printed:
                self._complete(fields, number)
            yield number, fields

    def _csv_rows(self) -> _Lines:
        for number, cells in _csv_lines(self._file):
            is_exported = _is_exported(cells)
            fields = _nested(_csv_values(cells, number), number, is_exported=is_exported)
            if is_exported:
                self._complete(fields, number)
            yield number, fields

    def _complete(self, fields: dict[str, Any], number: int) -> None:
        """Make a new job of one that `list --json` or `schedy export` has written."""
        if fields.get("quality", 0.0) is None:
            fields["quality"] = math.nan
        if fields.get("status") == RUNNING:
            self.running_lines.add(number)
            fields["status"] = QUEUED


def _json_object(line: str, number: int) -> dict[str, Any]:
    try:
        job = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _fault(f"Line {number} is not JSON: {error}.") from None
    if isinstance(job, dict) and _is_exported(job):
        return job
    if not isinstance(job, dict) or "hyperparameters" not in job:
        raise _fault(f'Line {number} has no "hyperparameters".')
    unknown = [field for field in job if field not in _FIELDS and field not in _PRINTED_FIELDS]
    if unknown:
        raise _fault(f"Line {number}: unknown field {unknown[0]!r}. There are {', '.join(_FIELDS)}.")
    return job


def _fault(text: str) -> click.UsageError:
    return click.UsageError(f"{text} Nothing was pushed.")


def _numbers_in(value: Any) -> Any:
    """Return a value with the numbers that `list --json --nan` prints as text."""
    if isinstance(value, str):
        return _NUMBERS.get(value, value)
    if isinstance(value, list):
        return [_numbers_in(item) for item in value]
    if isinstance(value, dict):
        return {name: _numbers_in(item) for name, item in value.items()}
    return value


def _csv_lines(file: IO[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the cells of each row by their headings."""
    rows = csv.reader(file, strict=True, skipinitialspace=True, delimiter=_delimiter(file))
    try:
        header = [name.strip() for name in next(rows, [])]
        if not all(header) or len(set(header)) != len(header):
            raise _fault("The header of the CSV file has an empty or repeated name.")
        for row in rows:
            cells = [cell.strip() for cell in row]
            if any(cells):
                if len(cells) != len(header):
                    raise _fault(f"Line {rows.line_num} has {len(cells)} cells, the header has {len(header)}.")
                yield rows.line_num, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise _fault(f"Line {rows.line_num} is not CSV: {error}.") from None


def _delimiter(file: IO[str]) -> str:
    """Return what separates the names in the header: a comma, or, where there is none, a semicolon or a tab."""
    header = file.readline()
    file.seek(0)
    return next((character for character in ",;\t" if character in header), ",")


def _csv_values(cells: dict[str, str], number: int) -> dict[str, Any]:
    """Return the values of the cells that are not empty. Those that no new job can have are left out."""
    is_exported = _is_exported(cells)
    values: dict[str, Any] = {}
    for heading, cell in cells.items():
        if not cell or (is_exported and heading in FIELDS and heading not in _FIELDS):
            continue
        try:
            values[heading] = parse_value(cell)
        except ValueError as error:
            raise _fault(f"Line {number}, column {heading}: {cell}: {error}.") from None
    return values


def _is_exported(fields: Collection[str]) -> bool:
    """Return whether a line has columns of `schedy export`, whose other headings are hyperparameters and results."""
    return "id" in fields and "status" in fields and "hyperparameters" not in fields


def _nested(flat: dict[str, Any], number: int, *, is_exported: bool) -> dict[str, Any]:
    """Return the fields of a job whose hyperparameters and results have a heading each."""
    job: dict[str, Any] = {"hyperparameters": {}, "results": {}}
    for heading, value in flat.items():
        source, name = parse_heading(heading)
        if source == "column" and is_exported:
            job[name] = value
            continue
        values = job["results" if source == "result" else "hyperparameters"]
        if name in values:
            raise _fault(f"Line {number} has the {source} {name!r} twice.")
        values[name] = value
    return job
