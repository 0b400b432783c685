"""A space as a unit cube, on which a Gaussian process works."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schedy.random import Distribution
from schedy.random.axes import Categories
from schedy.search.space import Space

Floats = NDArray[np.float64]

_MOST_STEPS = 256
"""A hyperparameter with more values counts as one with endless ones."""


class Cube:
    """The hyperparameters that every job has, each as its rank among the values of its distribution, from 0 to 1."""

    def __init__(self, space: Space, top: Mapping[str, Distribution]) -> None:
        self._space = space
        self._axes = {
            name: distribution
            for name, distribution in sorted(top.items())
            if distribution.axis() is not None and distribution.count != 1
        }
        self.dimensions = len(self._axes)
        self._steps = [_steps(distribution) for distribution in self._axes.values()]
        self._is_choice = [_has_no_order(distribution) for distribution in self._axes.values()]

    def inward(self, hyperparameters: Mapping[str, Any]) -> Floats | None:
        """Return the point of a job, shape (dimensions,); None if it lies outside of the space."""
        if not self._space.holds(hyperparameters):
            return None
        ranks = [axis.rank(hyperparameters[name]) for name, axis in self._axes.items()]
        return np.array(ranks, dtype=float)

    def snapped(self, points: Floats) -> Floats:
        """Move points, shape (n, dimensions), to the nearest ones that a job can have."""
        moved = np.clip(points, 0.0, np.nextafter(1.0, 0.0))
        for place, steps in enumerate(self._steps):
            if steps is not None:
                between = (steps[1:] + steps[:-1]) / 2
                moved[:, place] = steps[np.searchsorted(between, moved[:, place])]
        return moved

    def columns(self, points: Floats) -> Floats:
        """Return points as the process sees them, shape (n, columns): a choice has a column for each of its values."""
        columns = []
        for place, steps in enumerate(self._steps):
            if self._is_choice[place] and steps is not None:
                columns.append((np.abs(points[:, place, None] - steps) < 1e-9) / np.sqrt(2))  # two values: distance 1
            else:
                columns.append(points[:, [place]])
        return np.hstack(columns)

    def scales(self, of_columns: Floats) -> Floats:
        """Return the scale of each dimension, shape (dimensions,), of those of the columns; infinite for a choice."""
        widths = [
            len(steps) if is_choice and steps is not None else 1
            for is_choice, steps in zip(self._is_choice, self._steps, strict=True)
        ]
        first = np.cumsum([0, *widths[:-1]])
        scales: Floats = np.where(self._is_choice, np.inf, of_columns[first])
        return scales

    def outward(self, point: Floats) -> dict[str, Any]:
        """Return the hyperparameters at a point."""
        ranks = dict(zip(self._axes, point.tolist(), strict=True))
        return self._space.draw(lambda name, distribution: distribution.at(ranks.get(name, 0.0)))


def _steps(distribution: Distribution) -> Floats | None:
    """Return the ranks of all values, in order; None if they are endless, or many."""
    count = distribution.count
    if count is None or count > _MOST_STEPS:
        return None
    return np.unique([distribution.rank(value) for value in distribution.grid(None)])


def _has_no_order(distribution: Distribution) -> bool:
    axis = distribution.axis()
    return axis is not None and isinstance(axis.span, Categories)
