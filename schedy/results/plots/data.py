"""What plots show, as numbers and texts: pure functions of what was read, shared by all libraries that draw.

Each raises NotFoundError, saying why, if there is nothing to plot.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from schedy.errors import NotFoundError
from schedy.results.best import NAME_A_RESULT, pareto_front
from schedy.results.overview import run_seconds
from schedy.results.plots.axes import Axis, drawable, number_axis, short
from schedy.results.plots.source import Source
from schedy.results.rounding import duration, rounded, short_value
from schedy.search.definition import Definition, Objective
from schedy.wire.base import CRASHED, DONE, PRUNED
from schedy.wire.records import JobRecord

_NAMED = 8
"""Hyperparameters in the text of a job."""
_ERROR_CHARACTERS = 120


@dataclass(frozen=True)
class Plot:
    """A plot; `note` says what is not in it, in sentences."""

    title: str
    note: str


@dataclass
class Dots:
    """Points, with the text that tells of each."""

    x: list[float] = field(default_factory=list)
    y: list[float] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def add(self, x: float, y: float, text: str) -> None:
        self.x.append(x)
        self.y.append(y)
        self.texts.append(text)


@dataclass(frozen=True)
class Measure:
    """What a job is judged by: an objective, or its quality where there is none."""

    name: str
    objective: Objective | None = None
    is_only: bool = True

    @property
    def worst(self) -> Literal["low", "high"] | None:
        """The end of an axis at which bad values are."""
        if self.objective is None:
            return None
        return "high" if self.objective.direction == "minimize" else "low"

    def value(self, job: JobRecord) -> float | None:
        """Return the value of a job; of a PRUNED one the last of its curve, where it is the quality."""
        if self.objective is None:
            return drawable(job.quality)
        value = drawable(job.results.get(self.objective.result))
        return drawable(job.quality) if value is None and self.is_only and job.status == PRUNED else value

    def better(self, one: float, other: float) -> bool:
        """Return True if `one` is better than `other`."""
        return self.objective is not None and self.objective.better(one, other)


@dataclass(frozen=True)
class History(Plot):
    """The value of each job in the order in which they ended, and the best so far as steps.

    `outside` lie beyond the end of the axis, where they are drawn, as the CRASHED ones are.
    """

    x: Axis
    y: Axis
    done: Dots
    pruned: Dots
    broken: Dots
    outside: Dots
    crashed: Dots
    best: Dots


@dataclass(frozen=True)
class Front(Plot):
    """The values of two objectives, and the jobs that no other beats."""

    x: Axis
    y: Axis
    done: Dots
    pruned: Dots
    broken: Dots
    front: Dots


@dataclass(frozen=True)
class Line:
    """A learning curve; `is_best` for one of the best jobs."""

    text: str
    status: str
    x: list[float]
    y: list[float]
    is_best: bool = False


@dataclass(frozen=True)
class Curves(Plot):
    x: Axis
    y: Axis
    lines: list[Line]


def measures(definition: Definition) -> list[Measure]:
    """Return what the jobs are judged by."""
    objectives = definition.objectives
    if not objectives:
        return [Measure("quality")]
    return [Measure(each.result, each, is_only=len(objectives) == 1) for each in objectives]


def keeps(definition: Definition, job: JobRecord) -> bool:
    """Return whether a job keeps the constraints."""
    for constraint in definition.constraints:
        value = drawable(job.results.get(constraint.result))
        if value is None or constraint.violation(value) > 0:
            return False
    return True


def told(job: JobRecord, *values: tuple[str, float]) -> str:
    """Return the lines that tell of a job."""
    lines = [f"{job.job_id}  {job.status}", *(f"{name} {rounded(value)}" for name, value in values)]
    shown = list(job.hyperparameters.items())[:_NAMED]
    lines.extend(f"{short(name)} {short(short_value(value))}" for name, value in shown)
    if (seconds := run_seconds(job)) is not None:
        lines.append(duration(seconds))
    if job.error:
        lines.append(job.error.strip().splitlines()[-1][:_ERROR_CHARACTERS])
    return "\n".join(lines)


def valued(source: Source, measure: Measure, statuses: Sequence[str]) -> list[tuple[int, JobRecord, float]]:
    """Return the jobs of these statuses that have a value, with their places. Raises NotFoundError if none has."""
    jobs = zip(source.places, source.jobs, strict=True)
    found = [
        (place, job, value)
        for place, job in jobs
        if job.status in statuses and (value := measure.value(job)) is not None
    ]
    if not found or (measure.objective is None and not any(value for _place, _job, value in found)):
        raise NotFoundError(_why_no_value(source, measure))
    return found


def _why_no_value(source: Source, measure: Measure) -> str:
    if not source.jobs:
        return f"{source.name} has nothing to plot yet: none of its jobs has ended."
    if measure.objective is None:
        return f"{source.name} has no objective, and its jobs have no quality: nothing to plot. {NAME_A_RESULT}"
    done = sum(job.status == DONE for job in source.jobs)
    return (
        f"{source.name} has nothing to plot: none of its {len(source.jobs)} jobs that have ended ({done} DONE) has a"
        f" number for {measure.name!r}."
    )


def history(source: Source, measure: Measure) -> History:
    """Return the history of one objective."""
    found = valued(source, measure, (DONE, PRUNED))
    y = number_axis(short(measure.name), _axis_values(source, found), worst=measure.worst)
    x = number_axis("jobs that have ended", [1, max(source.places)], whole=True, log=False)
    dots = {name: Dots() for name in ("done", "pruned", "broken", "outside", "crashed")}
    best = Dots()
    record: float | None = None
    for place, job, value in found:
        kept = keeps(source.definition, job)
        kind = "pruned" if job.status == PRUNED else "done" if kept else "broken"
        kind = "outside" if kind != "pruned" and not y.shows(value) else kind
        dots[kind].add(place, y.place(value), told(job, (measure.name, value)))
        if job.status == DONE and kept and (record is None or measure.better(value, record)):
            record = value
            best.add(place, y.place(value), told(job, (measure.name, value)))
    if best.x and measure.objective is not None:
        best.add(max(source.places), best.y[-1], best.texts[-1])
    edge = y.high_edge if measure.worst == "high" else y.low_edge
    for place, job in zip(source.places, source.jobs, strict=True):
        if job.status == CRASHED:
            dots["crashed"].add(place, edge, told(job))
    notes = [source.note, _outside_note(sum(not y.shows(value) for *_job, value in found))]
    title = f"{short(measure.name)} of each job" + (", and the best so far" if measure.objective else "")
    return History(title, _sentences(notes), x, y, **dots, best=best if measure.objective else Dots())


def _axis_values(source: Source, found: Iterable[tuple[int, JobRecord, float]]) -> list[float]:
    """Return the values that an axis is made for: those of DONE jobs, if there are any."""
    found = list(found)
    return [value for _place, job, value in found if job.status == DONE] or [value for _place, _job, value in found]


def _outside_note(count: int) -> str:
    if not count:
        return ""
    if count == 1:
        return "One value lies beyond the axis and is drawn at its end."
    return f"{count:,} values lie beyond the axis and are drawn at its end."


def _sentences(notes: Iterable[str]) -> str:
    return " ".join(filter(None, notes))


def front(source: Source) -> Front:
    """Return the values of the first two objectives, with the Pareto front of all of them."""
    all_measures = measures(source.definition)
    first, second = all_measures[:2]
    points = [(job, first.value(job), second.value(job)) for job in source.jobs if job.status in (DONE, PRUNED)]
    there = [(job, one, two) for job, one, two in points if one is not None and two is not None]
    if not there:
        raise NotFoundError(
            f"{source.name} has nothing to plot: no job has numbers for both {first.name!r} and {second.name!r}."
        )
    x = number_axis(short(first.name), [one for _job, one, _two in there], worst=first.worst)
    y = number_axis(short(second.name), [two for _job, _one, two in there], worst=second.worst)
    best = {id(job) for job in _front_jobs(source, all_measures)}
    dots = {name: Dots() for name in ("done", "pruned", "broken", "front")}
    for job, one, two in there:
        kept = keeps(source.definition, job)
        kind = "front" if id(job) in best else "pruned" if job.status == PRUNED else "done" if kept else "broken"
        dots[kind].add(x.place(one), y.place(two), told(job, (first.name, one), (second.name, two)))
    in_order = sorted(zip(dots["front"].x, dots["front"].y, dots["front"].texts, strict=True))
    dots["front"] = Dots(*map(list, zip(*in_order, strict=True))) if in_order else Dots()
    others = len(all_measures) - 2
    notes = [source.note, f"The front is that of all {len(all_measures)} objectives." if others else ""]
    return Front(f"Pareto front of {short(first.name)} and {short(second.name)}", _sentences(notes), x, y, **dots)


def _front_jobs(source: Source, all_measures: Sequence[Measure]) -> list[JobRecord]:
    kept = [job for job in source.jobs if job.status == DONE and keeps(source.definition, job)]
    rows = ((job, [measure.value(job) for measure in all_measures]) for job in kept)
    numbered = ((job, [v for v in values if v is not None]) for job, values in rows if None not in values)
    return pareto_front(numbered, source.definition.objectives)


def curve_names(source: Source) -> list[str]:
    """Return the names in learning curves, those of the objectives first."""
    names = {name: None for points in source.curves.values() for point in points for name in point.values}
    objectives = [objective.result for objective in source.definition.objectives]
    return [name for name in objectives if name in names] + [name for name in names if name not in objectives]


def curves(source: Source, name: str) -> Curves:
    """Return the learning curves of a name of all jobs."""
    measure = next((each for each in measures(source.definition) if each.name == name), Measure(name))
    jobs = [*source.jobs, *source.running]
    best = _best_ids(source, measure)
    lines = [line for job in jobs if (line := _line(source, job, name, is_best=job.job_id in best)) is not None]
    if not lines:
        raise NotFoundError(f"{source.name} has no learning curve of {name!r}: jobs report none (job.report).")
    x = number_axis("step", [step for line in lines for step in (line.x[0], line.x[-1])], whole=True, log=False)
    y = number_axis(short(name), [value for line in lines for value in line.y], worst=measure.worst)
    placed = [Line(line.text, line.status, line.x, list(map(y.place, line.y)), line.is_best) for line in lines]
    placed.sort(key=lambda line: (line.is_best, line.status == DONE))
    return Curves(f"Learning curves of {short(name)}", source.note, x, y, placed)


def _best_ids(source: Source, measure: Measure) -> set[str]:
    if measure.objective is None:
        return set()
    kept = [job for job in source.jobs if job.status == DONE and keeps(source.definition, job)]
    values = [(value, job.job_id) for job in kept if (value := measure.value(job)) is not None]
    values.sort(reverse=measure.objective.direction == "maximize")
    return {job_id for _value, job_id in values[:_BEST_CURVES]}


_BEST_CURVES = 5


def _line(source: Source, job: JobRecord, name: str, *, is_best: bool) -> Line | None:
    points = source.curves.get(job.job_id, [])
    pairs = [(point.step, value) for point in points if (value := drawable(point.values.get(name))) is not None]
    if not pairs:
        return None
    x, y = [float(step) for step, _value in pairs], [value for _step, value in pairs]
    return Line(f"{job.job_id}  {job.status}\n{name} {rounded(y[-1])} at {pairs[-1][0]}", job.status, x, y, is_best)
