"""The workers that have sent something, for `schedy workers`: shown to people, and nothing is decided by it."""

from datetime import timedelta
from typing import Literal

from sqlalchemy import bindparam, delete, insert, update

from schedy.wire.base import Worker as WorkerName
from schedy.wire.reports import Heartbeat
from schedy_store.schema.engine import Transaction
from schedy_store.schema.tables import Worker

_KEEP_SILENT = timedelta(days=7)
_HEARD = (
    update(Worker)
    .where(Worker.uid == bindparam("uid_is"))
    .values(heard_at=bindparam("at_now"))
    .returning(Worker.pk)
    .execution_options(synchronize_session=False)
)
_HEARD_WITH_STATE = _HEARD.values(state=bindparam("state_now"), detail=bindparam("detail_now"))
_COUNT = {
    what: update(Worker).where(Worker.pk == bindparam("pk_is")).values({column: column + 1})
    for what, column in (("done", Worker.done), ("crashed", Worker.crashed), ("lost", Worker.lost))
}


class Workers:
    """Keeps the workers within one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._sql = transaction.sql
        self._now = transaction.now

    def pk_of(self, worker: WorkerName) -> int:
        """Note a sign of life of a worker, and return its primary key."""
        found: int | None = self._sql.scalar(_HEARD, {"uid_is": worker.uid, "at_now": self._now})
        return self._add(worker) if found is None else found

    def heard(self, heartbeat: Heartbeat) -> None:
        """Note a sign of life, with the state that the worker reports."""
        reported = {"state_now": heartbeat.state, "detail_now": heartbeat.detail}
        uid = heartbeat.worker.uid
        found: int | None = self._sql.scalar(_HEARD_WITH_STATE, {"uid_is": uid, "at_now": self._now, **reported})
        if found is None:
            self._add(heartbeat.worker, state=heartbeat.state, detail=heartbeat.detail)

    def count(self, pk: int | None, what: Literal["done", "crashed", "lost"]) -> None:
        """Count how a job of a worker ended."""
        if pk is not None:
            self._sql.execute(_COUNT[what], {"pk_is": pk})

    def forget_old(self) -> None:
        """Delete workers that have sent nothing for a week."""
        self._sql.execute(delete(Worker).where(Worker.heard_at < self._now - _KEEP_SILENT))

    def _add(self, worker: WorkerName, *, state: str = "alive", detail: str = "") -> int:
        return self._sql.scalars(
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
