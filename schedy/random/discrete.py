"""Distributions over numbers in steps, which begin at the lowest one."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from schedy.errors import InvalidValueError
from schedy.random.axes import Axis, Integers
from schedy.random.continuous import check_order
from schedy.random.distribution import Numeric
from schedy.random.parameters import finite
from schedy.random.spacing import stepped, whole_steps

_MOST_STEPS = 10**14
"""Floats tell numbers that lie a step apart up to here."""
_TOLERANCE = 1e-3
"""Part of the step by which a number may be off, as 0.30000000000000004 is."""


@dataclass(frozen=True, slots=True)
class Int(Numeric):
    """A whole number from `low` to `high`, both included: each, or from `low` on in steps.

    With `log` small ones are as likely as large ones.
    """

    kind: ClassVar[str] = "int"
    low: int
    high: int
    log: bool = False
    step: int = 1

    def __post_init__(self) -> None:
        for name in ("low", "high", "step"):
            if isinstance(getattr(self, name), bool) or not isinstance(getattr(self, name), int):
                raise InvalidValueError(f"int: {name!r} is a whole number, not {getattr(self, name)!r}.")
        check_order(self)
        if not isinstance(self.log, bool):
            raise InvalidValueError(f"int: 'log' is true or false, not {self.log!r}.")
        if self.log and self.low < 1:
            raise InvalidValueError(f"int: with 'log' 'low' must be at least 1, not {self.low}.")
        if not 1 <= self.step <= self.high - self.low:
            width = self.high - self.low
            raise InvalidValueError(f"int: 'step' is from 1 to {width}, the width of the range, not {self.step}.")
        if self.log and self.step > 1:
            raise InvalidValueError("int: 'log' and 'step' do not go together.")
        if finite(self.count) is None:
            raise InvalidValueError("int: the range from 'low' to 'high' is too wide: it must be less than 1.8e+308.")

    def at(self, quantile: float) -> int:
        if self.log:
            low, high = math.log(self.low - 0.5), math.log(self.high + 0.5)
            value = round(math.exp(low + quantile * (high - low)))
            return min(max(value, self.low), self.high)
        return self._at_step(min(max(math.floor(quantile * self.count), 0), self.count - 1))

    def rank(self, value: Any) -> float | None:
        step = self._step_of(value)
        if step is None:
            return None
        if self.log:
            low, high = math.log(self.low - 0.5), math.log(self.high + 0.5)
            return (math.log(value) - low) / (high - low)
        return (step + 0.5) / self.count

    def parameters(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"low": self.low, "high": self.high, "log": self.log}
        return shown if self.step == 1 else shown | {"step": self.step}

    def _at_step(self, step: int) -> int:
        return self.low + step * self.step

    def _step_of(self, value: Any) -> int | None:
        """Return the number of steps from `low` to a value, None if it cannot be drawn."""
        number = finite(value)
        if number is None or number != math.floor(number) or not self.low <= number <= self.high:
            return None
        steps, rest = divmod(int(number) - self.low, self.step)
        return None if rest else steps

    @property
    def count(self) -> int:
        return (self.high - self.low) // self.step + 1

    def grid(self, points: int | None) -> list[int]:
        if points is None or points >= self.count:
            return list(range(self.low, self.high + 1, self.step))
        return sorted({self.at((place + 0.5) / points) for place in range(points)})

    def nearest(self, number: float) -> int:
        inside = min(max(number, self.low), self._at_step(self.count - 1))
        return round(inside) if self.step == 1 else self._at_step(round((inside - self.low) / self.step))

    def beside(self, number: float, *, up: bool) -> int:
        return self.nearest(number + (self.step if up else -self.step))

    def axis(self) -> Axis:
        if self.step == 1:
            return Axis(Integers(self.low, self.high, self.log), int, int)
        return Axis(Integers(0, self.count - 1), self._step_of, self._at_step)


@dataclass(frozen=True, slots=True)
class QUniform(Numeric):
    """A number from `low` to `high`, in steps of `q` from `low` on."""

    kind: ClassVar[str] = "quniform"
    low: float
    high: float
    q: float

    def __post_init__(self) -> None:
        check_order(self)
        if self.finite_number("q") <= 0:
            raise InvalidValueError(f"quniform: 'q' must be more than 0, not {self.q}.")
        if max(abs(self.low / self.q), abs(self.high / self.q)) > _MOST_STEPS:
            raise InvalidValueError(
                f"quniform: 'q' ({self.q}) is too small for the range from {self.low} to {self.high}: bounds are at"
                f" most {_MOST_STEPS:.1g} times 'q'."
            )
        if self.count < 2:
            raise InvalidValueError(
                f"quniform: 'q' ({self.q}) is larger than the range from {self.low} to {self.high}."
            )

    def _at_step(self, step: int) -> float:
        return stepped(self.low, self.q, step)

    def _step_of(self, value: Any) -> int | None:
        """Return the number of steps from `low` to a value, None if it cannot be drawn."""
        number = finite(value)
        if number is None or not self.low - self.q <= number <= self.high + self.q:
            return None
        step = round((number - self.low) / self.q)
        if not 0 <= step < self.count or abs(self._at_step(step) - number) > self.q * _TOLERANCE:
            return None
        return step

    def at(self, quantile: float) -> float:
        return self._at_step(min(math.floor(quantile * self.count), self.count - 1))

    def rank(self, value: Any) -> float | None:
        step = self._step_of(value)
        return None if step is None else (step + 0.5) / self.count

    @property
    def count(self) -> int:
        return whole_steps(self.low, self.high, self.q) + 1

    def grid(self, points: int | None) -> list[float]:
        if points is None or points >= self.count:
            return [self._at_step(step) for step in range(self.count)]
        return sorted({self.at((place + 0.5) / points) for place in range(points)})

    def nearest(self, number: float) -> float:
        inside = min(max(number, self.low), self.high)
        return self._at_step(min(round((inside - self.low) / self.q), self.count - 1))

    def beside(self, number: float, *, up: bool) -> float:
        return self.nearest(number + (self.q if up else -self.q))

    def axis(self) -> Axis:
        return Axis(Integers(0, self.count - 1), self._step_of, self._at_step)
