"""The points of a finite space, by number."""

from bisect import bisect_right
from collections.abc import Mapping
from itertools import accumulate
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
        self._ends: dict[str, list[int]] = {}
        """For a hyperparameter, the number of points with each of its values or one before."""
        self.count = self._size(top)

    def at(self, number: int) -> dict[str, Any]:
        """Return a point, from 0 to `count` - 1."""
        return self._point(self._top, number)

    def _size(self, hyperparameters: Mapping[str, Distribution]) -> int:
        return prod(self._ends_of(name, each)[-1] for name, each in hyperparameters.items())

    def _ends_of(self, name: str, distribution: Distribution) -> list[int]:
        if name not in self._ends:
            values = self._values[name]
            sizes = [self._size(distribution.opens(value)) for value in values] if distribution.branches else None
            self._ends[name] = list(accumulate(sizes or [1] * len(values)))
        return self._ends[name]

    def _point(self, hyperparameters: Mapping[str, Distribution], point: int) -> dict[str, Any]:
        parts: list[dict[str, Any]] = []
        for name, distribution in reversed(list(hyperparameters.items())):
            ends = self._ends_of(name, distribution)
            point, digit = divmod(point, ends[-1])
            place = bisect_right(ends, digit)
            value = self._values[name][place]
            within = digit - (ends[place - 1] if place else 0)
            parts.append({name: value, **self._point(distribution.opens(value), within)})
        return {name: value for part in reversed(parts) for name, value in part.items()}
