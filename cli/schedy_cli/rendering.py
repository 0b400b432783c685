"""How experiments and jobs look: paragraphs, tables, JSON."""

import json
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import click

from schedy.messages import JOB_STATUSES, ExperimentRecord, JobEvent, JobRecord
from schedy_cli.words import format_quality, format_value

_COLOURS = {"QUEUED": "blue", "RUNNING": "cyan", "DONE": "green", "CRASHED": "red", "PRUNED": "yellow"}
_WIDEST_CELL = 40
_WIDTHS_FROM_ROWS = 200


def coloured_status(status: str) -> str:
    """Return a status as the terminal shows it; click drops the colour in a pipe."""
    return click.style(status, fg=_COLOURS.get(status))


def job_paragraph(job: JobRecord, *, verbose: bool = False, events: Sequence[JobEvent] = ()) -> str:
    """Return a job as `show` and `list -l` print it."""
    lines = [
        f"Id: {job.job_id}",
        f"Status: {coloured_status(job.status)}",
        f"Quality: {format_quality(job.quality)}",
        "Hyperparameters:",
        *_items(job.hyperparameters),
        "Results:",
        *_items(job.results),
    ]
    if job.error:
        lines.append(f"Error: {_indented(job.error)}")
    if job.attempt > 1 or (verbose and job.attempt):
        lines.append(f"Attempt: {job.attempt}")
    if verbose:
        lines.extend(_details(job))
    if verbose and events:
        lines.append("Events:")
        lines.extend(f" - {_time(event.at)} {event.kind}: {printable(event.detail + _by(event))}" for event in events)
    return "\n".join(lines)


def _items(values: dict[str, Any]) -> Iterator[str]:
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
            yield f"{label}: {_time(moment)}"


def _by(event: JobEvent) -> str:
    return f" ({event.worker})" if event.worker else ""


def _time(moment: datetime) -> str:
    return moment.astimezone().isoformat(sep=" ", timespec="seconds")


def experiment_paragraph(experiment: ExperimentRecord) -> str:
    """Return an experiment as `show` and `list -l` print it."""
    counts = [(status, experiment.job_counts.get(status, 0)) for status in JOB_STATUSES]
    paused = " (paused)" if experiment.paused else ""
    return "\n".join(
        [
            f"Name: {printable(experiment.name)}",
            f"Status: {experiment.status}{paused}",
            f"Scheduler: {printable(experiment.scheduler)}",
            "Jobs:",
            *(f" - {coloured_status(status)}: {count}" for status, count in counts if count),
        ]
    )


def job_json(job: JobRecord, events: Sequence[JobEvent] | None = None) -> str:
    """Return a job as one line of JSON; NaN and infinities as Python's json writes them."""
    fields = job.model_dump(exclude={"number", "revision", "job_id"})
    if events is not None:
        fields["events"] = [event.model_dump() for event in events]
    return json.dumps({"id": job.job_id, **fields}, default=_json_time)


def experiment_json(experiment: ExperimentRecord) -> str:
    """Return an experiment as one line of JSON."""
    return json.dumps(experiment.model_dump(exclude={"number"}), default=_json_time)


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
