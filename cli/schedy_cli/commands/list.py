"""`schedy list` and `schedy show`."""

import difflib
import itertools
import sys
from collections.abc import Callable, Iterator
from typing import Any

import click

from schedy.wire.answers import FieldsAnswer
from schedy.wire.base import JOB_STATUSES
from schedy.wire.records import ExperimentRecord, JobRecord
from schedy.wire.requests import GetCurve, GetExperiments, GetFields, GetJobOrder, GetJobs, SortField, pages
from schedy_cli.context import Reader, find_experiment, reader_for, settings_of
from schedy_cli.parsing.argv import format_quality, format_value
from schedy_cli.parsing.definition_files import definition_text
from schedy_cli.printing import jobs as rendering
from schedy_cli.printing.curves import curve_lines
from schedy_cli.printing.experiments import search_lines

_PAGE = 500
_COLUMNS = ("id", "status", "quality", "created_at", "started_at", "finished_at", "worker", "attempt", "error")
JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")


@click.command("list")
@click.argument("name", required=False)
@click.option("-l", "--long", "as_long", is_flag=True, help="Print each as `show` does.")
@click.option("-p", "--paragraph", "as_paragraph", is_flag=True, help="The same as -l.")
@click.option("-t", "--table", "as_table", is_flag=True, help="Print a table of all fields, or of those given by -f.")
@click.option("-s", "--sort", "sort", metavar="FIELD", multiple=True, help="Sort by FIELD; missing values last.")
@click.option("-d", "--decreasing", is_flag=True, help="Sort from high to low; without -s, newest first.")
@click.option("-f", "--field", "fields", metavar="FIELD", multiple=True, help="A column of the table; implies -t.")
@click.option("--status", "statuses", multiple=True, type=click.Choice(JOB_STATUSES), help="Only jobs of this status.")
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="Print no more than N.")
@JSON_OPTION
@click.pass_context
def list_command(ctx: click.Context, /, name: str | None, **options: Any) -> None:
    """List the experiments, or the jobs of the experiment NAME, oldest first.

    A FIELD is a column (id, status, quality, created_at, started_at, finished_at, worker, attempt, error), a
    hyperparameter or a result; write hyperparameter.x or result.x where the bare name is ambiguous.
    """
    with reader_for(settings_of(ctx)) as reader:
        if name is None:
            _list_experiments(reader, options)
        else:
            _list_jobs(reader, find_experiment(reader, name), options)


@click.command("show")
@click.argument("name")
@click.argument("job", required=False)
@click.option("-v", "--verbose", is_flag=True, help="Also worker, attempt, times and what happened on the way.")
@click.option("--definition", "as_definition", is_flag=True, help="Print the file by which `add --from` repeats it.")
@JSON_OPTION
@click.pass_context
def show_command(
    ctx: click.Context, /, name: str, job: str | None, *, verbose: bool, as_definition: bool, as_json: bool
) -> None:
    """Show the experiment NAME, or one JOB of it."""
    if as_definition and (job is not None or verbose or as_json):
        raise click.UsageError("--definition is of an experiment, and JSON: leave out JOB, -v and --json.")
    with reader_for(settings_of(ctx)) as reader:
        experiment = find_experiment(reader, name)
        if as_definition:
            click.echo(definition_text(experiment))
            return
        if job is None:
            paragraph = _experiment_paragraph(experiment, verbose=verbose)
            click.echo(rendering.experiment_json(experiment) if as_json else paragraph)
            return
        answer = reader.ask(GetJobs(experiment_uid=experiment.uid, job_id=job))
        found = answer.jobs[0]
        if as_json:
            click.echo(rendering.job_json(found, answer.events))
        else:
            click.echo(rendering.job_paragraph(found, verbose=verbose, events=answer.events))
            _print_curve(reader, experiment, found)


def _print_curve(reader: Reader, experiment: ExperimentRecord, job: JobRecord) -> None:
    answer = reader.ask(GetCurve(experiment_uid=experiment.uid, job_id=job.job_id))
    for line in curve_lines(answer.points):
        click.echo(line)


def _list_experiments(reader: Reader, options: dict[str, Any]) -> None:
    for option in ("sort", "fields", "statuses", "decreasing"):
        if options[option]:
            raise click.UsageError("Sorting, fields and statuses are of jobs: name an experiment.")
    experiments = itertools.islice(_all_experiments(reader), options["limit"])
    if options["as_json"]:
        _print_each(experiments, rendering.experiment_json)
    elif options["as_long"] or options["as_paragraph"]:
        _print_paragraphs(_experiment_paragraph(experiment) for experiment in experiments)
    elif options["as_table"]:
        header = ["name", "status", "scheduler", *(status.lower() for status in JOB_STATUSES)]
        rendering.print_table(header, (_experiment_row(experiment) for experiment in experiments))
    else:
        _print_each(experiments, _experiment_line)


def _experiment_paragraph(experiment: ExperimentRecord, *, verbose: bool = False) -> str:
    return "\n".join([rendering.experiment_paragraph(experiment, verbose=verbose), *search_lines(experiment)])


def _experiment_line(experiment: ExperimentRecord) -> str:
    paused = "\tpaused" if experiment.paused else ""
    return f"{rendering.printable(experiment.name)}\t{experiment.status}{paused}"


def _experiment_row(experiment: ExperimentRecord) -> list[str]:
    counts = [str(experiment.job_counts.get(status, 0)) for status in JOB_STATUSES]
    status = f"{experiment.status} (paused)" if experiment.paused and sys.stdout.isatty() else experiment.status
    return [*map(rendering.printable, (experiment.name, status, experiment.scheduler)), *counts]


def _all_experiments(reader: Reader) -> Iterator[ExperimentRecord]:
    for page in pages(reader.ask, GetExperiments()):
        yield from page.experiments


def _list_jobs(reader: Reader, experiment: ExperimentRecord, options: dict[str, Any]) -> None:
    as_table = options["as_table"] or options["fields"]
    known = (
        _known_fields(reader, experiment)
        if options["sort"] or as_table
        else FieldsAnswer(hyperparameters=[], results=[])
    )
    jobs = itertools.islice(_jobs(reader, experiment, known, options), options["limit"])
    if options["as_json"]:
        _print_each(jobs, rendering.job_json)
    elif as_table:
        fields = [_field(word, known) for word in options["fields"]] or _all_fields(known)
        header = list(options["fields"]) or _headings(fields)
        rendering.print_table(header, ([_cell(job, field) for field in fields] for job in jobs))
    elif options["as_long"] or options["as_paragraph"]:
        _print_paragraphs(rendering.job_paragraph(job) for job in jobs)
    else:
        _print_each(jobs, _job_line)


def _job_line(job: JobRecord) -> str:
    """Id and status; a third column only where there is something to note."""
    notes = ", ".join(rendering.job_notes(job))
    return f"{job.job_id}\t{rendering.coloured_status(job.status)}" + (f"\t{notes}" if notes else "")


def _jobs(
    reader: Reader, experiment: ExperimentRecord, known: FieldsAnswer, options: dict[str, Any]
) -> Iterator[JobRecord]:
    statuses = list(options["statuses"])
    if not options["sort"] and not options["decreasing"]:
        yield from jobs_by_age(reader, experiment, statuses, options["limit"])
        return
    order = reader.ask(
        GetJobOrder(
            experiment_uid=experiment.uid,
            statuses=statuses,
            sort=[_field(word, known) for word in options["sort"]],
            decreasing=options["decreasing"],
            limit=options["limit"],
        )
    )
    yield from _jobs_at(reader, experiment, order.positions)


def _jobs_at(reader: Reader, experiment: ExperimentRecord, positions: list[int]) -> Iterator[JobRecord]:
    """Read jobs in the order of these positions, without those deleted meanwhile; large ones come in more pages."""
    start = 0
    while start < len(positions):
        page = positions[start : start + _PAGE]
        answer = reader.ask(GetJobs(experiment_uid=experiment.uid, positions=page))
        yield from answer.jobs
        start += page.index(answer.jobs[-1].position) + 1 if answer.more else len(page)


def jobs_by_age(
    reader: Reader, experiment: ExperimentRecord, statuses: list[Any], limit: int | None = None
) -> Iterator[JobRecord]:
    """Read the jobs of an experiment, of these statuses or of all, oldest first and page by page."""
    size = _PAGE if limit is None else max(1, min(limit, _PAGE))
    for page in pages(reader.ask, GetJobs(experiment_uid=experiment.uid, statuses=statuses, limit=size)):
        yield from page.jobs


def _known_fields(reader: Reader, experiment: ExperimentRecord) -> FieldsAnswer:
    return reader.ask(GetFields(experiment_uid=experiment.uid))


def _field(word: str, known: FieldsAnswer) -> SortField:
    """Return the field that a word means. Raises click.UsageError if none or several."""
    prefix, _, rest = word.partition(".")
    if prefix == "hyperparameter" and rest in known.hyperparameters:
        return SortField(source="hyperparameter", name=rest)
    if prefix == "result" and rest in known.results:
        return SortField(source="result", name=rest)
    found = [SortField(source="column", name=word)] if word in _COLUMNS else []
    if word in known.hyperparameters:
        found.append(SortField(source="hyperparameter", name=word))
    if word in known.results:
        found.append(SortField(source="result", name=word))
    if len(found) == 1:
        return found[0]
    if found:
        ways = " or ".join(f"{field.source}.{word}" for field in found if field.source != "column")
        if found[0].source == "column":
            return found[0]
        raise click.UsageError(f"The field {word!r} is ambiguous: write {ways}.")
    names = [*_COLUMNS, *known.hyperparameters, *known.results]
    close = difflib.get_close_matches(word, names, n=3)
    raise click.UsageError(f"No job has a field {word!r}. {_suggestion(close, names)}")


def _suggestion(close: list[str], names: list[str]) -> str:
    if close:
        return f"Did you mean {' or '.join(repr(name) for name in close)}?"
    return f"There are: {', '.join(rendering.shown_name(name) for name in names)}."


def _all_fields(known: FieldsAnswer) -> list[SortField]:
    names = ("id", "status", "quality", *(["attempt"] if known.most_attempts > 1 else []))
    columns = [SortField(source="column", name=name) for name in names]
    columns += [SortField(source="hyperparameter", name=name) for name in known.hyperparameters]
    return columns + [SortField(source="result", name=name) for name in known.results]


def _headings(fields: list[SortField]) -> list[str]:
    names = [field.name for field in fields]
    return [
        rendering.shown_name(field.name)
        if names.count(field.name) == 1 or field.source == "column"
        else rendering.shown_name(f"{field.source}.{field.name}")
        for field in fields
    ]


def _cell(job: JobRecord, field: SortField) -> str:
    if field.source == "column":
        return _column(job, field.name)
    values = job.hyperparameters if field.source == "hyperparameter" else job.results
    return format_value(values[field.name]) if field.name in values else ""


def _column(job: JobRecord, name: str) -> str:
    if name == "id":
        return job.job_id
    if name == "status":
        return rendering.status_cell(job)
    if name == "quality":
        return format_quality(job.quality)
    value = getattr(job, name)
    if value is None:
        return ""
    if name.endswith("_at"):
        return str(value.isoformat(timespec="seconds"))
    return rendering.printable(" ".join(str(value).split()))


def _print_each(items: Iterator[Any], render: Callable[[Any], str]) -> None:
    for item in items:
        click.echo(render(item))


def _print_paragraphs(paragraphs: Iterator[str]) -> None:
    for place, paragraph in enumerate(paragraphs):
        if place:
            click.echo()
        click.echo(paragraph)
