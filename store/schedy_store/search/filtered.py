"""Suggestions of allowed points alone: new ones, where none is to be repeated, and those that keep all conditions."""

import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from schedy.search.definition import Definition
from schedy.search.points import Points
from schedy.search.room import MOST_LISTED, all_points, check_room
from schedy_store.search.protocol import WHY, Algorithm, Exhausted, History, NotYet, Suggestion, generator
from schedy_store.search.tried import TriedPoints

_ASKED_AGAIN = 5
"""The algorithm proposes as many other points before one is drawn at random."""
_DRAWS_BEFORE_LISTING = 100
_DRAWS = 1000
_DRAWS_UNDER_CONDITIONS = 20_000


class Filtered:
    """An algorithm all of whose suggestions are allowed points, while there are any.

    Where it proposes another, it is asked again under other seeds; then an allowed point is drawn, each as likely. That
    job keeps the state of the first proposal, whose place it takes.
    """

    def __init__(
        self, definition: Definition, make_algorithm: Callable[[Definition], Algorithm], tried: TriedPoints | None
    ) -> None:
        """`tried` are the points that are not to be repeated. Raises InvalidValueError if hardly a point is allowed."""
        self._definition = definition
        self._make_algorithm = make_algorithm
        self._tried = tried
        self._conditions = definition.conditions
        self._space = definition.space()
        self._count = self._space.count
        self._is_listed = self._count is not None and self._count <= MOST_LISTED
        self._points: Points | None = None
        check_room(definition)
        self._algorithms = [make_algorithm(definition)]
        """The algorithm, and the same under other seeds, which are made when they are asked."""

    def suggest(self, number: int, history: History) -> Suggestion | NotYet | Exhausted:
        if self._tried is not None and self._count is not None and self._tried.count >= self._count:
            return Exhausted(f"All {self._count:,} points have been tried.")
        first = self._algorithms[0].suggest(number, history)
        if not isinstance(first, Suggestion) or self._allows(first.hyperparameters):
            return first
        for place in range(1, _ASKED_AGAIN + 1):
            other = self._algorithm(place).suggest(number, history)
            if isinstance(other, Suggestion) and self._allows(other.hyperparameters):
                return other
        drawn = self._drawn(generator(self._definition, number, "untried"))
        return self._end() if drawn is None else Suggestion(drawn, state={**first.state, WHY: {"drawn": True}})

    def _allows(self, point: Mapping[str, Any]) -> bool:
        return self._keeps(point) and not (self._tried is not None and self._tried.has(point))

    def _keeps(self, point: Mapping[str, Any]) -> bool:
        return all(condition.holds(point) for condition in self._conditions)

    def _end(self) -> Exhausted:
        kept = " that keep the conditions" if self._conditions else ""
        if self._is_listed:
            return Exhausted(f"All points{kept} have been tried.")
        return Exhausted(f"{self._draws():,} points were drawn, and all{kept} had been tried.")

    def _algorithm(self, place: int) -> Algorithm:
        while len(self._algorithms) <= place:
            seed = generator(self._definition, len(self._algorithms), "again").getrandbits(32)
            self._algorithms.append(self._make_algorithm(self._definition.model_copy(update={"seed": seed})))
        return self._algorithms[place]

    def _drawn(self, drawn: random.Random) -> dict[str, Any] | None:
        """Return an allowed point, None if none is found."""
        if not self._is_listed:
            return next(filter(self._allows, self._random_points(drawn, self._draws())), None)
        points = self._all_points()
        draws = (points.at(drawn.randrange(points.count)) for _ in range(_DRAWS_BEFORE_LISTING))
        found = next(filter(self._allows, draws), None)
        if found is not None:
            return found
        allowed = [point for point in map(points.at, range(points.count)) if self._allows(point)]
        return drawn.choice(allowed) if allowed else None

    def _draws(self) -> int:
        return _DRAWS_UNDER_CONDITIONS if self._conditions else _DRAWS

    def _random_points(self, drawn: random.Random, count: int) -> Iterator[dict[str, Any]]:
        return (self._space.draw(lambda _name, each: each.at(drawn.random())) for _ in range(count))

    def _all_points(self) -> Points:
        if self._points is None:
            self._points = all_points(self._definition)
        return self._points
