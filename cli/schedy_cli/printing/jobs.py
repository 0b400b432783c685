"""Jobs: paragraphs, lines and cells of a list, JSON."""

import itertools
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime

from schedy.escaping import printable
from schedy.results.lines import JobNote
from schedy.results.rounding import rounded, short_value
from schedy.values_text import format_name, format_quality, format_value
from schedy.wire.base import FINAL_STATUSES
from schedy.wire.records import MANY_RELEASES, JobEvent, JobRecord
from schedy.wire.requests import SortField
from schedy.wire.stopping import stop_text
from schedy_cli.printing.events import event_fields
from schedy_cli.printing.text import JsonForm, age, coloured_status, json_line, local_time, short_time, values_lines


def job_paragraph(
    job: JobRecord, *, verbose: bool = False, events: Sequence[JobEvent] = (), traceback: str | None = None
) -> str:
    """Return a job as `show` and `list -l` print it. `traceback`: that of its error, or the command that prints it."""
    lines = [
        f"Id: {job.job_id}",
        f"Status: {coloured_status(job.status)}",
        f"Quality: {format_quality(job.quality)}",
        "Hyperparameters:",
        *values_lines(job.hyperparameters),
        "Results:",
        *values_lines(job.results),
        *_remarks(job, traceback, verbose=verbose),
    ]
    if verbose:
        lines.extend(_details(job, events))
    return "\n".join(lines)


def _remarks(job: JobRecord, traceback: str | None, *, verbose: bool) -> Iterator[str]:
    """Return the lines that are printed only where they matter."""
    if job.error:
        yield f"Error: {_indented(job.error)}"
    if traceback:
        yield f"Traceback:\n  {_indented(traceback)}"
    if job.parent is not None:
        yield f"Parent: {printable(job.parent)} (this is generation {job.generation})"
    if job.attempt > 1 or (verbose and job.attempt):
        yield f"Attempt: {job.attempt}"
    if job.releases > 1 and job.status not in FINAL_STATUSES:
        yield f"Given back: {job.releases} times in a row without a report"
    if job.silent_seconds is not None:
        yield f"Silent: no sign of life for {age(job.silent_seconds)}"
    if job.stop is not None and job.status == "RUNNING":
        yield f"Stopping: {stop_text(job.stop)}"


def _indented(text: str) -> str:
    return "\n  ".join(printable(line) for line in text.splitlines())


def _details(job: JobRecord, events: Sequence[JobEvent]) -> Iterator[str]:
    """Return the further lines of `show -v`."""
    if job.worker:
        yield f"Worker: {printable(job.worker)}"
    for label, moment in (("Created", job.created_at), ("Started", job.started_at), ("Finished", job.finished_at)):
        if moment is not None:
            yield f"{label}: {local_time(moment)}"
    if job.previous_results:
        yield "Previous results:"
        yield from values_lines(job.previous_results)
    if events:
        yield "Events:"
    for event in events:
        worker = f" ({event.worker})" if event.worker else ""
        yield f" - {local_time(event.at)} {event.kind}: {printable(event.detail + worker)}"


def job_json(
    job: JobRecord, form: JsonForm, events: Sequence[JobEvent] | None = None, *, traceback: str | None = None
) -> str:
    """Return a job as one line of JSON, with its events if they are given, and then with its traceback."""
    fields = {"id": job.job_id, **job.model_dump(exclude={"position", "revision", "job_id"})}
    if events is not None:
        fields["traceback"] = traceback
        fields["events"] = [event_fields(event) for event in events]
    return json_line(fields, form)


def beside(jobs: Sequence[JobRecord]) -> tuple[list[str], list[list[str]]]:
    """Return the heading and the rows of a table with a column for each job, and a row for each thing that it has."""
    names = [SortField(source="column", name=name) for name in ("status", "quality")]
    for source in ("result", "hyperparameter"):
        values = [job.results if source == "result" else job.hyperparameters for job in jobs]
        names += [SortField(source=source, name=name) for name in dict.fromkeys(itertools.chain(*values))]
    names += [SortField(source="column", name=name) for name in ("attempt", "worker")]
    columns = [job_row(job, names) for job in jobs]
    rows = [[name, *cells] for name, *cells in zip(headings(names), *columns, strict=True)]
    return ["job", *(job.job_id for job in jobs)], rows


def job_line(job: JobRecord | JobNote) -> str:
    """Return a job as `list` prints it: id and status, and a third column only where there is something to note."""
    notes = ", ".join(job_notes(job))
    return f"{job.job_id}\t{coloured_status(job.status)}" + (f"\t{notes}" if notes else "")


def job_notes(job: JobRecord | JobNote) -> list[str]:
    """Return the notes beside the status of a job in a list: none for a first attempt without trouble."""
    notes = [f"attempt {job.attempt}"] if job.attempt > 1 else []
    return [*notes, *_troubles(job)]


def _troubles(job: JobRecord | JobNote) -> list[str]:
    notes = ["stopping"] if job.stop is not None and job.status == "RUNNING" else []
    if job.releases >= MANY_RELEASES and job.status not in FINAL_STATUSES:
        notes.append(f"given back {job.releases} times")
    return notes if job.silent_seconds is None else [*notes, f"silent {age(job.silent_seconds)}"]


def headings(fields: Sequence[SortField]) -> list[str]:
    """Return the headings of a table of these fields, with the source where a hyperparameter and a result share one."""
    names = [field.name for field in fields]
    return [
        format_name(field.name)
        if names.count(field.name) == 1 or field.source == "column"
        else format_name(f"{field.source}.{field.name}")
        for field in fields
    ]


def job_row(job: JobRecord, fields: Sequence[SortField]) -> list[str]:
    """Return these fields of a job as the cells of a table: in a pipe in full, on a terminal as people read them."""
    return [_cell(job, field, is_short=sys.stdout.isatty()) for field in fields]


def _cell(job: JobRecord, field: SortField, *, is_short: bool) -> str:
    if field.source == "column":
        return _column(job, field.name, is_short=is_short)
    values = job.hyperparameters if field.source == "hyperparameter" else job.results
    if field.name not in values:
        return ""
    return short_value(values[field.name]) if is_short else format_value(values[field.name])


def _column(job: JobRecord, name: str, *, is_short: bool) -> str:
    if name == "id":
        return job.job_id
    if name == "status":
        return _status_cell(job)
    if name == "quality":
        return rounded(job.quality) if is_short else format_quality(job.quality)
    value = getattr(job, name)
    if value is None:
        return ""
    if isinstance(value, datetime):
        return short_time(value) if is_short else value.isoformat(timespec="seconds")
    return printable(" ".join(str(value).split()))


def _status_cell(job: JobRecord) -> str:
    """Return the status: on a terminal with the troubles of the job; in a pipe alone, for programs."""
    troubles = _troubles(job) if sys.stdout.isatty() else []
    return coloured_status(job.status) + (f" ({', '.join(troubles)})" if troubles else "")
