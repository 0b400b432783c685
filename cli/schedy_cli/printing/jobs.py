"""How experiments and jobs look: paragraphs, tables, JSON."""

import json
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import click

from schedy.settings import Settings
from schedy.wire.base import JOB_STATUSES
from schedy.wire.records import ExperimentRecord, JobEvent, JobRecord, Limits
from schedy_cli.parsing.argv import format_quality, format_value

_COLOURS = {"QUEUED": "blue", "RUNNING": "cyan", "DONE": "green", "CRASHED": "red", "PRUNED": "yellow"}
_STOPPING = {
    "cancelled": "it was cancelled.",
    "job_timeout": "it has run for longer than job_timeout allows.",
    "stall_timeout": "it has put nothing for longer than stall_timeout allows.",
}
USUAL_ATTEMPTS = Settings.model_fields["max_attempts"].default
_WIDEST_CELL = 40
_WIDTHS_FROM_ROWS = 200


def coloured_status(status: str) -> str:
    """Return a status as the terminal shows it; click drops the colour in a pipe."""
    return click.style(status, fg=_COLOURS.get(status))


def job_notes(job: JobRecord) -> list[str]:
    """Return what is said beside a job's status in a list: nothing of a job whose first attempt goes well."""
    notes = [f"attempt {job.attempt}"] if job.attempt > 1 else []
    return [*notes, *_troubles(job)]


def _troubles(job: JobRecord) -> list[str]:
    notes = ["stopping"] if job.stop is not None and job.status == "RUNNING" else []
    return notes if job.silent_seconds is None else [*notes, f"silent {age(job.silent_seconds)}"]


def status_cell(job: JobRecord) -> str:
    """Return the status in a table: on a terminal with what is wrong; in a pipe alone, for programs."""
    troubles = _troubles(job) if sys.stdout.isatty() else []
    return coloured_status(job.status) + (f" ({', '.join(troubles)})" if troubles else "")


def age(seconds: float) -> str:
    """Return a duration in the largest unit of which it has two, rounded down."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{int(seconds // length)} {unit}"
    return f"{int(max(0.0, seconds))} s"


def job_paragraph(job: JobRecord, *, verbose: bool = False, events: Sequence[JobEvent] = ()) -> str:
    """Return a job as `show` and `list -l` print it."""
    lines = [
        f"Id: {job.job_id}",
        f"Status: {coloured_status(job.status)}",
        f"Quality: {format_quality(job.quality)}",
        "Hyperparameters:",
        *values_lines(job.hyperparameters),
        "Results:",
        *values_lines(job.results),
    ]
    lines.extend(_remarks(job, verbose=verbose))
    if verbose:
        lines.extend(_details(job))
    if verbose and job.previous_results:
        lines.extend(["Previous results:", *values_lines(job.previous_results)])
    if verbose and events:
        lines.append("Events:")
        lines.extend(
            f" - {local_time(event.at)} {event.kind}: {printable(event.detail + _by(event))}" for event in events
        )
    return "\n".join(lines)


def _remarks(job: JobRecord, *, verbose: bool) -> Iterator[str]:
    """The lines that are there only where they matter."""
    if job.error:
        yield f"Error: {_indented(job.error)}"
    if job.parent is not None:
        yield f"Parent: {printable(job.parent)} (this is generation {job.generation})"
    if job.attempt > 1 or (verbose and job.attempt):
        yield f"Attempt: {job.attempt}"
    if job.silent_seconds is not None:
        yield f"Silent: no sign of life for {age(job.silent_seconds)}"
    if job.stop is not None and job.status == "RUNNING":
        yield f"Stopping: {_STOPPING.get(job.stop, printable(job.stop))}"


def values_lines(values: dict[str, Any]) -> Iterator[str]:
    """Return hyperparameters or results as `show` prints them."""
    return (f" - {shown_name(name)}: {format_value(value)}" for name, value in values.items())


def shown_name(name: str) -> str:
    """Return the name of a hyperparameter or result, as JSON if it cannot be printed."""
    return name if name.isprintable() else format_value(name)


def printable(text: str) -> str:
    """Return a text whose control characters are spelt out, so that none acts on the terminal."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _indented(text: str) -> str:
    return "\n  ".join(printable(line) for line in text.splitlines())


def _details(job: JobRecord) -> Iterator[str]:
    if job.worker:
        yield f"Worker: {printable(job.worker)}"
    for label, moment in (("Created", job.created_at), ("Started", job.started_at), ("Finished", job.finished_at)):
        if moment is not None:
            yield f"{label}: {local_time(moment)}"


def _by(event: JobEvent) -> str:
    return f" ({event.worker})" if event.worker else ""


def local_time(moment: datetime) -> str:
    """Return a time in this machine's time zone."""
    return moment.astimezone().isoformat(sep=" ", timespec="seconds")


def experiment_paragraph(experiment: ExperimentRecord, *, verbose: bool = False) -> str:
    """Return an experiment as `show` and `list -l` print it."""
    counts = [(status, experiment.job_counts.get(status, 0)) for status in JOB_STATUSES]
    lines = [
        f"Name: {printable(experiment.name)}",
        f"Status: {experiment.status}{' (paused)' if experiment.paused else ''}",
        f"Scheduler: {printable(experiment.scheduler)}",
        "Jobs:",
        *(f" - {coloured_status(status)}: {count}" for status, count in counts if count),
    ]
    limits = list(_limits(experiment.limits, verbose=verbose))
    if limits:
        lines.extend(["Limits:", *limits])
    if verbose:
        lines.append(f"Created: {local_time(experiment.created_at)}")
    return "\n".join(lines)


def _limits(limits: Limits, *, verbose: bool) -> Iterator[str]:
    """The limits that are set; the maximum of attempts always is, so it is shown where it is not the usual one."""
    if limits.max_attempts is not None and (verbose or limits.max_attempts != USUAL_ATTEMPTS):
        yield f" - max_attempts: {limits.max_attempts}"
    for name, seconds in (("job_timeout", limits.job_timeout), ("stall_timeout", limits.stall_timeout)):
        if seconds is not None:
            yield f" - {name}: {int(seconds) if seconds.is_integer() else seconds}"
    if limits.retry_timeouts:
        yield " - retry_timeouts: true"


def job_json(job: JobRecord, events: Sequence[JobEvent] | None = None) -> str:
    """Return a job as one line of JSON; NaN and infinities as Python's json writes them."""
    fields = job.model_dump(exclude={"position", "revision", "job_id"})
    if events is not None:
        fields["events"] = [event.model_dump() for event in events]
    return any_json({"id": job.job_id, **fields})


def experiment_json(experiment: ExperimentRecord) -> str:
    """Return an experiment as one line of JSON."""
    return any_json(experiment.model_dump(exclude={"position"}))


def any_json(fields: dict[str, Any]) -> str:
    """Return fields as one line of JSON."""
    return json.dumps(fields, default=_json_time)


def _json_time(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(type(value).__name__)


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table: aligned on a terminal, separated by tabs in a pipe, so that `cut` and spreadsheets read it."""
    if not sys.stdout.isatty():
        for row in (header, *rows) if isinstance(rows, list) else _chain(header, rows):
            click.echo("\t".join(row))
        return
    pending: list[Sequence[str]] = []
    iterator = iter(rows)
    for row in iterator:
        pending.append(row)
        if len(pending) >= _WIDTHS_FROM_ROWS:
            break
    widths = [
        min(_WIDEST_CELL, max(len(click.unstyle(row[column])) for row in [header, *pending]))
        for column in range(len(header))
    ]
    limit = shutil.get_terminal_size().columns
    click.secho(_aligned(header, widths)[:limit].rstrip(), bold=True)
    for row in _chain(None, pending, iterator):
        click.echo(_aligned(row, widths).rstrip())


def _chain(header: Sequence[str] | None, *parts: Iterable[Sequence[str]]) -> Iterator[Sequence[str]]:
    if header is not None:
        yield header
    for part in parts:
        yield from part


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell + " " * (width - len(click.unstyle(cell))) for cell, width in zip(row, widths, strict=True))
