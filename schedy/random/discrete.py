"""Distributions over whole numbers, and over multiples of a step."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from schedy.errors import InvalidValueError
from schedy.random.axes import Axis, Integers
from schedy.random.continuous import check_order
from schedy.random.distribution import Numeric
from schedy.random.parameters import finite
from schedy.random.spacing import multiple

_MOST_MULTIPLES = 10**14
"""Floats tell multiples of any step apart up to here."""
_TOLERANCE = 1e-3
"""Part of the step by which a multiple may be off, as 0.30000000000000004 is."""


@dataclass(frozen=True, slots=True)
class Int(Numeric):
    """A whole number from `low` to `high`, both included; with `log` small ones are as likely as large ones."""

    kind: ClassVar[str] = "int"
    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            if isinstance(getattr(self, name), bool) or not isinstance(getattr(self, name), int):
                raise InvalidValueError(f"int: {name!r} is a whole number, not {getattr(self, name)!r}.")
        check_order(self)
        if not isinstance(self.log, bool):
            raise InvalidValueError(f"int: 'log' is true or false, not {self.log!r}.")
        if self.log and self.low < 1:
            raise InvalidValueError(f"int: with 'log' 'low' must be at least 1, not {self.low}.")
        if finite(self.count) is None:
            raise InvalidValueError("int: the range from 'low' to 'high' is too wide: it must be less than 1.8e+308.")

    def at(self, quantile: float) -> int:
        if self.log:
            low, high = math.log(self.low - 0.5), math.log(self.high + 0.5)
            value = round(math.exp(low + quantile * (high - low)))
        else:
            value = self.low + math.floor(quantile * (self.high - self.low + 1))
        return min(max(value, self.low), self.high)

    def rank(self, value: Any) -> float | None:
        number = finite(value)
        if number is None or number != math.floor(number) or not self.low <= number <= self.high:
            return None
        if self.log:
            low, high = math.log(self.low - 0.5), math.log(self.high + 0.5)
            return (math.log(number) - low) / (high - low)
        return (number - self.low + 0.5) / (self.high - self.low + 1)

    @property
    def count(self) -> int:
        return self.high - self.low + 1

    def grid(self, points: int | None) -> list[int]:
        if points is None or points >= self.count:
            return list(range(self.low, self.high + 1))
        return sorted({self.at((place + 0.5) / points) for place in range(points)})

    def nearest(self, number: float) -> int:
        return round(min(max(number, self.low), self.high))

    def beside(self, number: float, *, up: bool) -> int:
        return self.nearest(number + (1 if up else -1))

    def axis(self) -> Axis:
        return Axis(Integers(self.low, self.high, self.log), int, int)


@dataclass(frozen=True, slots=True)
class QUniform(Numeric):
    """A multiple of `q` from `low` to `high`."""

    kind: ClassVar[str] = "quniform"
    low: float
    high: float
    q: float

    def __post_init__(self) -> None:
        check_order(self)
        if self.finite_number("q") <= 0:
            raise InvalidValueError(f"quniform: 'q' must be more than 0, not {self.q}.")
        if max(abs(self.low / self.q), abs(self.high / self.q)) > _MOST_MULTIPLES:
            raise InvalidValueError(
                f"quniform: 'q' ({self.q}) is too small for the range from {self.low} to {self.high}: bounds are at"
                f" most {_MOST_MULTIPLES:.1g} times 'q'."
            )
        first, last = self._steps()
        if first > last:
            raise InvalidValueError(f"quniform: no multiple of {self.q} lies between {self.low} and {self.high}.")

    def _steps(self) -> tuple[int, int]:
        """The first and the last multiple, in units of `q`."""
        return math.ceil(round(self.low / self.q, 9)), math.floor(round(self.high / self.q, 9))

    def _at_step(self, step: int) -> float:
        return multiple(self.q, step)

    def _step_of(self, value: Any) -> int | None:
        """Return which multiple a value is, None if it is none from `low` to `high`."""
        number = finite(value)
        if number is None or not self.low - self.q <= number <= self.high + self.q:
            return None
        step = round(number / self.q)
        first, last = self._steps()
        if not first <= step <= last or abs(self._at_step(step) - number) > self.q * _TOLERANCE:
            return None
        return step

    def at(self, quantile: float) -> float:
        first, last = self._steps()
        return self._at_step(min(first + math.floor(quantile * (last - first + 1)), last))

    def rank(self, value: Any) -> float | None:
        step = self._step_of(value)
        first, last = self._steps()
        return None if step is None else (step - first + 0.5) / (last - first + 1)

    @property
    def count(self) -> int:
        first, last = self._steps()
        return last - first + 1

    def grid(self, points: int | None) -> list[float]:
        first, last = self._steps()
        if points is None or points >= self.count:
            return [self._at_step(step) for step in range(first, last + 1)]
        return sorted({self.at((place + 0.5) / points) for place in range(points)})

    def nearest(self, number: float) -> float:
        first, last = self._steps()
        inside = min(max(number, self.low), self.high)
        return self._at_step(min(max(round(inside / self.q), first), last))

    def beside(self, number: float, *, up: bool) -> float:
        return self.nearest(number + (self.q if up else -self.q))

    def axis(self) -> Axis:
        return Axis(Integers(*self._steps()), self._step_of, self._at_step)
