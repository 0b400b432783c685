"""The points of a finite space, by number."""

from collections.abc import Mapping
from math import prod
from typing import Any

from schedy.random import Distribution


class Points:
    """A point is a number in a mixed radix: each hyperparameter is a digit, the last changing fastest.

    The digit of a hyperparameter runs over its values, and over the points of what each of them opens.
    """

    def __init__(self, top: Mapping[str, Distribution], values: Mapping[str, list[Any]]) -> None:
        """`top` are the hyperparameters that every point has, `values` the values of all there are."""
        self._top = top
        self._values = values
        self.count = self._size(top)

    def at(self, number: int) -> dict[str, Any]:
        """Return a point, from 0 to `count` - 1."""
        return self._point(self._top, number)

    def _size(self, hyperparameters: Mapping[str, Distribution]) -> int:
        return prod(sum(self._sizes(name, each)) for name, each in hyperparameters.items())

    def _sizes(self, name: str, distribution: Distribution) -> list[int]:
        """Return the number of points with each value of a hyperparameter."""
        values = self._values[name]
        if not distribution.branches:
            return [1] * len(values)
        return [self._size(distribution.opens(value)) for value in values]

    def _point(self, hyperparameters: Mapping[str, Distribution], point: int) -> dict[str, Any]:
        parts: list[dict[str, Any]] = []
        for name, distribution in reversed(list(hyperparameters.items())):
            sizes = self._sizes(name, distribution)
            point, digit = divmod(point, sum(sizes))
            place = 0
            while digit >= sizes[place]:
                digit -= sizes[place]
                place += 1
            value = self._values[name][place]
            parts.append({name: value, **self._point(distribution.opens(value), digit)})
        return {name: value for part in reversed(parts) for name, value in part.items()}
