"""Suggestions without repeats: no point is suggested that was tried or runs."""

import random
from collections.abc import Callable, Hashable, Mapping
from typing import Any

from sqlalchemy import select

from schedy.search.definition import Definition
from schedy.search.space import Space
from schedy.wire.values import json_key, load_values
from schedy_store.schema.engine import Transaction
from schedy_store.schema.tables import Job
from schedy_store.search.points import Points
from schedy_store.search.protocol import Algorithm, Exhausted, History, NotYet, Suggestion, generator

_ASKED_AGAIN = 5
"""The algorithm proposes as many other points before one is drawn at random."""
_MOST_LISTED = 100_000
"""Points of a space in which those that were not tried are listed."""
_DRAWS = 100
_DRAWS_IN_LARGE_SPACES = 1000


class TriedPoints:
    """The points at which an experiment has jobs, pushed ones too. One that was removed makes a new `TriedPoints`."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._inside: set[Hashable] = set()
        self._outside: set[Hashable] = set()
        self._made: list[Hashable] = []
        """The points of suggestions that the store did not have at the last `read`."""
        self._last_pk = 0

    @property
    def count(self) -> int:
        """The number of points of the space that were tried."""
        return len(self._inside)

    def read(self, transaction: Transaction, experiment_pk: int) -> None:
        """Catch up with the store, which has all suggestions by now that were not dropped."""
        while self._made:
            key = self._made.pop()
            self._those_like(key).discard(key)
        found = select(Job.pk, Job.hyperparameters).where(Job.experiment_pk == experiment_pk, Job.pk > self._last_pk)
        for pk, hyperparameters in transaction.sql.execute(found.order_by(Job.pk)):
            key = self._key(load_values(hyperparameters))
            self._those_like(key).add(key)
            self._last_pk = pk

    def remember(self, hyperparameters: Mapping[str, Any]) -> None:
        """Count a suggestion as tried until the next `read`."""
        key = self._key(hyperparameters)
        if key not in self._those_like(key):
            self._those_like(key).add(key)
            self._made.append(key)

    def has(self, hyperparameters: Mapping[str, Any]) -> bool:
        """Return whether a point was tried."""
        key = self._key(hyperparameters)
        return key in self._those_like(key)

    def _key(self, hyperparameters: Mapping[str, Any]) -> Hashable:
        """Return the key of a point: a text for one that lies outside of the space."""
        return self._space.key(hyperparameters) or json_key(hyperparameters)

    def _those_like(self, key: Hashable) -> set[Hashable]:
        return self._outside if isinstance(key, str) else self._inside


class NoRepeats:
    """An algorithm all of whose suggestions are new points, while there are any.

    Where it proposes one that was tried, it is asked again under other seeds; then a point is drawn from those that
    were not tried, each as likely. That job keeps the state of the first proposal, whose place it takes.
    """

    def __init__(
        self, definition: Definition, make_algorithm: Callable[[Definition], Algorithm], tried: TriedPoints
    ) -> None:
        self._definition = definition
        self._make_algorithm = make_algorithm
        self._tried = tried
        self._space = definition.space()
        self._count = self._space.count
        self._algorithms = [make_algorithm(definition)]
        """The algorithm, and the same under other seeds, which are made when they are asked."""
        self._points: Points | None = None

    def suggest(self, number: int, history: History) -> Suggestion | NotYet | Exhausted:
        if self._count is not None and self._tried.count >= self._count:
            return Exhausted(f"All {self._count:,} points have been tried.")
        first = self._algorithms[0].suggest(number, history)
        if not isinstance(first, Suggestion) or not self._tried.has(first.hyperparameters):
            return first
        for place in range(1, _ASKED_AGAIN + 1):
            other = self._algorithm(place).suggest(number, history)
            if isinstance(other, Suggestion) and not self._tried.has(other.hyperparameters):
                return other
        drawn = self._untried(generator(self._definition, number, "untried"))
        if drawn is None:
            return Exhausted(f"{_DRAWS_IN_LARGE_SPACES:,} points were drawn, and all had been tried.")
        return Suggestion(drawn, state=first.state)

    def _algorithm(self, place: int) -> Algorithm:
        while len(self._algorithms) <= place:
            seed = generator(self._definition, len(self._algorithms), "again").getrandbits(32)
            self._algorithms.append(self._make_algorithm(self._definition.model_copy(update={"seed": seed})))
        return self._algorithms[place]

    def _untried(self, drawn: random.Random) -> dict[str, Any] | None:
        """Return a point that was not tried, None if none is found."""
        if self._count is None or self._count > _MOST_LISTED:
            draws = (
                self._space.draw(lambda _name, each: each.at(drawn.random())) for _ in range(_DRAWS_IN_LARGE_SPACES)
            )
            return next((point for point in draws if not self._tried.has(point)), None)
        if self._points is None:
            values = {name: each.grid(None) for name, each in self._space.parameters.items()}
            self._points = Points(self._definition.hyperparameters, values)
        points = self._points
        draws = (points.at(drawn.randrange(points.count)) for _ in range(_DRAWS))
        found = next((point for point in draws if not self._tried.has(point)), None)
        if found is not None:
            return found
        return drawn.choice([point for point in map(points.at, range(points.count)) if not self._tried.has(point)])
