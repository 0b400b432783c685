"""Grid search: every combination of values, once."""

from array import array
from collections.abc import Mapping
from math import prod
from typing import Any

from schedy.errors import InvalidValueError
from schedy.random import Distribution
from schedy.search.definition import Definition
from schedy.search.options import GridOptions
from schedy_store.search.protocol import Exhausted, History, Suggestion, generator

MOST_POINTS = 10_000_000


class Grid:
    """A point is a number in a mixed radix: each hyperparameter is a digit, the last changing fastest.

    The digit of a hyperparameter runs over its values, and over the points of what each of them opens.
    """

    def __init__(self, definition: Definition) -> None:
        """Raises InvalidValueError for a grid of more than MOST_POINTS, or one with endless values."""
        options = GridOptions.read(definition.options)
        self._top = definition.hyperparameters
        self._values: dict[str, list[Any]] = {}
        for name, distribution in definition.space().parameters.items():
            self._values[name] = _values(name, distribution, options.points_of(name))
        self.size = self._size(self._top)
        """The number of points."""
        if self.size > MOST_POINTS:
            raise _too_large(f"The grid has {self.size:,} points")
        self._order: array[int] | range = range(self.size)
        if options.shuffle:
            self._order = array("L", self._order)
            generator(definition, 0, "grid").shuffle(self._order)

    def suggest(self, number: int, _history: History) -> Suggestion | Exhausted:
        if number >= self.size:
            return Exhausted(f"All {self.size:,} points of the grid were made.")
        return Suggestion(self._point(self._top, self._order[number]))

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


def _values(name: str, distribution: Distribution, points: int | None) -> list[Any]:
    if points is not None and not 1 <= points <= MOST_POINTS:
        raise InvalidValueError(f"{name}: a grid has from 1 to {MOST_POINTS:,} points, not {points}.")
    if points is None and distribution.count is not None and distribution.count > MOST_POINTS:
        raise _too_large(f"{name} has {distribution.count:,} values")
    try:
        return distribution.grid(points)
    except InvalidValueError as error:
        raise InvalidValueError(f"{name}: {error}") from None


def _too_large(fact: str) -> InvalidValueError:
    return InvalidValueError(f"{fact}, more than {MOST_POINTS:,}. Set `points`, the number of values to take.")
