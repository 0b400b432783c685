"""`schedy export`."""

import functools
import itertools
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import click

from schedy.results.columns import POINT_COLUMNS, JobColumns
from schedy.results.optuna_export import make_study
from schedy.results.packages import needed
from schedy.search.definition import read_definition
from schedy.wire.base import JOB_STATUSES, JobStatus
from schedy.wire.records import ExperimentRecord
from schedy.wire.requests import GetFields
from schedy_cli.context import reader_for, settings_of
from schedy_cli.exporting.files import new_file
from schedy_cli.exporting.table import Table
from schedy_cli.exporting.text import write_csv, write_json_lines
from schedy_cli.interruption import accounted
from schedy_cli.parsing.option_groups import option_group
from schedy_cli.parsing.push_files import DEFINITION
from schedy_cli.printing.experiments import definition_text
from schedy_cli.printing.messages import print_message
from schedy_cli.printing.progress import progress
from schedy_cli.printing.text import JsonForm
from schedy_cli.reading import Reader, find_experiment

_Write = Callable[[Table, IO[bytes]], int]
"""Writes a table, and returns the number of its rows."""
_FORMATS = ("csv", "jsonl", "parquet")


@dataclass(frozen=True)
class _What:
    statuses: tuple[JobStatus, ...]
    curves: bool


@dataclass(frozen=True)
class _Form:
    form: str | None
    nan: bool
    definition: bool
    force: bool


@click.command("export", epilog="Example: schedy export Digits digits.csv")
@click.argument("name")
@click.argument("file", required=False)
@option_group(
    "what",
    _What,
    click.option("--curves", is_flag=True, help="Write the points of the learning curves instead of the jobs."),
    click.option(
        "--status",
        "statuses",
        multiple=True,
        type=click.Choice(JOB_STATUSES),
        help="Export only jobs of this status; repeatable.",
    ),
)
@option_group(
    "form",
    _Form,
    click.option("--format", "form", type=click.Choice(_FORMATS), help="Format, whatever the ending of FILE is."),
    click.option("--nan", is_flag=True, help="In JSON lines, write NaN and infinities as text (default: null)."),
    click.option("--definition", is_flag=True, help="In JSON lines, begin with the definition: a whole search."),
    click.option("--force", is_flag=True, help="Replace FILE if it exists."),
)
@click.option("--optuna", "optuna_url", metavar="URL", help="Make a study in a storage of Optuna instead of a file.")
@click.pass_context
def export_command(
    ctx: click.Context, name: str, file: str | None, *, what: _What, form: _Form, optuna_url: str | None
) -> None:
    """Write the jobs of the experiment NAME to FILE: .csv, .jsonl or .parquet.

    Without FILE, CSV goes to the standard output. `schedy push --from FILE` reads CSV and JSON lines again. FILE is
    there once it is complete.
    """
    if optuna_url is not None and (file or what.curves or form != _Form(None, False, False, False)):
        raise click.UsageError("--optuna makes a study, and no file: give it alone, or with --status.")
    if form.definition and what.curves:
        raise click.UsageError("--definition stands before jobs: leave out --curves.")
    write = None if optuna_url is not None else _writer(file, form)
    with accounted(lambda: "", nothing="Nothing was written."), reader_for(settings_of(ctx)) as reader:
        experiment = find_experiment(reader, name)
        if write is None:
            _make_study(reader, experiment, what, str(optuna_url))
        else:
            header = _header(experiment) if form.definition else b""
            _export(reader, experiment, what, file, write, header=header, replace=form.force)


def _header(experiment: ExperimentRecord) -> bytes:
    """Return the line by which `schedy add --from` makes the same search: with another seed, to make other jobs."""
    definition = json.loads(definition_text(experiment))
    definition.pop("seed", None)
    return json.dumps({DEFINITION: definition}).encode() + b"\n"


def _writer(file: str | None, form: _Form) -> _Write:
    kind = form.form or (Path(file).suffix[1:].lower() if file else "csv")
    if kind not in _FORMATS:
        raise click.UsageError(f"The ending of FILE is one of .{', .'.join(_FORMATS)}: rename it, or give --format.")
    if form.nan and kind != "jsonl":
        raise click.UsageError("--nan applies to JSON lines: name FILE so that it ends with .jsonl.")
    if form.definition and kind != "jsonl":
        raise click.UsageError("--definition stands in JSON lines: name FILE so that it ends with .jsonl.")
    if form.force and file is None:
        raise click.UsageError("--force replaces a file: name it.")
    if kind == "csv":
        return write_csv
    if kind == "jsonl":
        as_text = form.nan or form.definition
        return functools.partial(write_json_lines, form=JsonForm.NAN_AS_TEXT if as_text else JsonForm.NAN_AS_NULL)
    if file is None:
        raise click.UsageError("Parquet is no text: name a FILE.")
    needed("pyarrow", what="Parquet", extra="pandas")
    from schedy_cli.exporting.parquet import write_parquet  # noqa: PLC0415 - imports pyarrow, if it is installed

    return write_parquet


def _export(
    reader: Reader,
    experiment: ExperimentRecord,
    what: _What,
    file: str | None,
    write: _Write,
    *,
    header: bytes,
    replace: bool,
) -> None:
    if what.curves:
        columns, total, things = None, 0, "points"
    else:
        known = reader.ask(GetFields(experiment_uid=experiment.uid))
        columns, total, things = (
            JobColumns(read_definition(experiment.settings), known),
            _total(experiment, what),
            "jobs",
        )
    if file is None:
        sys.stdout.buffer.write(header)
        write(_table(reader, experiment, what, columns, int), sys.stdout.buffer)
    else:
        with new_file(file, replace=replace) as opened, progress("Exporting", total) as advance:
            opened.write(header)
            rows = write(_table(reader, experiment, what, columns, advance), opened)
        print_message(f"{rows:,} {things.removesuffix('s') if rows == 1 else things} in {file}.")
    if columns is not None and columns.left_out:
        print_message("Names that were new while the jobs were read have no column. Export again to have them.")


def _table(
    reader: Reader,
    experiment: ExperimentRecord,
    what: _What,
    columns: JobColumns | None,
    advance: Callable[[int], object],
) -> Table:
    """Return the table of the jobs, or, without columns of jobs, of the points."""
    if columns is None:
        points = functools.partial(reader.point_lines, experiment.uid, what.statuses)
        last = len(POINT_COLUMNS) - 1
        return Table(POINT_COLUMNS, slice(last, last + 1), lambda: (list(map(list, page)) for page in points()))
    row = columns.row

    def _pages() -> Iterator[list[list[Any]]]:
        for page in reader.job_lines(experiment.uid, what.statuses):
            yield list(map(row, page))
            advance(len(page))

    return Table(columns.file_names(), columns.values, _pages)


def _make_study(reader: Reader, experiment: ExperimentRecord, what: _What, url: str) -> None:
    jobs = itertools.chain.from_iterable(reader.job_lines(experiment.uid, what.statuses))
    points = itertools.chain.from_iterable(reader.point_lines(experiment.uid, what.statuses))
    definition = read_definition(experiment.settings)
    with progress("Exporting", _total(experiment, what)) as advance:
        study = make_study(experiment.name, definition, jobs, points, storage=url, advance=advance)
    print_message(f"{len(study.get_trials(deepcopy=False)):,} jobs in the study {experiment.name}.")


def _total(experiment: ExperimentRecord, what: _What) -> int:
    counts = experiment.job_counts
    return sum(counts.get(status, 0) for status in what.statuses or counts)
