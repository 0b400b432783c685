"""The statistics by which PostgreSQL plans statements.

Its autovacuum makes them once a minute at most. Until then it takes a table into which many jobs were just pushed for
an empty one, and reads all of its rows to find one.
"""

import logging
import threading

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from schedy_store.schema.engine import Store
from schedy_store.schema.tables import CurvePoint, Event, Job, JobValue

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 2.0
_END_SECONDS = 5.0
_GROWN = text(
    "SELECT grown.relname FROM pg_stat_user_tables AS seen JOIN pg_class AS grown ON grown.oid = seen.relid"
    " WHERE seen.schemaname = current_schema() AND grown.relname = ANY(:names)"
    " AND seen.n_mod_since_analyze > 500 + greatest(grown.reltuples, 0)"
)
"""Tables that have changed as often, since they were analysed, as they had rows then."""
_NAMES = [table.__tablename__ for table in (Job, JobValue, Event, CurvePoint)]


class Statistics:
    """Has tables analysed that have doubled; does nothing for SQLite.

    Lives in a thread of its own, which the service thread starts and ends: to analyse a large table takes a second.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="schedy-statistics", daemon=True)

    def start(self) -> None:
        if self._store.engine.dialect.name == "postgresql":
            self._thread.start()

    def end(self) -> None:
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(_END_SECONDS)

    def _run(self) -> None:
        while not self._ending.wait(_LOOK_SECONDS):
            try:
                self._analyse_grown()
            except SQLAlchemyError as error:
                _log.debug("No statistics were made: %s", error)

    def _analyse_grown(self) -> None:
        with self._store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as sql:
            for name in sql.scalars(_GROWN, {"names": _NAMES}).all():
                sql.exec_driver_sql(f"ANALYZE {name}")
