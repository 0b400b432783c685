"""Distributions of hyperparameters, for all search algorithms.

Each maps a quantile in [0, 1) to a value (its inverse cumulative distribution function) and back, so that one
implementation serves random draws, quasi-random points and samplers that search the unit cube. In JSON a distribution
is its kind and its parameters: ``{"uniform": {"low": 0, "high": 1}}``.
"""

import difflib
import json
import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from itertools import accumulate
from statistics import NormalDist
from typing import Any, ClassVar, Self

from schedy.errors import InvalidValueError
from schedy.wire.values import plain_values

_LEAST_QUANTILE = 2.0**-53
_DIGITS = 12
"""To which a multiple of a step is rounded, so that 3 * 0.1 is 0.3."""


class Distribution(ABC):
    """How the values of one hyperparameter are distributed. Immutable; parameters are checked when it is made."""

    kind: ClassVar[str]
    """Its name in JSON and on the command line."""
    is_countable: ClassVar[bool] = False
    """Whether a grid can take all its values."""

    @abstractmethod
    def at(self, quantile: float) -> Any:
        """Return the value at a quantile in [0, 1): plain JSON."""

    @abstractmethod
    def rank(self, value: Any) -> float | None:
        """Return a quantile at which `value` is, None if it cannot be drawn."""

    def grid(self, points: int | None) -> list[Any]:
        """Return the values of a grid with so many points, or with all values where they are countable.

        Raises InvalidValueError where a number of points is needed.
        """
        if points is None:
            raise InvalidValueError(f"{self.kind} has endless values: say with `points` how many the grid has.")
        return [self.at((place + 0.5) / points) for place in range(points)]

    def parameters(self) -> Any:
        """Return its parameters as JSON."""
        return {each.name: getattr(self, each.name) for each in fields(self)}  # type: ignore[arg-type]

    @classmethod
    def from_parameters(cls, parameters: Any) -> Self:
        """Return the distribution with these parameters. Raises InvalidValueError."""
        known = {each.name: each for each in fields(cls)}  # type: ignore[arg-type]
        takes = ", ".join(known)
        if not isinstance(parameters, Mapping):
            raise InvalidValueError(f"{cls.kind} takes a JSON object with {takes}, not {json.dumps(parameters)}.")
        for name in parameters:
            if name not in known:
                raise InvalidValueError(f"{cls.kind} has no {name!r}; it takes {takes}.")
        for name, each in known.items():
            if each.default is MISSING and each.default_factory is MISSING and name not in parameters:
                raise InvalidValueError(f"{cls.kind} needs {name!r}; it takes {takes}.")
        return cls(**parameters)

    def _number(self, name: str) -> float:
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise InvalidValueError(f"{self.kind}: {name!r} is a finite number, not {value!r}.")
        return value

    def _check_order(self, *, strictly: bool = True) -> None:
        low, high = self._number("low"), self._number("high")
        if low > high or (strictly and low == high):
            raise InvalidValueError(f"{self.kind}: 'low' ({low}) must be less than 'high' ({high}).")


def _as_number(value: Any) -> float | None:
    """The value if it is a number that a distribution may have made."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value


@dataclass(frozen=True, slots=True)
class Uniform(Distribution):
    """Any number from `low` to `high`."""

    kind: ClassVar[str] = "uniform"
    low: float
    high: float

    def __post_init__(self) -> None:
        self._check_order()

    def at(self, quantile: float) -> float:
        return min(self.low + quantile * (self.high - self.low), float(self.high))

    def rank(self, value: Any) -> float | None:
        number = _as_number(value)
        if number is None or not self.low <= number <= self.high:
            return None
        return (number - self.low) / (self.high - self.low)

    def grid(self, points: int | None) -> list[float]:
        if points is None or points < 2:
            return super(Uniform, self).grid(points)
        return [self.at(place / (points - 1)) for place in range(points)]


@dataclass(frozen=True, slots=True)
class LogUniform(Distribution):
    """A positive number from `low` to `high` whose logarithm is uniform."""

    kind: ClassVar[str] = "loguniform"
    low: float
    high: float

    def __post_init__(self) -> None:
        self._check_order()
        if self.low <= 0:
            raise InvalidValueError(f"loguniform: 'low' must be more than 0, not {self.low}.")

    def at(self, quantile: float) -> float:
        value = self.low * math.exp(quantile * (math.log(self.high) - math.log(self.low)))
        return min(max(value, float(self.low)), float(self.high))

    def rank(self, value: Any) -> float | None:
        number = _as_number(value)
        if number is None or not self.low <= number <= self.high:
            return None
        return (math.log(number) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))

    def grid(self, points: int | None) -> list[float]:
        if points is None or points < 2:
            return super(LogUniform, self).grid(points)
        return [self.at(place / (points - 1)) for place in range(points)]


@dataclass(frozen=True, slots=True)
class Normal(Distribution):
    """A number from the normal distribution with `mean` and standard deviation `std`."""

    kind: ClassVar[str] = "normal"
    mean: float
    std: float

    def __post_init__(self) -> None:
        _check_spread(self)

    def at(self, quantile: float) -> float:
        return NormalDist(self.mean, self.std).inv_cdf(_inside(quantile))

    def rank(self, value: Any) -> float | None:
        number = _as_number(value)
        return None if number is None else _inside(NormalDist(self.mean, self.std).cdf(number))


@dataclass(frozen=True, slots=True)
class LogNormal(Distribution):
    """A positive number whose logarithm is normal with `mean` and standard deviation `std`."""

    kind: ClassVar[str] = "lognormal"
    mean: float
    std: float

    def __post_init__(self) -> None:
        _check_spread(self)

    def at(self, quantile: float) -> float:
        return math.exp(NormalDist(self.mean, self.std).inv_cdf(_inside(quantile)))

    def rank(self, value: Any) -> float | None:
        number = _as_number(value)
        if number is None or number <= 0:
            return None
        return _inside(NormalDist(self.mean, self.std).cdf(math.log(number)))


def _check_spread(distribution: Normal | LogNormal) -> None:
    distribution._number("mean")
    if distribution._number("std") <= 0:
        raise InvalidValueError(f"{distribution.kind}: 'std' must be more than 0, not {distribution.std}.")


def _inside(quantile: float) -> float:
    """The quantile, kept away from 0 and 1, where a normal distribution is infinite."""
    return min(max(quantile, _LEAST_QUANTILE), 1 - _LEAST_QUANTILE)


@dataclass(frozen=True, slots=True)
class Int(Distribution):
    """A whole number from `low` to `high`, both included; with `log` small ones are as likely as large ones."""

    kind: ClassVar[str] = "int"
    is_countable: ClassVar[bool] = True
    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            if isinstance(getattr(self, name), bool) or not isinstance(getattr(self, name), int):
                raise InvalidValueError(f"int: {name!r} is a whole number, not {getattr(self, name)!r}.")
        self._check_order()
        if not isinstance(self.log, bool):
            raise InvalidValueError(f"int: 'log' is true or false, not {self.log!r}.")
        if self.log and self.low < 1:
            raise InvalidValueError(f"int: with 'log' 'low' must be at least 1, not {self.low}.")

    def at(self, quantile: float) -> int:
        if self.log:
            low, high = math.log(self.low - 0.5), math.log(self.high + 0.5)
            value = round(math.exp(low + quantile * (high - low)))
        else:
            value = self.low + math.floor(quantile * (self.high - self.low + 1))
        return min(max(value, self.low), self.high)

    def rank(self, value: Any) -> float | None:
        number = _as_number(value)
        if number is None or number != math.floor(number) or not self.low <= number <= self.high:
            return None
        if self.log:
            low, high = math.log(self.low - 0.5), math.log(self.high + 0.5)
            return (math.log(number) - low) / (high - low)
        return (number - self.low + 0.5) / (self.high - self.low + 1)

    def grid(self, points: int | None) -> list[int]:
        if points is None or points > self.high - self.low:
            return list(range(self.low, self.high + 1))
        return sorted({self.at((place + 0.5) / points) for place in range(points)})


@dataclass(frozen=True, slots=True)
class QUniform(Distribution):
    """A multiple of `q` from `low` to `high`."""

    kind: ClassVar[str] = "quniform"
    is_countable: ClassVar[bool] = True
    low: float
    high: float
    q: float

    def __post_init__(self) -> None:
        self._check_order()
        if self._number("q") <= 0:
            raise InvalidValueError(f"quniform: 'q' must be more than 0, not {self.q}.")
        first, last = self.steps
        if first > last:
            raise InvalidValueError(f"quniform: no multiple of {self.q} lies between {self.low} and {self.high}.")

    @property
    def steps(self) -> tuple[int, int]:
        """The first and the last multiple, in units of `q`."""
        return math.ceil(round(self.low / self.q, 9)), math.floor(round(self.high / self.q, 9))

    def at_step(self, step: int) -> float:
        """Return a multiple of `q`."""
        return float(f"{step * self.q:.{_DIGITS}g}")

    def step_of(self, value: Any) -> int | None:
        """Return which multiple a value is, None if it is none from `low` to `high`."""
        number = _as_number(value)
        if number is None:
            return None
        step = round(number / self.q)
        first, last = self.steps
        return step if first <= step <= last and math.isclose(self.at_step(step), number, abs_tol=1e-12) else None

    def at(self, quantile: float) -> float:
        first, last = self.steps
        return self.at_step(min(first + math.floor(quantile * (last - first + 1)), last))

    def rank(self, value: Any) -> float | None:
        step = self.step_of(value)
        first, last = self.steps
        return None if step is None else (step - first + 0.5) / (last - first + 1)

    def grid(self, points: int | None) -> list[float]:
        first, last = self.steps
        if points is None or points > last - first:
            return [self.at_step(step) for step in range(first, last + 1)]
        return sorted({self.at((place + 0.5) / points) for place in range(points)})


@dataclass(frozen=True, slots=True)
class Choice(Distribution):
    """One of `values`, any JSON; `weights` say how likely each is.

    `then` maps a value (as text: itself, or its JSON) to the hyperparameters that exist only with it.
    """

    kind: ClassVar[str] = "choice"
    is_countable: ClassVar[bool] = True
    values: Sequence[Any]
    weights: Sequence[float] | None = None
    then: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Distributions, or their JSON."""

    def __post_init__(self) -> None:
        if isinstance(self.values, str) or not isinstance(self.values, Sequence) or not self.values:
            raise InvalidValueError("choice: 'values' is a list with at least one value.")
        object.__setattr__(self, "values", tuple(plain_values({"values": list(self.values)})["values"]))
        if self.weights is not None:
            object.__setattr__(self, "weights", tuple(self._checked_weights()))
        if not isinstance(self.then, Mapping):
            raise InvalidValueError("choice: 'then' is an object: for a value, the hyperparameters that it opens.")
        keys = [choice_key(value) for value in self.values]
        opened: dict[str, dict[str, Distribution]] = {}
        for value, opens in self.then.items():
            if value not in keys:
                raise InvalidValueError(f"choice: 'then' names {value!r}, which is none of {', '.join(keys)}.")
            opened[value] = distributions_from_json(opens)
        object.__setattr__(self, "then", opened)

    def _checked_weights(self) -> list[float]:
        weights = self.weights
        if isinstance(weights, str) or not isinstance(weights, Sequence) or len(weights) != len(self.values):
            count = len(weights) if isinstance(weights, Sequence) else 0
            raise InvalidValueError(f"choice: {len(self.values)} values need as many weights, not {count}.")
        numbers = [_as_number(weight) for weight in weights]
        checked = [number for number in numbers if number is not None and number >= 0]
        if len(checked) != len(numbers) or sum(checked) <= 0:
            raise InvalidValueError("choice: weights are numbers of at least 0, and one is more.")
        return checked

    def at(self, quantile: float) -> Any:
        if self.weights is None:
            return self.values[min(math.floor(quantile * len(self.values)), len(self.values) - 1)]
        sums = list(accumulate(self.weights))
        return self.values[min(bisect_right(sums, quantile * sums[-1]), len(self.values) - 1)]

    def index(self, value: Any) -> int | None:
        """Return the place of a value, None if it is none of them. 1, 1.0 and true are three values."""
        wanted = choice_key(value), type(value) is str
        for place, known in enumerate(self.values):
            if (choice_key(known), type(known) is str) == wanted:
                return place
        return None

    def rank(self, value: Any) -> float | None:
        place = self.index(value)
        if place is None:
            return None
        weights = self.weights or (1.0,) * len(self.values)
        if weights[place] == 0:
            return None
        return (sum(weights[:place]) + weights[place] / 2) / sum(weights)

    def grid(self, points: int | None) -> list[Any]:
        return list(self.values)

    def opens(self, value: Any) -> Mapping[str, Distribution]:
        """Return the hyperparameters that exist only with this value."""
        return self.then.get(choice_key(value), {})

    def parameters(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"values": list(self.values)}
        if self.weights is not None:
            shown["weights"] = list(self.weights)
        if self.then:
            shown["then"] = {value: distributions_to_json(opens) for value, opens in self.then.items()}
        return shown


def choice_key(value: Any) -> str:
    """Return a value of a choice as `Choice.then` names it."""
    return value if isinstance(value, str) else json.dumps(value)


@dataclass(frozen=True, slots=True)
class Constant(Distribution):
    """Always the same JSON value. Its parameters are the bare value: ``{"const": 0}``."""

    kind: ClassVar[str] = "const"
    is_countable: ClassVar[bool] = True
    value: Any

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", plain_values({"value": self.value})["value"])

    def at(self, quantile: float) -> Any:
        return self.value

    def rank(self, value: Any) -> float | None:
        return 0.0 if json.dumps(value) == json.dumps(self.value) else None

    def grid(self, points: int | None) -> list[Any]:
        return [self.value]

    def parameters(self) -> Any:
        return self.value

    @classmethod
    def from_parameters(cls, parameters: Any) -> Self:
        return cls(parameters)


KINDS: dict[str, type[Distribution]] = {
    each.kind: each for each in (Uniform, LogUniform, Normal, LogNormal, Int, QUniform, Choice, Constant)
}
"""All distributions, by their names in JSON."""


def distribution_from_json(kind: str, parameters: Any) -> Distribution:
    """Return the distribution of that name. Raises InvalidValueError, with names that are close to an unknown one."""
    found = KINDS.get(kind)
    if found is None:
        close = difflib.get_close_matches(kind, KINDS, n=1)
        hint = f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(KINDS)}."
        raise InvalidValueError(f"There is no distribution {kind!r}. {hint}")
    return found.from_parameters(parameters)


def distributions_from_json(hyperparameters: Any) -> dict[str, Distribution]:
    """Return distributions by the name of their hyperparameter; those that are distributions already stay.

    Raises InvalidValueError naming the hyperparameter.
    """
    if not isinstance(hyperparameters, Mapping):
        raise InvalidValueError('Hyperparameters are an object, as {"x": {"uniform": {"low": 0, "high": 1}}}.')
    found: dict[str, Distribution] = {}
    for name, form in hyperparameters.items():
        if isinstance(form, Distribution):
            found[name] = form
            continue
        if not isinstance(form, Mapping) or len(form) != 1:
            raise InvalidValueError(
                f'{name}: a distribution is an object with one name, as {{"uniform": {{"low": 0, "high": 1}}}}.'
            )
        ((kind, parameters),) = form.items()
        try:
            found[name] = distribution_from_json(kind, parameters)
        except InvalidValueError as error:
            raise InvalidValueError(f"{name}: {error}") from None
    return found


def distributions_to_json(hyperparameters: Mapping[str, Distribution]) -> dict[str, Any]:
    """Return what `distributions_from_json` reads."""
    return {name: {each.kind: each.parameters()} for name, each in hyperparameters.items()}
