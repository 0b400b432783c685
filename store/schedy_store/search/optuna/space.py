"""Distributions as Optuna has them, and values back and forth."""

import json
from collections.abc import Callable, Mapping
from typing import Any
from zlib import crc32

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from schedy.random import Distribution, distributions_to_json
from schedy.random.axes import Axis, Categories, Integers, Reals, Span
from schedy.search.space import Space


def optunas(span: Span) -> BaseDistribution:
    """Return the span of an axis as Optuna's distribution."""
    match span:
        case Reals(low, high, log):
            return FloatDistribution(low, high, log=log)
        case Integers(low, high, log):
            return IntDistribution(low, high, log=log)
        case Categories(count):
            return CategoricalDistribution(range(count))


class Axes:
    """The axes of a space, by hyperparameter. One that has nothing to search has no axis."""

    def __init__(self, space: Space, top: Mapping[str, Distribution]) -> None:
        """`top` are the hyperparameters that every job has."""
        self.space = space
        described = json.dumps(distributions_to_json(top), sort_keys=True)
        self.fingerprint = f"{crc32(described.encode()):08x}"
        """The same for the same hyperparameters."""
        axes = {name: distribution.axis() for name, distribution in space.parameters.items()}
        self._axes: dict[str, Axis] = {name: axis for name, axis in axes.items() if axis is not None}
        self.distributions = {name: optunas(axis.span) for name, axis in self._axes.items()}
        """Optuna's, by hyperparameter."""
        self.relative = {
            name: self.distributions[name]
            for name in sorted(top)
            if name in self.distributions and not self.distributions[name].single()
        }
        """Those that samplers may search together: every job has them, and they have more than one value."""

    def inward(self, hyperparameters: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return hyperparameters as Optuna's, None if they lie outside of the space."""
        if not self.space.holds(hyperparameters):
            return None
        return {name: self._axes[name].inward(value) for name, value in hyperparameters.items() if name in self._axes}

    def draw(self, suggest: Callable[[str, BaseDistribution], Any]) -> dict[str, Any]:
        """Return the hyperparameters whose values `suggest` picks on the axes."""

        def _choose(name: str, distribution: Distribution) -> Any:
            axis = self._axes.get(name)
            return distribution.at(0.0) if axis is None else axis.outward(suggest(name, self.distributions[name]))

        return self.space.draw(_choose)
