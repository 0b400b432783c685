"""The workers that have sent something, for `schedy workers`: shown to people, and nothing is decided by it."""

from collections.abc import Collection
from datetime import timedelta
from typing import Any, Literal

from sqlalchemy import Connection, Text, bindparam, delete, func, insert, select, update

from schedy.wire.base import Worker as WorkerName
from schedy.wire.reports import Heartbeat
from schedy_store.schema.column_types import UtcDateTime
from schedy_store.schema.engine import Transaction, Waiting
from schedy_store.schema.prepared import Prepared
from schedy_store.schema.tables import Worker

_KEEP_SILENT = timedelta(days=7)
_KNOWN = Prepared(select(Worker.pk).where(Worker.uid == bindparam("uid_is")))
_WRITE = Prepared(
    update(Worker)
    .where(Worker.pk == bindparam("pk_is"))
    .values(
        heard_at=func.coalesce(bindparam("at", type_=UtcDateTime), Worker.heard_at),
        state=func.coalesce(bindparam("state_now", type_=Text), Worker.state),
        detail=func.coalesce(bindparam("detail_now", type_=Text), Worker.detail),
        done=Worker.done + bindparam("more_done"),
        crashed=Worker.crashed + bindparam("more_crashed"),
        lost=Worker.lost + bindparam("more_lost"),
    )
)
_NOTHING: dict[str, Any] = {
    **dict.fromkeys(("at", "state_now", "detail_now")),
    **dict.fromkeys(("more_done", "more_crashed", "more_lost"), 0),
}


class _Noted(Waiting):
    """What was noted of workers and waits to be written, see `Transaction.waiting`."""

    def __init__(self) -> None:
        self.pks: dict[str, int] = {}
        """Primary keys by uid, of workers that were looked up."""
        self._rows: dict[int, dict[str, Any]] = {}

    def of(self, pk: int) -> dict[str, Any]:
        """Return what will be written of a worker, to be changed."""
        return self._rows.setdefault(pk, {"pk_is": pk, **_NOTHING})

    def write(self, sql: Connection) -> None:
        if self._rows:
            _WRITE.write(sql, list(self._rows.values()))
        self._rows.clear()
        self.pks.clear()


class Workers:
    """Keeps the workers within one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._now = transaction.now

    def read_ahead(self, uids: Collection[str]) -> None:
        """Look up workers together of which reports are to be applied."""
        self._noted.pks.update(self._look_up(self._transaction.sql_before_writes, uids))

    def pk_of(self, worker: WorkerName) -> int:
        """Note a sign of life of a worker, and return its primary key."""
        pk = self._known(worker.uid)
        if pk is None:
            return self._add(worker)
        self._noted.of(pk)["at"] = self._now
        return pk

    def heard(self, heartbeat: Heartbeat) -> None:
        """Note a sign of life, with the state that the worker reports."""
        pk = self._known(heartbeat.worker.uid)
        if pk is None:
            self._add(heartbeat.worker, state=heartbeat.state, detail=heartbeat.detail)
        else:
            self._noted.of(pk).update(at=self._now, state_now=heartbeat.state, detail_now=heartbeat.detail)

    def count(self, pk: int | None, what: Literal["done", "crashed", "lost"]) -> None:
        """Count how a job of a worker ended."""
        if pk is not None:
            self._noted.of(pk)[f"more_{what}"] += 1

    @property
    def _noted(self) -> _Noted:
        return self._transaction.waiting(_Noted)

    def _known(self, uid: str) -> int | None:
        pk = self._noted.pks.get(uid)
        return self._look_up(self._transaction.sql, [uid]).get(uid) if pk is None else pk

    def _look_up(self, sql: Connection, uids: Collection[str]) -> dict[str, int]:
        return {uid: pk for uid in uids for (pk,) in _KNOWN.read(sql, {"uid_is": uid})}

    def forget_old(self) -> None:
        """Delete workers that have sent nothing for a week."""
        self._transaction.sql.execute(delete(Worker).where(Worker.heard_at < self._now - _KEEP_SILENT))

    def _add(self, worker: WorkerName, *, state: str = "alive", detail: str = "") -> int:
        return self._transaction.sql.scalars(
            insert(Worker)
            .values(
                uid=worker.uid,
                host=worker.host,
                pid=worker.pid,
                program=worker.program,
                state=state,
                detail=detail,
                since=self._now,
                heard_at=self._now,
            )
            .returning(Worker.pk)
        ).one()
