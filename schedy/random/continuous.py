"""Distributions over all numbers of a range."""

import math
import sys
from abc import abstractmethod
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, ClassVar

from schedy.errors import InvalidValueError
from schedy.random.axes import Axis, Reals
from schedy.random.distribution import Numeric
from schedy.random.parameters import finite
from schedy.random.spacing import evenly_spaced, logarithmically_spaced

_LEAST_QUANTILE = 2.0**-53
_LEAST_PART = 1e-9
"""Part of a normal distribution that has to lie between its bounds."""
_LARGEST = sys.float_info.max
_MOST_LOGARITHM = math.log(_LARGEST)
_LEAST_LOGARITHM = math.log(sys.float_info.min)


def check_order(distribution: Numeric) -> None:
    """Raise InvalidValueError unless `low` is less than `high`."""
    low, high = distribution.finite_number("low"), distribution.finite_number("high")
    if low >= high:
        raise InvalidValueError(f"{distribution.kind}: 'low' ({low}) must be less than 'high' ({high}).")


@dataclass(frozen=True, slots=True)
class _Interval(Numeric):
    """Numbers from `low` to `high`."""

    low: float
    high: float

    def __post_init__(self) -> None:
        check_order(self)

    def rank(self, value: Any) -> float | None:
        number = finite(value)
        if number is None or not self.low <= number <= self.high:
            return None
        return self._quantile(number)

    @abstractmethod
    def _quantile(self, number: float) -> float:
        """Return the quantile of a number in the interval."""

    def grid(self, points: int | None) -> list[float]:
        return super(_Interval, self).grid(points) if points is None or points < 2 else self._spaced(points)

    @abstractmethod
    def _spaced(self, points: int) -> list[float]:
        """Return numbers from `low` to `high`, at least 2 and both ends included."""

    def nearest(self, number: float) -> float:
        return min(max(number, self.low), self.high)


@dataclass(frozen=True, slots=True)
class Uniform(_Interval):
    """Any number from `low` to `high`."""

    kind: ClassVar[str] = "uniform"

    def __post_init__(self) -> None:
        check_order(self)
        if not math.isfinite(float(self.high) - float(self.low)):
            raise InvalidValueError(
                f"uniform: the range from {self.low} to {self.high} is too wide: it must be less than {_LARGEST:.3g}."
            )

    def at(self, quantile: float) -> float:
        return min(self.low + quantile * (self.high - self.low), float(self.high))

    def _quantile(self, number: float) -> float:
        return (number - self.low) / (self.high - self.low)

    def _spaced(self, points: int) -> list[float]:
        return evenly_spaced(self.low, self.high, points)

    def axis(self) -> Axis:
        return Axis(Reals(self.low, self.high), float, float)


@dataclass(frozen=True, slots=True)
class LogUniform(_Interval):
    """A positive number from `low` to `high` whose logarithm is uniform."""

    kind: ClassVar[str] = "loguniform"

    def __post_init__(self) -> None:
        check_order(self)
        if self.low <= 0:
            raise InvalidValueError(f"loguniform: 'low' must be more than 0, not {self.low}.")
        if math.log(self.high) - math.log(self.low) >= _MOST_LOGARITHM:
            raise InvalidValueError(
                f"loguniform: the range from {self.low} to {self.high} is too wide: 'high' must be less than"
                f" {_LARGEST:.3g} times 'low'."
            )

    def at(self, quantile: float) -> float:
        value = self.low * math.exp(quantile * (math.log(self.high) - math.log(self.low)))
        return min(max(value, float(self.low)), float(self.high))

    def _quantile(self, number: float) -> float:
        return (math.log(number) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))

    def _spaced(self, points: int) -> list[float]:
        return logarithmically_spaced(self.low, self.high, points)

    def axis(self) -> Axis:
        return Axis(Reals(self.low, self.high, log=True), float, float)


@dataclass(frozen=True, slots=True)
class _Bell(Numeric):
    """A normal distribution, or a function of one."""

    mean: float
    std: float
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        self.finite_number("mean")
        if self.finite_number("std") <= 0:
            raise InvalidValueError(f"{self.kind}: 'std' must be more than 0, not {self.std}.")
        for name in ("low", "high"):
            if getattr(self, name) is not None:
                self.finite_number(name)
        if self.low is not None and self.high is not None:
            check_order(self)
        _below, within = self._part()
        if within < _LEAST_PART:
            raise InvalidValueError(
                f"{self.kind}: hardly a value lies between the bounds: they are too far from 'mean' ({self.mean}) for"
                f" 'std' ({self.std})."
            )
        self._check_extremes(self._normal(0.0), self._normal(1.0))

    @abstractmethod
    def _bounds(self) -> tuple[float | None, float | None]:
        """Return the bounds of the number that is normal."""

    def _part(self) -> tuple[float, float]:
        """Return which part of an unbounded distribution lies below the bounds, and which between them."""
        normal = NormalDist(self.mean, self.std)
        low, high = self._bounds()
        below = 0.0 if low is None else normal.cdf(low)
        return below, (1.0 if high is None else normal.cdf(high)) - below

    @abstractmethod
    def _check_extremes(self, least: float, largest: float) -> None:
        """Raise InvalidValueError unless the values at these numbers, the extremes of all draws, are finite."""

    def _normal(self, quantile: float) -> float:
        below, within = self._part()
        number = NormalDist(self.mean, self.std).inv_cdf(_inside(below + _inside(quantile) * within))
        low, high = self._bounds()
        return min(max(number, number if low is None else low), number if high is None else high)

    def _normal_rank(self, number: float) -> float:
        below, within = self._part()
        return _inside((NormalDist(self.mean, self.std).cdf(number) - below) / within)

    def _is_within(self, value: Any) -> bool:
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    def _clipped(self, number: float, least: float) -> float:
        return min(max(number, least if self.low is None else self.low), _LARGEST if self.high is None else self.high)


@dataclass(frozen=True, slots=True)
class Normal(_Bell):
    """A number from the normal distribution with `mean` and standard deviation `std`, between bounds if there are."""

    kind: ClassVar[str] = "normal"

    def _bounds(self) -> tuple[float | None, float | None]:
        return self.low, self.high

    def _check_extremes(self, least: float, largest: float) -> None:
        if not (math.isfinite(least) and math.isfinite(largest)):
            raise InvalidValueError(
                f"normal: 'mean' ({self.mean}) and 'std' ({self.std}) are too large: values that lie 8 times 'std' from"
                f" 'mean' must be less than {_LARGEST:.3g}."
            )

    def at(self, quantile: float) -> float:
        return self._normal(quantile)

    def rank(self, value: Any) -> float | None:
        number = finite(value)
        return None if number is None or not self._is_within(number) else self._normal_rank(number)

    def nearest(self, number: float) -> float:
        return self._clipped(number, -_LARGEST)


@dataclass(frozen=True, slots=True)
class LogNormal(_Bell):
    """A positive number whose logarithm is normal with `mean` and standard deviation `std`.

    `low` and `high` are bounds of the number itself.
    """

    kind: ClassVar[str] = "lognormal"

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            if getattr(self, name) is not None and self.finite_number(name) <= 0:
                raise InvalidValueError(f"lognormal: {name!r} must be more than 0, not {getattr(self, name)}.")
        super(LogNormal, self).__post_init__()

    def _bounds(self) -> tuple[float | None, float | None]:
        return None if self.low is None else math.log(self.low), None if self.high is None else math.log(self.high)

    def _check_extremes(self, least: float, largest: float) -> None:
        if least < _LEAST_LOGARITHM or largest >= _MOST_LOGARITHM:
            example = f" For values around {self.mean}, 'mean' is {math.log(self.mean):.4g}." if self.mean > 1 else ""
            raise InvalidValueError(
                f"lognormal: 'mean' ({self.mean}) and 'std' ({self.std}) are of the logarithm, so values would lie"
                f" between e^{least:.4g} and e^{largest:.4g}, which floats do not reach: they end at e^-708 and e^709."
                f"{example}"
            )

    def at(self, quantile: float) -> float:
        return self.nearest(math.exp(self._normal(quantile)))

    def rank(self, value: Any) -> float | None:
        number = finite(value)
        is_drawn = number is not None and number > 0 and self._is_within(number)
        return self._normal_rank(math.log(number)) if is_drawn and number is not None else None

    def nearest(self, number: float) -> float:
        return self._clipped(number, sys.float_info.min)


def _inside(quantile: float) -> float:
    """Return the quantile, kept away from 0 and 1, where a normal distribution is infinite."""
    return min(max(quantile, _LEAST_QUANTILE), 1 - _LEAST_QUANTILE)
