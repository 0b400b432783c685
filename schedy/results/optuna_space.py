"""Distributions for a study of Optuna: one for each hyperparameter, which holds the values of all jobs.

A study has the values themselves, as its plots show them; the axes of the search have their places instead.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from schedy.random import Choice, Constant, Distribution, Int, LogNormal, LogUniform, Normal, Numeric, QUniform, Uniform
from schedy.random.parameters import finite
from schedy.results.packages import needed
from schedy.wire.values import json_key

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

MOST_CATEGORIES = 100
"""What has more values that are no numbers names something, such as a file: it is no parameter of a study."""
_THREE_SIGMA = 0.00135
_LEAST_QUANTILE = 2.0**-53
_LARGEST_INT = 2**53
"""A study has numbers as floats."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A distribution of Optuna, and what it has for a value of a job."""

    distribution: "BaseDistribution"
    shown: Callable[[Any], Any]


def parameters_of(space: Mapping[str, Distribution], jobs: Iterable[Mapping[str, Any]]) -> dict[str, Parameter]:
    """Return the hyperparameters of a space, and others that jobs have, such that they hold the values of all jobs."""
    seen: dict[str, dict[str, Any]] = {name: {} for name in space}
    for hyperparameters in jobs:
        for name, value in hyperparameters.items():
            seen.setdefault(name, {})[json_key(value)] = value
    found = {name: _parameter(space.get(name), list(values.values())) for name, values in seen.items()}
    return {name: parameter for name, parameter in found.items() if parameter is not None}


def _parameter(distribution: Distribution | None, seen: Sequence[Any]) -> Parameter | None:
    if isinstance(distribution, Choice | Constant):
        return _categories([*distribution.grid(None), *seen])
    if not seen and not isinstance(distribution, Numeric):
        return None
    numbers = [float(number) for value in seen if (number := finite(value)) is not None]
    if len(numbers) == len(seen) and (distribution is None or isinstance(distribution, Numeric)):
        return _numbers(distribution, numbers, whole=all(isinstance(value, int) for value in seen))
    return _categories(seen) if len(seen) <= MOST_CATEGORIES else None


def _categories(values: Sequence[Any]) -> Parameter:
    """Return values as categories: themselves, or their JSON where they are lists or objects, or Optuna mixes them up.

    It takes 1, 1.0 and true for one.
    """
    keys = {json_key(value): value for value in values}
    labels = {key: key if isinstance(value, list | dict) else value for key, value in keys.items()}
    if len(set(labels.values())) < len(labels):
        labels = {key: key for key in keys}
    made = _optuna().CategoricalDistribution(list(labels.values()))
    return Parameter(made, lambda value: labels[json_key(value)])


def _numbers(distribution: Distribution | None, seen: Sequence[float], *, whole: bool) -> Parameter:
    bounds = [*_bounds(distribution), *seen]
    low, high = min(bounds), max(bounds)
    is_whole = isinstance(distribution, Int) or (distribution is None and whole)
    if is_whole and all(number.is_integer() for number in seen) and max(abs(low), abs(high)) <= _LARGEST_INT:
        log = isinstance(distribution, Int) and distribution.log and low > 0
        return Parameter(_optuna().IntDistribution(int(low), int(high), log=log), int)
    if isinstance(distribution, QUniform) and all(_is_step(number, low, distribution.q) for number in bounds):
        return Parameter(_optuna().FloatDistribution(low, high, step=distribution.q), float)
    log = isinstance(distribution, LogUniform | LogNormal) and low > 0
    return Parameter(_optuna().FloatDistribution(low, high, log=log), float)


def _bounds(distribution: Distribution | None) -> list[float]:
    """Return the least and the largest value; of a normal distribution nearly."""
    if distribution is None:
        return []
    if isinstance(distribution, Uniform | LogUniform | Int):
        return [float(distribution.low), float(distribution.high)]
    part = _THREE_SIGMA if isinstance(distribution, Normal | LogNormal) else _LEAST_QUANTILE
    return [float(distribution.at(part)), float(distribution.at(1 - part))]


def _is_step(number: float, low: float, step: float) -> bool:
    """Return whether Optuna finds a number on the steps from `low`."""
    steps = (number - low) / step
    return abs(steps - round(steps)) < 1e-8


def _optuna() -> Any:
    return needed("optuna.distributions", what="A study of Optuna", extra="optuna")
