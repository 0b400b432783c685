"""`schedy push`."""

import contextlib
import csv
import io
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import click

from schedy.errors import InvalidValueError, NotStoredYetError
from schedy.pushing import CheckedJob, check_new_job, push_chunks
from schedy.settings import Settings
from schedy.wire.base import check_experiment_name
from schedy_cli.context import session_for, settings_of
from schedy_cli.parsing.argv import WordsCommand, parse_value, words, words_option
from schedy_cli.printing import jobs as rendering

_STATUSES = ("QUEUED", "DONE", "CRASHED", "PRUNED")
_LINE_FIELDS = ("hyperparameters", "results", "status", "quality")


@click.command("push", cls=WordsCommand)
@click.argument("name")
@words_option(
    "-p",
    "--hyperparameters",
    name="hyperparameters",
    help_text="Names and values in turn: -p x 1 opt adam. Values are JSON, or plain text.",
)
@words_option("-r", "--results", name="results", help_text="Results that are known already, written the same way.")
@click.option("-s", "--status", default="QUEUED", show_default=True, metavar="|".join(_STATUSES))
@click.option("-q", "--quality", type=float, default=0.0, show_default=True)
@click.option(
    "--from",
    "source",
    metavar="FILE",
    help='Push many jobs: JSON lines {"hyperparameters": {...}, "results"?, "status"?, "quality"?}, or CSV whose'
    " header names hyperparameters and result.NAME columns. - reads the standard input.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the job as JSON.")
@click.pass_context
def push_command(
    ctx: click.Context, name: str, *, status: str, quality: float, source: str | None, as_json: bool
) -> None:
    """Push a job to the experiment NAME and print it once it is stored.

    If the results service does not answer within 10 s, the broker keeps the job until it does: that is said on
    stderr, and the exit code is 0.
    """
    check_experiment_name(name)
    settings = settings_of(ctx)
    hyperparameters, results = words(ctx, "hyperparameters"), words(ctx, "results")
    if source is not None:
        if hyperparameters or results or status != "QUEUED" or quality or as_json:
            raise click.UsageError("With --from the file says it all; leave out -p, -r, -s, -q and --json.")
        _push_file(settings, name, source)
        return
    fields = {"hyperparameters": hyperparameters, "results": results, "status": status, "quality": quality}
    new = _checked(fields, settings)
    with session_for(settings) as session:
        try:
            for _chunk, answer in push_chunks(session, name, None, [new]):
                (job,) = answer.jobs
                click.echo(rendering.job_json(job) if as_json else rendering.job_paragraph(job))
        except NotStoredYetError as error:
            click.echo(str(error), err=True)


def _checked(job: dict[str, Any], settings: Settings) -> CheckedJob:
    status = job.get("status", "QUEUED")
    if status == "RUNNING":
        raise InvalidValueError("A pushed job cannot be RUNNING: nobody works on it. A worker's add_job() can do that.")
    if status not in _STATUSES:
        raise InvalidValueError(f"The status of a pushed job is one of {', '.join(_STATUSES)}, not {status!r}.")
    return check_new_job(**job, limit_bytes=settings.max_message_bytes)


def _push_file(settings: Settings, name: str, source: str) -> None:
    """Check every line before the first job is sent, then push with progress."""
    with _opened(source) as file:
        parse = _parser(file)
        total = sum(1 for _ in _jobs(file, parse, settings))
        if total == 0:
            raise click.UsageError(f"There is no job in {source}.")
        file.seek(0)
        with session_for(settings) as session, _progress(total) as advance:
            stored = 0
            try:
                for chunk, answer in push_chunks(session, name, None, _jobs(file, parse, settings)):
                    stored += len(chunk)
                    click.echo("\n".join(job.job_id for job in answer.jobs))
                    advance(len(chunk))
            except NotStoredYetError as error:
                click.echo(f"{stored} of {total} jobs are stored. {error}", err=True)


@contextlib.contextmanager
def _opened(source: str) -> Iterator[IO[str]]:
    """Open a file that can be read twice; the standard input is kept in a temporary one."""
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
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - `_opened` closes it
    shutil.copyfileobj(sys.stdin.buffer, copy)
    copy.seek(0)
    return copy


Parser = Callable[[IO[str]], Iterator[tuple[int, dict[str, Any]]]]


def _parser(file: IO[str]) -> Parser:
    """JSON lines if the first text is a brace, else CSV."""
    first = next((line for line in file if line.strip()), "")
    file.seek(0)
    if first.lstrip().startswith("["):
        raise click.UsageError("The file is a JSON list. Write one object a line instead. Nothing was pushed.")
    return _json_lines if first.lstrip().startswith("{") else _csv_rows


def _jobs(file: IO[str], parse: Parser, settings: Settings) -> Iterator[CheckedJob]:
    """Read the jobs of a file. Raises click.UsageError naming the line."""
    for number, job in parse(file):
        try:
            yield _checked(job, settings)
        except InvalidValueError as error:
            raise click.UsageError(f"Line {number}: {error} Nothing was pushed.") from None


def _json_lines(file: IO[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            job = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise click.UsageError(f"Line {number} is not JSON: {error}. Nothing was pushed.") from None
        if not isinstance(job, dict) or "hyperparameters" not in job:
            raise click.UsageError(f'Line {number} has no "hyperparameters". Nothing was pushed.')
        unknown = [field for field in job if field not in _LINE_FIELDS]
        if unknown:
            known = ", ".join(_LINE_FIELDS)
            raise click.UsageError(
                f"Line {number}: unknown field {unknown[0]!r}. There are {known}. Nothing was pushed."
            )
        yield number, job


def _csv_rows(file: IO[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    rows = csv.reader(file, strict=True)
    try:
        header = next(rows, [])
        if not all(header) or len(set(header)) != len(header):
            raise click.UsageError("The header of the CSV file has an empty or repeated name. Nothing was pushed.")
        for row in rows:
            if row:
                yield rows.line_num, _csv_job(header, row, rows.line_num)
    except csv.Error as error:
        raise click.UsageError(f"Line {rows.line_num} is not CSV: {error}. Nothing was pushed.") from None


def _csv_job(header: list[str], row: list[str], number: int) -> dict[str, Any]:
    if len(row) != len(header):
        raise click.UsageError(f"Line {number} has {len(row)} cells, the header has {len(header)}. Nothing was pushed.")
    job: dict[str, Any] = {"hyperparameters": {}, "results": {}}
    for name, cell in zip(header, row, strict=True):
        if not cell:
            continue
        try:
            value = parse_value(cell)
        except ValueError as error:
            raise click.UsageError(f"Line {number}, column {name}: {cell}: {error}. Nothing was pushed.") from None
        kind, _, rest = name.partition(".")
        if kind == "result" and rest:
            job["results"][rest] = value
        else:
            job["hyperparameters"][name] = value
    return job


@contextlib.contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr where that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _count: None
        return
    with click.progressbar(length=total, label="Pushing", file=sys.stderr) as bar:
        yield bar.update
