"""Distributions as Optuna has them, and values back and forth.

What Optuna does not know (a normal distribution, weights) is searched in the unit interval, as quantiles.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from schedy.random import Choice, Constant, Distribution, Int, LogUniform, QUniform, Uniform
from schedy.search.space import Space

_LARGEST_QUANTILE = 1 - 2.0**-53


@dataclass(frozen=True, slots=True)
class Axis:
    """One hyperparameter: Optuna's distribution, and how a value gets there and back."""

    distribution: BaseDistribution
    inward: Callable[[Any], Any]
    """Takes a value of the hyperparameter only."""
    outward: Callable[[Any], Any]


def axis_of(distribution: Distribution) -> Axis:
    """Return the axis on which a distribution is searched."""
    match distribution:
        case Uniform(low, high):
            return Axis(FloatDistribution(low, high), float, float)
        case LogUniform(low, high):
            return Axis(FloatDistribution(low, high, log=True), float, float)
        case Int(low, high, log):
            return Axis(IntDistribution(low, high, log=log), int, int)
        case QUniform():
            return Axis(IntDistribution(*distribution.steps), distribution.step_of, distribution.at_step)
        case Choice(values, None):
            return Axis(CategoricalDistribution(range(len(values))), distribution.index, values.__getitem__)
        case _:
            return Axis(
                FloatDistribution(0, 1), distribution.rank, lambda x: distribution.at(min(x, _LARGEST_QUANTILE))
            )


class Axes:
    """The axes of a space, by hyperparameter. A constant has none."""

    def __init__(self, space: Space, top: Mapping[str, Distribution]) -> None:
        """`top` are the hyperparameters that every job has."""
        self.space = space
        self.by_name = {
            name: axis_of(distribution)
            for name, distribution in space.parameters.items()
            if not isinstance(distribution, Constant)
        }
        self.relative = {
            name: self.by_name[name].distribution
            for name in sorted(top)
            if name in self.by_name and not self.by_name[name].distribution.single()
        }
        """What samplers may search together: what every job has, and what has more than one value."""

    def inward(self, hyperparameters: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return hyperparameters as Optuna's, None if they lie outside of the space."""
        if self.space.fault(hyperparameters) is not None:
            return None
        return {
            name: self.by_name[name].inward(value) for name, value in hyperparameters.items() if name in self.by_name
        }

    def draw(self, suggest: Callable[[str, BaseDistribution], Any]) -> dict[str, Any]:
        """Return the hyperparameters whose values `suggest` picks on the axes."""

        def _choose(name: str, distribution: Distribution) -> Any:
            axis = self.by_name.get(name)
            return distribution.at(0.0) if axis is None else axis.outward(suggest(name, axis.distribution))

        return self.space.draw(_choose)
