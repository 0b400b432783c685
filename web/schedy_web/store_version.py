"""A number that grows when the store has changed, found at next to no cost."""

import threading
import time
from typing import Any

from schedy_store.schema.engine import Store

_SECONDS = 0.5


class StoreVersion:
    """Looks at the store twice a second at most. Any thread may use it.

    SQLite counts the commits of other connections. PostgreSQL tells nothing so cheap: there each second is a change.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._looked_at = 0.0
        self._seen: object = None
        self._version = 0
        self._raw: Any = None

    def __call__(self) -> int:
        """Return the number."""
        with self._lock:
            now = time.monotonic()
            if now - self._looked_at >= _SECONDS:
                self._looked_at = now
                seen = self._look(now)
                self._version += seen != self._seen
                self._seen = seen
            return self._version

    def close(self) -> None:
        """Let go of the connection."""
        with self._lock:
            if self._raw is not None:
                self._raw.close()
                self._raw = None

    def _look(self, now: float) -> object:
        engine = self._store.engine
        if engine.dialect.name != "sqlite":
            return int(now)
        try:
            if self._raw is None:
                self._raw = engine.raw_connection()
            return self._raw.driver_connection.execute("PRAGMA data_version").fetchone()[0]
        except Exception:  # the read itself will say what is wrong with the store
            self._raw = None
            return now
