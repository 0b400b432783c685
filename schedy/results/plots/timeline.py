"""Which worker ran which job when: who was busy, who waited, who crashed or was lost."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC

from schedy.errors import NotFoundError
from schedy.results.plots.axes import Axis, number_axis
from schedy.results.plots.data import Plot
from schedy.results.plots.source import Attempt, Source
from schedy.results.rounding import duration

_MOST_ROWS = 40
_UNITS = (("days", 86_400.0, 2.0), ("hours", 3_600.0, 2.0), ("minutes", 60.0, 2.0), ("seconds", 1.0, 0.0))
"""With the number of each from which a timeline has it as its unit."""
STATUSES = ("DONE", "PRUNED", "CRASHED", "LOST", "RELEASED", "RUNNING")


@dataclass(frozen=True)
class Bar:
    """An attempt in a row, from `start` for `length` units of the axis."""

    row: int
    start: float
    length: float
    status: str
    text: str


@dataclass(frozen=True)
class Timeline(Plot):
    """Bars in rows, from the top; a worker has a row for each job that it runs at once, the first with its name."""

    x: Axis
    rows: list[str]
    bars: list[Bar]


def timeline(source: Source) -> Timeline:
    """Return the attempts of each worker. Raises NotFoundError if no worker has run a job."""
    attempts = sorted(source.attempts, key=lambda attempt: attempt.start)
    if not attempts:
        raise NotFoundError(f"{source.name} has no timeline: no worker has run one of its jobs.")
    begin, end = attempts[0].start, max(attempt.end for attempt in attempts)
    whole = (end - begin).total_seconds()
    unit, length = next((unit, length) for unit, length, least in _UNITS if whole >= least * length)
    lanes = _lanes(attempts)
    shown = lanes[:_MOST_ROWS]
    bars = [
        Bar(
            row,
            (attempt.start - begin).total_seconds() / length,
            (attempt.end - attempt.start).total_seconds() / length,
            attempt.status,
            _told(attempt),
        )
        for row, (_name, lane) in enumerate(shown)
        for attempt in lane
    ]
    notes = []
    if source.ended > len(source.jobs):
        notes.append(f"The latest {len(attempts):,} attempts are drawn.")
    if len(lanes) > len(shown):
        notes.append(f"The {len(shown)} of {len(lanes)} rows that began first are drawn.")
    x = number_axis(f"{unit} since {begin.astimezone(UTC):%Y-%m-%d %H:%M} UTC", [0.0, whole / length], log=False)
    x = Axis(x.label, -0.01 * whole / length, x.high, tuple(tick for tick in x.ticks if tick[0] >= 0))
    return Timeline("What each worker did", " ".join(notes), x, [name for name, _lane in shown], bars)


def _lanes(attempts: Sequence[Attempt]) -> list[tuple[str, list[Attempt]]]:
    """Return the rows: attempts of one worker that do not overlap, workers in the order of their first."""
    workers: dict[str, list[list[Attempt]]] = {}
    for attempt in attempts:
        lanes = workers.setdefault(attempt.worker, [])
        free = next((lane for lane in lanes if lane[-1].end <= attempt.start), None)
        if free is None:
            lanes.append([attempt])
        else:
            free.append(attempt)
    return [
        (worker.split(" ")[0] if number == 0 else "", lane)
        for worker, lanes in workers.items()
        for number, lane in enumerate(lanes)
    ]


def _told(attempt: Attempt) -> str:
    seconds = (attempt.end - attempt.start).total_seconds()
    lines = [f"{attempt.job_id}  {attempt.status}", f"attempt {attempt.number}, {duration(seconds)}", attempt.worker]
    if attempt.error:
        lines.append(attempt.error.strip().splitlines()[-1][:120])
    return "\n".join(lines)
