"""A number that grows when the store has changed, found at next to no cost."""

import threading
import time

from sqlalchemy import select

from schedy.errors import StoreError
from schedy_store.schema.engine import Store
from schedy_store.schema.prepared import Prepared
from schedy_store.schema.tables import Service

_SECONDS = 0.5
_CHANGES = Prepared(select(Service.changes))


class StoreVersion:
    """Looks twice a second at most at how many changes the results service has counted. Any thread may use it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._looked_at = 0.0
        self._seen: object = None
        self._version = 0

    def __call__(self) -> int:
        """Return the number. It also grows with each look at a store that cannot be read."""
        with self._lock:
            now = time.monotonic()
            if now - self._looked_at >= _SECONDS:
                seen = self._look(now)
                self._version += seen != self._seen
                self._seen, self._looked_at = seen, time.monotonic()
            return self._version

    def _look(self, now: float) -> object:
        try:
            with self._store.transaction() as transaction:
                return _CHANGES.read(transaction.sql, {})
        except StoreError:  # the read itself will say what is wrong with it
            return now
