"""`schedy list`."""

import functools
import itertools
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import click

from schedy.results.fields import parse_condition, parse_field
from schedy.wire.answers import FieldsAnswer
from schedy.wire.base import JOB_STATUSES, JobStatus
from schedy.wire.records import ExperimentRecord, JobRecord, Standing
from schedy.wire.requests import JOB_COLUMNS, GetFields, GetJobOrder, GetOverviews, SortField, pages
from schedy_cli.context import reader_for, settings_of
from schedy_cli.parsing.fields import all_fields, fields_to_read, objectives_of
from schedy_cli.parsing.option_groups import JSON_OPTION, StatusChoice, option_group
from schedy_cli.printing.experiments import (
    READ_HEADER,
    TABLE_HEADER,
    experiment_json,
    experiment_line,
    experiment_paragraph,
    standing_line,
    standing_read,
    standing_row,
)
from schedy_cli.printing.jobs import headings, job_json, job_line, job_paragraph, job_row
from schedy_cli.printing.tables import print_table
from schedy_cli.printing.text import JsonForm, print_paragraphs
from schedy_cli.reading import Reader, all_experiments, find_experiment, jobs_at, jobs_by_age

T = TypeVar("T")

_LINES_AT_ONCE = 1000


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
    increasing: bool
    statuses: tuple[JobStatus, ...]
    where: tuple[str, ...]
    limit: int | None

    @property
    def is_by_age(self) -> bool:
        """Whether all jobs are listed, or those of some statuses, oldest first."""
        return not self.sort and not self.where and not self.decreasing


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
        "-s",
        "--sort",
        "sort",
        metavar="FIELD",
        multiple=True,
        help="Sort by FIELD, an objective best first, missing values last; repeatable.",
    ),
    click.option("-d", "--decreasing", is_flag=True, help="Sort in decreasing order; without -s, newest first."),
    click.option("--increasing", is_flag=True, help="Sort in increasing order, also by an objective to maximize."),
    click.option(
        "--status",
        "statuses",
        multiple=True,
        type=StatusChoice(JOB_STATUSES),
        help="List only jobs of this status; repeatable.",
    ),
    click.option(
        "--where",
        "where",
        metavar="CONDITION",
        multiple=True,
        help="List only jobs with, for example, 'lr < 0.01'; repeatable, all must hold.",
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
    if selection.decreasing and selection.increasing:
        raise click.UsageError("Give one of --decreasing and --increasing.")
    with reader_for(settings_of(ctx)) as reader:
        if name is None:
            _list_experiments(reader, layout, selection)
        else:
            _list_jobs(reader, find_experiment(reader, name), layout, selection)


def _list_experiments(reader: Reader, layout: _Layout, selection: _Selection) -> None:
    of_jobs = selection.sort or selection.statuses or selection.decreasing or selection.increasing or selection.where
    if layout.fields or of_jobs:
        raise click.UsageError("-f, -s, -d, --increasing, --status and --where apply to jobs: name an experiment.")
    on_terminal = sys.stdout.isatty()
    if layout.as_json is not None:
        _print_each(_experiments(reader, selection), functools.partial(experiment_json, form=layout.as_json))
    elif layout.as_paragraphs:
        print_paragraphs(map(experiment_paragraph, _experiments(reader, selection)))
    elif layout.as_table and on_terminal:
        dull = set(READ_HEADER) - {"name", "status"}
        print_table(READ_HEADER, map(standing_read, _standings(reader, selection)), kept=READ_HEADER[:4], dull=dull)
    elif layout.as_table:
        print_table(TABLE_HEADER, map(standing_row, _standings(reader, selection)))
    elif on_terminal:
        _print_each(_standings(reader, selection), standing_line)
    else:
        _print_each(_experiments(reader, selection), experiment_line)


def _experiments(reader: Reader, selection: _Selection) -> Iterator[ExperimentRecord]:
    return itertools.islice(all_experiments(reader), selection.limit)


def _standings(reader: Reader, selection: _Selection) -> Iterator[Standing]:
    found = (standing for page in pages(reader.ask, GetOverviews()) for standing in page.overviews)
    return itertools.islice(found, selection.limit)


def _list_jobs(reader: Reader, experiment: ExperimentRecord, layout: _Layout, selection: _Selection) -> None:
    as_table = layout.as_table or bool(layout.fields)
    known = FieldsAnswer(hyperparameters=[], results=[])
    if selection.sort or selection.where or as_table:
        known = reader.ask(GetFields(experiment_uid=experiment.uid))
    jobs = itertools.islice(_selected(reader, experiment, known, selection), selection.limit)
    if layout.as_json is not None:
        _print_each(jobs, functools.partial(job_json, form=layout.as_json))
    elif as_table:
        _print_jobs(experiment, jobs, known, layout)
    elif layout.as_paragraphs:
        print_paragraphs(map(job_paragraph, jobs))
    elif selection.is_by_age:
        _print_notes(reader, experiment, selection)
    else:
        _print_each(jobs, job_line)


def _print_jobs(experiment: ExperimentRecord, jobs: Iterable[JobRecord], known: FieldsAnswer, layout: _Layout) -> None:
    """Print a table: of the wanted fields, else of all, and on a terminal without what says nothing."""
    if layout.fields:
        fields = [parse_field(word, known) for word in layout.fields]
        print_table(layout.fields, (job_row(job, fields) for job in jobs), kept=layout.fields)
        return
    objectives = [objective.result for objective in objectives_of(experiment)]
    fields = fields_to_read(known, objectives) if sys.stdout.isatty() else all_fields(known)
    names = headings(fields)
    kept = names[: 2 + len(objectives)]
    print_table(names, (job_row(job, fields) for job in jobs), kept=kept, dull=set(names) - set(kept))


def _selected(
    reader: Reader, experiment: ExperimentRecord, known: FieldsAnswer, selection: _Selection
) -> Iterator[JobRecord]:
    fields = [parse_field(word, known) for word in selection.sort]
    where = [parse_condition(text, known) for text in selection.where]
    if selection.is_by_age:
        return jobs_by_age(reader, experiment, statuses=selection.statuses, limit=selection.limit)
    order = reader.ask(
        GetJobOrder(
            experiment_uid=experiment.uid,
            statuses=list(selection.statuses),
            sort=fields,
            decreasing=selection.decreasing or (not selection.increasing and _is_best_decreasing(experiment, fields)),
            limit=selection.limit,
            where=where,
        )
    )
    return jobs_at(reader, experiment, order.positions)


def _is_best_decreasing(experiment: ExperimentRecord, fields: list[SortField]) -> bool:
    """Tell whether the first field is a result to maximize: the best come first then."""
    first = fields[0] if fields else None
    return first is not None and any(
        objective.direction == "maximize" and first == SortField(source="result", name=objective.result)
        for objective in objectives_of(experiment)
    )


def _print_notes(reader: Reader, experiment: ExperimentRecord, selection: _Selection) -> None:
    """Print the lines of jobs, of which little is read."""
    pages = reader.job_notes(experiment.uid, selection.statuses)
    notes = itertools.islice(itertools.chain.from_iterable(pages), selection.limit)
    while page := list(itertools.islice(notes, _LINES_AT_ONCE)):
        click.echo("\n".join(map(job_line, page)))


def _print_each(items: Iterable[T], line: Callable[[T], str]) -> None:
    for item in items:
        click.echo(line(item))
