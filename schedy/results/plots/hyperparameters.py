"""Plots of hyperparameters: all together as parallel coordinates, one by one as slices, and how much each matters.

Each raises NotFoundError, saying why, if there is nothing to plot.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from schedy.errors import NotFoundError
from schedy.results.plots.axes import MISSING, Axis, Column, column, number_axis, short
from schedy.results.plots.data import Dots, Measure, Plot, keeps, told, valued
from schedy.results.plots.source import Source
from schedy.results.rounding import rounded
from schedy.search.definition import Definition
from schedy.wire.base import DONE, PRUNED
from schedy.wire.records import JobRecord
from schedy.wire.values import json_key

_MOST_AXES = 10
_MOST_PANELS = 12
_LEAST_JOBS = 20
"""Jobs below which importance is chance."""
_GROUPS = 10


@dataclass(frozen=True)
class Parallel(Plot):
    """A line for each job across all axes, the worst first.

    `shades` go from 0 for the best to 1 for the worst; None for a PRUNED job.
    """

    axes: list[Axis]
    lines: list[list[float]]
    shades: list[float | None]
    texts: list[str]
    measure: Axis


@dataclass(frozen=True)
class Panel:
    """The jobs over one hyperparameter; `ages` go from 0 for the first job to 1 for the last."""

    x: Axis
    done: Dots
    ages: list[float]
    pruned: Dots


@dataclass(frozen=True)
class Slices(Plot):
    y: Axis
    panels: list[Panel]


@dataclass(frozen=True)
class Importance(Plot):
    """The share of the variance that each hyperparameter explains alone, the largest first."""

    x: Axis
    names: list[str]
    shares: list[float]


def varied(definition: Definition, jobs: Iterable[JobRecord]) -> list[str]:
    """Return the names of hyperparameters that have more than one value, in the order of the definition."""
    values: dict[str, set[Hashable]] = {name: set() for name in definition.space().parameters}
    count = 0
    counts: dict[str, int] = defaultdict(int)
    for job in jobs:
        count += 1
        for name, value in job.hyperparameters.items():
            counts[name] += 1
            found = values.setdefault(name, set())
            if len(found) < 2:
                found.add(json_key(value))
    return [name for name, found in values.items() if len(found) > 1 or 0 < counts[name] < count]


def _columns(source: Source, jobs: Sequence[JobRecord], names: Iterable[str]) -> list[Column]:
    parameters = source.definition.space().parameters
    return [column(name, [job.hyperparameters.get(name) for job in jobs], parameters.get(name)) for name in names]


def _several(source: Source, jobs: Sequence[JobRecord]) -> list[str]:
    names = varied(source.definition, jobs)
    if not names:
        raise NotFoundError(
            f"{source.name} has nothing to plot: no hyperparameter of its jobs has more than one value."
        )
    return names


def _by_importance(
    source: Source, measure: Measure, jobs: Sequence[JobRecord], names: list[str], most: int
) -> tuple[list[str], str]:
    """Return the names that are drawn, in their order, and a sentence if some are not."""
    if len(names) <= most:
        return names, ""
    values = [measure.value(job) for job in jobs]
    shares = {
        name: _share([job.hyperparameters.get(name) for job in jobs], [v or 0.0 for v in values]) for name in names
    }
    chosen = sorted(names, key=lambda name: shares[name], reverse=True)[:most]
    return [
        name for name in names if name in chosen
    ], f"The {most} of {len(names)} hyperparameters that matter most are drawn."


def parallel(source: Source, measure: Measure) -> Parallel:
    """Return the parallel coordinates of the jobs that have a value."""
    found = valued(source, measure, (DONE, PRUNED))
    done = [value for _place, job, value in found if job.status == DONE]
    last = number_axis(short(measure.name), done or [value for *_job, value in found], worst=measure.worst)
    is_low_best = measure.worst != "low"
    found.sort(key=lambda each: (each[1].status == DONE, -each[2] if is_low_best else each[2]))
    jobs = [job for _place, job, _value in found]
    names, note = _by_importance(source, measure, jobs, _several(source, jobs), _MOST_AXES)
    columns = _columns(source, jobs, names)
    places = [last.place(value) for *_job, value in found]
    shades = [
        None if job.status == PRUNED else _shade(last, place, is_low_best=is_low_best)
        for job, place in zip(jobs, places, strict=True)
    ]
    return Parallel(
        title=f"Hyperparameters and {short(measure.name)}",
        note=" ".join(filter(None, [source.note, note])),
        axes=[*(each.axis for each in columns), last],
        lines=[list(line) for line in zip(*map(_spread, columns), places, strict=True)],
        shades=shades,
        texts=[told(job, (measure.name, value)) for _place, job, value in found],
        measure=last,
    )


def _spread(each: Column) -> list[float]:
    """Return the places of a column, beside each other in a category, so that lines do not cover each other."""
    if each.is_ordered:
        return each.places
    return [place + _jitter(number) / 2 for number, place in enumerate(each.places)]


def _shade(axis: Axis, place: float, *, is_low_best: bool) -> float:
    share = (place - axis.low) / (axis.high - axis.low)
    return share if is_low_best else 1 - share


def slices(source: Source, measure: Measure) -> Slices:
    """Return the values over each hyperparameter."""
    found = valued(source, measure, (DONE, PRUNED))
    jobs = [job for _place, job, _value in found]
    names, note = _by_importance(source, measure, jobs, _several(source, jobs), _MOST_PANELS)
    done = [value for _place, job, value in found if job.status == DONE]
    y = number_axis(short(measure.name), done or [value for *_job, value in found], worst=measure.worst)
    first, last = found[0][0], found[-1][0]
    panels = []
    for each in _columns(source, jobs, names):
        panel = Panel(each.axis, Dots(), [], Dots())
        for number, (place, job, value) in enumerate(found):
            x = each.places[number] if each.is_ordered else each.places[number] + _jitter(number)
            text = f"{job.job_id}  {job.status}\n{measure.name} {rounded(value)}"
            if job.status == PRUNED:
                panel.pruned.add(x, y.place(value), text)
            else:
                panel.done.add(x, y.place(value), text)
                panel.ages.append((place - first) / max(1, last - first))
        panels.append(panel)
    return Slices(
        f"{short(measure.name)} over each hyperparameter", " ".join(filter(None, [source.note, note])), y, panels
    )


def _jitter(number: int) -> float:
    """Return a distance from the middle of a category, so that jobs do not cover each other."""
    return (number * 0.618034 % 1 - 0.5) * 0.5


def importance(source: Source, measure: Measure) -> Importance:
    """Return how much each hyperparameter matters alone: its correlation ratio with the ranks of the values.

    The hyperparameter's values are put into groups, the numbers into ten of equal size. The share of the variance
    between the groups is adjusted for their number (epsilon squared; Kelley, PNAS 21, 1935).
    """
    found = [each for each in valued(source, measure, (DONE,)) if keeps(source.definition, each[1])]
    if len(found) < _LEAST_JOBS:
        raise NotFoundError(
            f"{source.name} has too few jobs for importance: {len(found)} are DONE with a value, and {_LEAST_JOBS} are"
            " needed."
        )
    jobs = [job for _place, job, _value in found]
    values = [value for *_job, value in found]
    shares = {name: _share([job.hyperparameters.get(name) for job in jobs], values) for name in _several(source, jobs)}
    names = sorted(shares, key=lambda name: shares[name], reverse=True)[:20]
    note = (
        f"Share of the variance of the ranks of {short(measure.name)} among {len(found):,} DONE jobs that each explains"
        " alone; what several do only together is not in it."
    )
    found_shares = [shares[name] for name in names]
    x = Axis("share of the variance", 0.0, max(0.1, *found_shares) * 1.15, _percents(max(0.1, *found_shares)))
    return Importance(
        title=f"Which hyperparameter matters for {short(measure.name)}",
        note=" ".join(filter(None, [note, source.note])),
        x=x,
        names=[short(name) for name in names],
        shares=found_shares,
    )


def _percents(most: float) -> tuple[tuple[float, str], ...]:
    step = next(step for step in (2, 5, 10, 20) if most * 100 / step <= 6)
    return tuple((percent / 100, f"{percent} %") for percent in range(0, int(most * 115) + 1, step))


def _share(values: Sequence[Any], measured: Sequence[float]) -> float:
    ranks = _ranks(measured)
    groups: dict[Hashable, list[float]] = defaultdict(list)
    for key, rank in zip(_group_keys(values), ranks, strict=True):
        groups[key].append(rank)
    count, total = len(ranks), _squares(ranks)
    if total == 0 or count <= len(groups) or len(groups) < 2:
        return 0.0
    within = sum(map(_squares, groups.values())) / (count - len(groups))
    return max(0.0, 1 - within / (total / (count - 1)))


def _group_keys(values: Sequence[Any]) -> list[Hashable]:
    """Return the group of each value: a number goes into one of ten groups by its rank, if there are more."""
    keys: list[Hashable] = [MISSING if value is None else json_key(value) for value in values]
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(set(keys)) <= _GROUPS or len(numbers) + values.count(None) < len(values):
        return keys
    ranks = iter(_ranks(numbers))
    return [key if key == MISSING else int(next(ranks) * _GROUPS / len(numbers)) for key in keys]


def _ranks(values: Sequence[float]) -> list[float]:
    """Return the ranks from 0, of equal values their mean."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    start = 0
    for end in range(1, len(order) + 1):
        if end == len(order) or values[order[end]] != values[order[start]]:
            for place in order[start:end]:
                ranks[place] = (start + end - 1) / 2
            start = end
    return ranks


def _squares(numbers: Sequence[float]) -> float:
    mean = sum(numbers) / len(numbers)
    return sum((number - mean) ** 2 for number in numbers)
