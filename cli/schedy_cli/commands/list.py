"""`schedy list`."""

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import click

from schedy.wire.answers import FieldsAnswer
from schedy.wire.base import JOB_STATUSES, JobStatus
from schedy.wire.records import ExperimentRecord, JobRecord
from schedy.wire.requests import JOB_COLUMNS, GetFields, GetJobOrder
from schedy_cli.context import reader_for, settings_of
from schedy_cli.parsing.fields import all_fields, parse_field
from schedy_cli.parsing.option_groups import JSON_OPTION, option_group
from schedy_cli.printing.experiments import (
    TABLE_HEADER,
    experiment_json,
    experiment_line,
    experiment_paragraph,
    experiment_row,
)
from schedy_cli.printing.jobs import headings, job_json, job_line, job_paragraph, job_row
from schedy_cli.printing.tables import print_table
from schedy_cli.printing.text import JsonForm, print_paragraphs
from schedy_cli.reading import Reader, all_experiments, find_experiment, jobs_at, jobs_by_age

T = TypeVar("T")


@dataclass(frozen=True)
class _Layout:
    as_paragraphs: bool
    as_table: bool
    fields: tuple[str, ...]
    as_json: JsonForm | None


@dataclass(frozen=True)
class _Selection:
    sort: tuple[str, ...]
    decreasing: bool
    statuses: tuple[JobStatus, ...]
    limit: int | None


_layout_options = option_group(
    "layout",
    _Layout,
    click.option(
        "-l", "--long", "-p", "--paragraph", "as_paragraphs", is_flag=True, help="Print each one as `show` does."
    ),
    click.option(
        "-t", "--table", "as_table", is_flag=True, help="Print a table of all fields, or of those given by -f."
    ),
    click.option(
        "-f", "--field", "fields", metavar="FIELD", multiple=True, help="Print a table with FIELD; repeatable."
    ),
    JSON_OPTION,
)
_selection_options = option_group(
    "selection",
    _Selection,
    click.option(
        "-s", "--sort", "sort", metavar="FIELD", multiple=True, help="Sort by FIELD, missing values last; repeatable."
    ),
    click.option("-d", "--decreasing", is_flag=True, help="Sort in decreasing order; without -s, newest first."),
    click.option(
        "--status",
        "statuses",
        multiple=True,
        type=click.Choice(JOB_STATUSES),
        help="List only jobs of this status; repeatable.",
    ),
    click.option("--limit", type=click.IntRange(min=0), metavar="N", help="Print at most N (default: all)."),
)


_HELP = f"""List the experiments, or the jobs of the experiment NAME, oldest first.

A FIELD is a column ({", ".join(JOB_COLUMNS)}), a hyperparameter or a result; write hyperparameter.x or result.x where
the bare name is ambiguous.
"""


@click.command("list", help=_HELP, epilog="Example: schedy list MinimizeManual -t -s result -d --limit 10")
@click.argument("name", required=False)
@_layout_options
@_selection_options
@click.pass_context
def list_command(ctx: click.Context, name: str | None, *, layout: _Layout, selection: _Selection) -> None:
    with reader_for(settings_of(ctx)) as reader:
        if name is None:
            _list_experiments(reader, layout, selection)
        else:
            _list_jobs(reader, find_experiment(reader, name), layout, selection)


def _list_experiments(reader: Reader, layout: _Layout, selection: _Selection) -> None:
    if layout.fields or selection.sort or selection.statuses or selection.decreasing:
        raise click.UsageError("-f, -s, -d and --status apply to jobs: name an experiment.")
    experiments = itertools.islice(all_experiments(reader), selection.limit)
    if layout.as_json is not None:
        _print_each(experiments, functools.partial(experiment_json, form=layout.as_json))
    elif layout.as_paragraphs:
        print_paragraphs(map(experiment_paragraph, experiments))
    elif layout.as_table:
        print_table(TABLE_HEADER, map(experiment_row, experiments))
    else:
        _print_each(experiments, experiment_line)


def _list_jobs(reader: Reader, experiment: ExperimentRecord, layout: _Layout, selection: _Selection) -> None:
    as_table = layout.as_table or bool(layout.fields)
    known = FieldsAnswer(hyperparameters=[], results=[])
    if selection.sort or as_table:
        known = reader.ask(GetFields(experiment_uid=experiment.uid))
    jobs = itertools.islice(_selected(reader, experiment, known, selection), selection.limit)
    if layout.as_json is not None:
        _print_each(jobs, functools.partial(job_json, form=layout.as_json))
    elif as_table:
        fields = [parse_field(word, known) for word in layout.fields] or all_fields(known)
        print_table(layout.fields or headings(fields), (job_row(job, fields) for job in jobs))
    elif layout.as_paragraphs:
        print_paragraphs(map(job_paragraph, jobs))
    else:
        _print_each(jobs, job_line)


def _selected(
    reader: Reader, experiment: ExperimentRecord, known: FieldsAnswer, selection: _Selection
) -> Iterator[JobRecord]:
    if not selection.sort and not selection.decreasing:
        return jobs_by_age(reader, experiment, statuses=selection.statuses, limit=selection.limit)
    order = reader.ask(
        GetJobOrder(
            experiment_uid=experiment.uid,
            statuses=list(selection.statuses),
            sort=[parse_field(word, known) for word in selection.sort],
            decreasing=selection.decreasing,
            limit=selection.limit,
        )
    )
    return jobs_at(reader, experiment, order.positions)


def _print_each(items: Iterable[T], line: Callable[[T], str]) -> None:
    for item in items:
        click.echo(line(item))
