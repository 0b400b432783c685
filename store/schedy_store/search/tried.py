"""The points at which an experiment has jobs."""

from collections.abc import Hashable, Mapping
from typing import Any

from sqlalchemy import select

from schedy.search.definition import Definition
from schedy.wire.values import json_key, load_values
from schedy_store.schema.engine import Transaction
from schedy_store.schema.tables import Job


class TriedPoints:
    """The points at which an experiment has jobs, pushed ones too. One that was removed makes a new `TriedPoints`."""

    def __init__(self, definition: Definition) -> None:
        self._space = definition.space()
        self._assumed = definition.assumed
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
            key = self._key({**self._assumed, **load_values(hyperparameters)})
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
