"""Grid search: every combination of values, once."""

from array import array
from typing import Any

from schedy.errors import InvalidValueError
from schedy.random import Distribution
from schedy.search.definition import Definition
from schedy.search.options import GridOptions
from schedy.search.points import Points
from schedy_store.search.protocol import Exhausted, History, Suggestion, generator

MOST_POINTS = 10_000_000


class Grid:
    def __init__(self, definition: Definition) -> None:
        """Raises InvalidValueError for a grid of more than MOST_POINTS, or one with endless values."""
        options = GridOptions.read(definition.options)
        values = {
            name: _values(name, distribution, options.points_of(name))
            for name, distribution in definition.space().parameters.items()
        }
        self._points = Points(definition.hyperparameters, values)
        self.size = self._points.count
        """The number of points."""
        if self.size > MOST_POINTS:
            raise _too_large(f"The grid has {self.size:,} points")
        self._conditions = definition.conditions
        self._kept: list[int] = []
        """Where there are conditions, the numbers of the points among the first `_looked_at` that keep them."""
        self._looked_at = 0
        self._order: array[int] | range = range(self.size)
        if options.shuffle:
            self._order = array("L", self._order)
            generator(definition, 0, "grid").shuffle(self._order)

    def suggest(self, number: int, _history: History) -> Suggestion | Exhausted:
        if self._conditions:
            return self._allowed(number)
        if number >= self.size:
            return Exhausted(f"All {self.size:,} points of the grid were made.")
        return Suggestion(self._points.at(self._order[number]))

    def _allowed(self, number: int) -> Suggestion | Exhausted:
        """Return a point, counting only those that keep the conditions."""
        while len(self._kept) <= number and self._looked_at < self.size:
            place = self._order[self._looked_at]
            self._looked_at += 1
            point = self._points.at(place)
            if all(condition.holds(point) for condition in self._conditions):
                self._kept.append(place)
        if not self._kept:
            raise InvalidValueError(f"None of the {self.size:,} points of the grid keeps the conditions (where).")
        if number >= len(self._kept):
            return Exhausted(f"All {len(self._kept):,} points of the grid that keep the conditions were made.")
        return Suggestion(self._points.at(self._kept[number]))


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
