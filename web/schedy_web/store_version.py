"""A number that grows when the store has changed, found at next to no cost."""

import threading
import time
from typing import Any

from schedy_store.schema.engine import Store

_SECONDS = 0.5
_PLACE_IN_LOG = """
SELECT CAST(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END AS TEXT)
"""


class StoreVersion:
    """Looks at the store twice a second at most. Any thread may use it.

    SQLite counts the commits of other connections. In PostgreSQL it is the place in its write-ahead log, which grows
    with what others write there, too, and where that may not be asked for, each second is a change.
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
        is_sqlite = engine.dialect.name == "sqlite"
        try:
            if self._raw is None:
                self._raw = engine.raw_connection()
            asked = self._raw.driver_connection.execute("PRAGMA data_version" if is_sqlite else _PLACE_IN_LOG)
            seen = asked.fetchone()[0]
            self._raw.rollback()
            return seen
        except Exception:  # the read itself will say what is wrong with the store
            self._recover()
            return now if is_sqlite else int(now)

    def _recover(self) -> None:
        """Keep the connection after an error only if it still works."""
        try:
            self._raw.rollback()
        except Exception:  # it is gone, or there was none
            self._raw = None
