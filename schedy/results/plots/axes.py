"""Axes: where a value lies, and which values are written beside it. Logarithms are taken here, for every library."""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from schedy.random import Choice, Distribution, Ordinal
from schedy.results.rounding import rounded, short_value
from schedy.search.definition import as_observation
from schedy.wire.values import json_key

_LARGEST = 1e300
"""Larger numbers are not drawn: differences of them overflow."""
_WIDE = 1000.0
"""Positive numbers with such a ratio are drawn on a logarithmic axis."""
_FENCE = 3.0
"""Distances between the quartiles after which a value lies far outside (Tukey: Exploratory Data Analysis, 1977)."""
_PADDING = 0.04
_EDGE = 0.015
_TICKS = 5
_MOST_CATEGORIES = 12
_LONGEST_LABEL = 24
_NARROW_CHARACTERS = 33
MISSING = "none"


@dataclass(frozen=True)
class Axis:
    """An axis from `low` to `high`, with places and texts of its ticks. `log`: a place is the logarithm of a value."""

    label: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    log: bool = False

    def place(self, value: float) -> float:
        """Return the place of a value, near the end of the axis for one that lies outside."""
        place = math.log10(value) if self.log and value > 0 else -math.inf if self.log else value
        return min(max(place, self.low_edge), self.high_edge)

    @property
    def low_edge(self) -> float:
        """The place of what lies below the axis."""
        return self.low + _EDGE * (self.high - self.low)

    @property
    def high_edge(self) -> float:
        """The place of what lies above the axis."""
        return self.high - _EDGE * (self.high - self.low)

    def shows(self, value: float) -> bool:
        """Return whether a value lies on the axis."""
        if self.log:
            return value > 0 and self.low <= math.log10(value) <= self.high
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Column:
    """A hyperparameter on an axis, with the place of each job."""

    axis: Axis
    places: list[float]
    is_ordered: bool
    """Its values are numbers."""


def short(text: str) -> str:
    """Return a text cut to the length of a label, with a mark."""
    return text if len(text) <= _LONGEST_LABEL else f"{text[: _LONGEST_LABEL - 1]}…"


def narrow(axis: Axis) -> Axis:
    """Return the axis with texts that fit beside each other below a small plot."""
    longest = max(5, _NARROW_CHARACTERS // max(1, len(axis.ticks)))
    ticks = tuple((at, text if len(text) <= longest else f"{text[: longest - 1]}…") for at, text in axis.ticks)
    return dataclasses.replace(axis, ticks=ticks)


def drawable(value: Any) -> float | None:
    """Return a number that can be drawn, None for all else."""
    number = as_observation(value)
    return number if number is not None and abs(number) <= _LARGEST else None


def number_axis(
    label: str, values: Iterable[float], *, log: bool | None = None, worst: str | None = None, whole: bool = False
) -> Axis:
    """Return an axis for numbers, of which there is one at least.

    `log` None: logarithmic if they are positive and far apart. `worst` ("low", "high"): the end at which values that
    lie far outside may be cut off.
    """
    numbers = sorted(values)
    low, high = numbers[0], numbers[-1]
    if log is None:
        log = low > 0 and high / low >= _WIDE
    if log and low > 0:
        low, high = _padded(math.log10(low), math.log10(high))
        return Axis(label, low, high, tuple(_log_ticks(low, high)), log=True)
    if worst is not None:
        low, high = _fenced(numbers, worst)
    low, high = _padded(low, high)
    return Axis(label, low, high, tuple(_ticks(low, high, whole=whole)))


def _fenced(numbers: Sequence[float], worst: str) -> tuple[float, float]:
    low, high = numbers[0], numbers[-1]
    lower, upper = numbers[len(numbers) // 4], numbers[(3 * len(numbers)) // 4]
    reach = _FENCE * (upper - lower)
    if reach <= 0:
        return low, high
    if worst == "high":
        return low, min(high, upper + reach)
    return max(low, lower - reach), high


def _padded(low: float, high: float) -> tuple[float, float]:
    if low == high:
        reach = abs(low) * 0.1 or 1.0
        return low - reach, high + reach
    reach = (high - low) * _PADDING
    return low - reach, high + reach


def _ticks(low: float, high: float, *, whole: bool = False) -> list[tuple[float, str]]:
    rough = (high - low) / _TICKS
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough * 0.7)
    if whole:
        step = max(1.0, round(step))
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    found = []
    for number in range(math.ceil(low / step), math.floor(high / step) + 1):
        place = number * step
        is_plain = decimals <= 6 and abs(place) < 1e6
        found.append((place, f"{place:.{decimals}f}" if is_plain else rounded(place)))
    return found


def _log_ticks(low: float, high: float) -> list[tuple[float, str]]:
    first, last = math.ceil(low), math.floor(high)
    if last - first >= 1:
        every = max(1, math.ceil((last - first) / _TICKS))
        return [(float(decade), rounded(10.0**decade)) for decade in range(first, last + 1, every)]
    found = []
    for decade in range(first - 1, last + 1):
        for factor in (1, 2, 5) if high - low > 0.5 else (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9):
            place = decade + math.log10(factor)
            if low <= place <= high:
                found.append((place, rounded(10.0**place)))
    return found


def column(name: str, values: Sequence[Any], distribution: Distribution | None) -> Column:
    """Return a hyperparameter on its axis; of a job that lacks it, or has no value to draw, the place of `MISSING`.

    `values` has None for a job that lacks it.
    """
    numbers = [drawable(value) for value in values]
    is_choice = isinstance(distribution, Choice)
    if not is_choice and all(
        number is not None or value is None for number, value in zip(numbers, values, strict=True)
    ):
        return _number_column(name, numbers, distribution)
    ordered = [json_key(value) for value in distribution.values] if isinstance(distribution, Ordinal) else []
    return _category_column(name, values, ordered)


def _number_column(name: str, numbers: list[float | None], distribution: Distribution | None) -> Column:
    there = [number for number in numbers if number is not None]
    if not there:
        return Column(Axis(short(name), 0.0, 1.0, ((0.0, MISSING),)), [0.0] * len(numbers), is_ordered=False)
    whole = all(number == round(number) for number in there)
    axis = number_axis(short(name), there, log=_is_log(distribution), whole=whole)
    if len(there) == len(numbers):
        return Column(axis, [axis.place(number) for number in there], is_ordered=True)
    none = axis.low - (axis.high - axis.low) * 0.12
    ticks = ((none, MISSING), *axis.ticks)
    axis = Axis(axis.label, none, axis.high, ticks, axis.log)
    return Column(axis, [none if number is None else axis.place(number) for number in numbers], is_ordered=True)


def _is_log(distribution: Distribution | None) -> bool | None:
    if distribution is None:
        return None
    axis = distribution.axis()
    return distribution.kind.startswith("log") or bool(axis is not None and getattr(axis.span, "log", False))


def _category_column(name: str, values: Sequence[Any], ordered: Sequence[str]) -> Column:
    """Return values as categories: those whose keys are `ordered` in this order, others by number and text."""
    keys = [MISSING if value is None else json_key(value) for value in values]
    texts = {key: MISSING if value is None else short_value(value) for key, value in zip(keys, values, strict=True)}
    by_number = sorted(texts, key=keys.count, reverse=True)
    shown = by_number[:_MOST_CATEGORIES]
    if len(by_number) > len(shown):
        shown = shown[:-1]
    found = dict(zip(keys, values, strict=True))
    places = {key: place for place, key in enumerate(ordered)}
    shown.sort(
        key=lambda key: (
            places.get(key, len(places)),
            drawable(found[key]) is None,
            drawable(found[key]) or 0.0,
            texts[key],
        )
    )
    place_of = {key: float(place) for place, key in enumerate(shown)}
    ticks = [(place_of[key], short(texts[key])) for key in shown]
    if len(by_number) > len(shown):
        ticks.append((float(len(shown)), f"{len(by_number) - len(shown)} others"))
    axis = Axis(short(name), -0.5, len(ticks) - 0.5, tuple(ticks))
    return Column(axis, [place_of.get(key, float(len(shown))) for key in keys], is_ordered=False)
