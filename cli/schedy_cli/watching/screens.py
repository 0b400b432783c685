"""The screen of one experiment, as lines that fit a terminal of any size."""

from collections.abc import Iterator
from datetime import datetime

from rich.text import Text

from schedy.escaping import printable
from schedy.results.overview import ended_jobs, progress_text, state_text
from schedy.results.rounding import rounded, short_value
from schedy.results.sparkline import sparkline
from schedy.search.definition import Definition, definition_or_empty
from schedy.values_text import format_name
from schedy.wire.answers import OverviewAnswer
from schedy.wire.base import JOB_STATUSES
from schedy.wire.records import JobRecord, RunningJob
from schedy_cli.interruption import schedy_words
from schedy_cli.printing.text import STATUS_COLOURS, age

_BAR = 30
_LABEL = 9
_WORKER = 18
_SPARKS = 30


def experiment_lines(overview: OverviewAnswer, *, width: int, height: int, now: datetime) -> list[Text]:
    """Return the screen of an experiment: the jobs that run stand in the lines that the rest leaves."""
    definition = definition_or_empty(overview.experiment.settings)
    lines = [
        _title(overview, definition),
        _progress(overview, width),
        _counts(overview),
        *_bests(overview, definition, now),
        *_last_jobs(overview, definition, now),
        *_workers(overview),
    ]
    lines.extend(_running(overview, definition, width=width, room=height - len(lines)))
    return [fitted(line, width) for line in lines[:height]]


def fitted(line: Text, width: int) -> Text:
    """Return a line that takes no more than so many columns, with a mark where it was cut."""
    line.truncate(width, overflow="ellipsis")
    return line


def _title(overview: OverviewAnswer, definition: Definition) -> Text:
    goals = (f"{objective.direction} {format_name(objective.result)}" for objective in definition.objectives)
    title = Text(printable(overview.experiment.name), style="bold")
    return title.append(f"  {', '.join([printable(overview.experiment.scheduler), *goals])}", style="not bold")


def _progress(overview: OverviewAnswer, width: int) -> Text:
    ended, line = ended_jobs(overview.experiment), Text()
    if overview.open_jobs is not None and ended + overview.open_jobs:
        whole = min(_BAR, width // 3)
        filled = whole * ended // (ended + overview.open_jobs)
        line.append("━" * filled, style="green").append("━" * (whole - filled), style="dim").append("  ")
    return line.append(f"{progress_text(overview)} ended   ").append(state_text(overview), style="bold")


def _counts(overview: OverviewAnswer) -> Text:
    line = Text()
    for status in JOB_STATUSES:
        if count := overview.experiment.job_counts.get(status, 0):
            line.append(f"{count} ").append(status, style=STATUS_COLOURS[status]).append("  ")
    return line


def _bests(overview: OverviewAnswer, definition: Definition, now: datetime) -> Iterator[Text]:
    for objective, job in zip(definition.objectives, overview.best, strict=False):
        label = "best" if len(definition.objectives) == 1 else f"best {format_name(objective.result)}"
        line = _labelled(label).append(short_value(job.results[objective.result]), style="bold green")
        line.append(f"  {job.job_id}  {_ago(job, now)} ")
        for name, value in job.hyperparameters.items():
            line.append(f"  {format_name(name)} ", style="dim").append(short_value(value))
        yield line


def _last_jobs(overview: OverviewAnswer, definition: Definition, now: datetime) -> Iterator[Text]:
    last, crashed = overview.last_ended, overview.last_crashed
    if last is not None and (crashed is None or crashed.job_id != last.job_id):
        line = _labelled("ended").append(f"{last.job_id}  ").append(last.status, style=STATUS_COLOURS[last.status])
        for objective in definition.objectives:
            if objective.result in last.results:
                line.append(f"  {short_value(last.results[objective.result])}")
        yield line.append(f"  {_ago(last, now)}")
    if crashed is not None:
        error = (crashed.error or "").strip().splitlines()
        line = _labelled("crashed").append(f"{crashed.job_id}  {_ago(crashed, now)}  ")
        yield line.append(printable(error[-1]) if error else "", style="red")
        yield _labelled("").append(printable(schedy_words("output", overview.experiment.name, crashed.job_id)))


def _ago(job: JobRecord, now: datetime) -> str:
    return "" if job.finished_at is None else f"{age((now - job.finished_at).total_seconds())} ago"


def _workers(overview: OverviewAnswer) -> Iterator[Text]:
    experiment = overview.experiment
    if experiment.problem:
        yield _labelled("problem").append(printable(experiment.problem), style="red")
    if overview.workers:
        yield _labelled("workers").append(f"{overview.workers} alive, {overview.busy} of them at work on this")
    elif overview.open_jobs != 0 and experiment.status == "RUNNING" and not experiment.paused:
        words = printable(schedy_words("run", experiment.name, "--"))
        yield Text(f"no worker is alive: start one with `{words} PROGRAM`", style="yellow")


def _labelled(label: str) -> Text:
    return Text(f"{label:<{_LABEL - 1}} ")


def _running(overview: OverviewAnswer, definition: Definition, *, width: int, room: int) -> list[Text]:
    """Return a table of the jobs that run, after a blank line; it says how many do not fit."""
    rows = room - 2
    if not overview.running or rows < 1:
        return []
    total = max(overview.experiment.job_counts.get("RUNNING", 0), len(overview.running))
    shown = overview.running[:rows]
    if len(shown) < total:
        shown = shown[: max(1, rows - 1)]
    name = format_name(definition.objectives[0].result)[:_SPARKS] if definition.objectives else ""
    worker_width = _WORKER + max(0, width - 80) // 2
    heading = f"{'running':<{_LABEL}}{'worker':<{worker_width}}  {'for':>7}  {'step' if name else '':>7}  {name}"
    lines = [Text(), Text(heading.rstrip(), style="dim")]
    lines.extend(_running_line(job, width=width, worker_width=worker_width) for job in shown)
    if len(shown) < total:
        lines.append(Text(f"and {total - len(shown)} more", style="dim"))
    return lines[:room]


def _running_line(job: RunningJob, *, width: int, worker_width: int) -> Text:
    worker = Text(printable((job.worker or "").split(" ")[0]))
    worker.truncate(worker_width, overflow="ellipsis", pad=True)
    step = str(job.steps[-1]) if job.steps else ""
    value = rounded(job.values[-1]) if job.values else ""
    line = Text(f"{job.job_id:<{_LABEL}}").append_text(worker).append(f"  {age(job.seconds):>7}  {step:>7}  ")
    line.append(f"{value:<10}  ")
    notes = "".join(f"  {note}" for note in _notes(job))
    sparks = min(_SPARKS, width - line.cell_len - len(notes))
    line.append(sparkline(job.values[-sparks:]) if sparks > 0 else "", style="cyan")
    return line.append(notes, style="yellow")


def _notes(job: RunningJob) -> Iterator[str]:
    if job.attempt > 1:
        yield f"attempt {job.attempt}"
    if job.silent_seconds is not None:
        yield f"silent {age(job.silent_seconds)}"
    if job.stop is not None:
        yield "stopping"
