"""The journal of events, for `schedy history` and `schedy log`."""

import itertools
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Text, bindparam, func, insert, select, update

from schedy.results.rounding import short_value
from schedy.values_text import format_name
from schedy.wire.reports import Curve, Progress
from schedy_store.schema.engine import Transaction, Waiting
from schedy_store.schema.prepared import Prepared
from schedy_store.schema.rows import JobRow
from schedy_store.schema.tables import Event

_VALUES_SHOWN = 8
_LONGEST_VALUE = 40

LOST_MESSAGES = "lost_messages"
"""The kind of an event of the service: the queue of the reports has lost messages."""

_FIRST = {"times": 1, "last_at": None}
_INSERT = Prepared(insert(Event), [column.name for column in Event.__table__.columns if column.name != "pk"])
_LATEST = (
    select(func.max(Event.pk))
    .where(Event.experiment_pk == bindparam("experiment_is"), Event.job_id == bindparam("job_is"))
    .scalar_subquery()
)
_REPEAT = (
    update(Event)
    .where(
        Event.pk == _LATEST,
        Event.kind == bindparam("kind_is"),
        Event.detail == bindparam("detail_is"),
        func.coalesce(Event.token, "") == bindparam("token_is"),
    )
    .values(times=Event.times + 1, last_at=bindparam("at_now"))
    .returning(Event.pk)
)
_REPORTED_AGAIN = (
    update(Event)
    .where(Event.pk == _LATEST, Event.kind == "reported", Event.token == bindparam("token_is"))
    .values(
        times=Event.times + 1,
        last_at=bindparam("at_now"),
        detail=func.coalesce(bindparam("detail_now", type_=Text), Event.detail),
    )
    .returning(Event.pk)
)
_WORKER_OF_TOKEN = select(Event.worker).where(
    Event.experiment_pk == bindparam("experiment_is"),
    Event.job_id == bindparam("job_is"),
    Event.kind == "claimed",
    Event.token == bindparam("token_is"),
)
_LOST = (
    select(Event.attempt, Event.worker)
    .where(
        Event.experiment_pk == bindparam("experiment_is"),
        Event.job_id == bindparam("job_is"),
        Event.kind == "lost",
        Event.attempt > bindparam("attempts_forgiven"),
    )
    .order_by(Event.pk)
)


class _Events(Waiting):
    """Events that wait to be written, see `Transaction.waiting`."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def write(self, sql: Connection) -> None:
        if self.rows:
            _INSERT.write(sql, self.rows)
            self.rows.clear()


class Journal:
    """Writes events within one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._now: datetime = transaction.now

    def record(
        self,
        kind: str,
        detail: str,
        *,
        experiment_pk: int | None,
        job_id: str | None = None,
        worker: str | None = None,
        attempt: int | None = None,
        token: str | None = None,
        results: str | None = None,
    ) -> None:
        """Write one event."""
        self._transaction.waiting(_Events).rows.append(
            {
                "experiment_pk": experiment_pk,
                "job_id": job_id,
                "at": self._now,
                "kind": kind,
                "worker": worker,
                "attempt": attempt,
                "token": token,
                "detail": detail,
                "results": results,
                **_FIRST,
            }
        )

    def was_deleted(self, *, experiment_pk: int | None, experiment_uid: str, job_id: str) -> bool:
        """Return whether there is a record of the deletion of a job, or of its experiment, which has no key then."""
        found = select(Event.pk).where(Event.kind == "deleted").limit(1)
        if experiment_pk is None:
            found = found.where(Event.experiment_pk.is_(None), Event.job_id.is_(None), Event.token == experiment_uid)
        else:
            found = found.where(Event.experiment_pk == experiment_pk, Event.job_id == job_id)
        return self._transaction.sql.scalar(found) is not None

    def of_job(
        self,
        row: JobRow,
        kind: str,
        detail: str,
        *,
        worker: str | None = None,
        attempt: int | None = None,
        token: str | None = None,
        results: str | None = None,
    ) -> None:
        """Write an event of a job."""
        self.record(
            kind,
            detail,
            experiment_pk=row.experiment_pk,
            job_id=row.job_id,
            worker=worker,
            attempt=attempt,
            token=token,
            results=results,
        )

    def again(
        self,
        experiment_pk: int,
        job_id: str,
        kind: str,
        detail: str,
        *,
        token: str,
        worker: str | None,
        attempt: int | None = None,
    ) -> None:
        """Write an event that may happen very often: one like the latest of the job is counted there."""
        repeated = self._transaction.sql.scalar(
            _REPEAT,
            {
                "experiment_is": experiment_pk,
                "job_is": job_id,
                "kind_is": kind,
                "detail_is": detail,
                "token_is": token,
                "at_now": self._now,
            },
        )
        if repeated is None:
            self.record(
                kind, detail, experiment_pk=experiment_pk, job_id=job_id, worker=worker, attempt=attempt, token=token
            )

    def reported(self, row: JobRow, message: Progress | Curve) -> None:
        """Write that a worker has reported values; reports in a row are one event, with the latest values."""
        shown = _shown(message)
        again = {
            "experiment_is": row.experiment_pk,
            "job_is": row.job_id,
            "token_is": message.token,
            "at_now": self._now,
            "detail_now": shown or None,
        }
        if self._transaction.sql.scalar(_REPORTED_AGAIN, again) is None:
            self.of_job(row, "reported", shown, worker=row.worker, attempt=row.attempt, token=message.token)

    def worker_of(self, row: JobRow, token: str) -> str | None:
        """Return the worker that claimed the job under this token, None if none did."""
        keys = {"experiment_is": row.experiment_pk, "job_is": row.job_id, "token_is": token}
        found: str | None = self._transaction.sql.scalar(_WORKER_OF_TOKEN, keys)
        return found

    def hosts_lost(self, row: JobRow) -> list[str]:
        """Return the hosts of the workers that were lost on the job since it was pushed or retried, in order."""
        keys = {
            "experiment_is": row.experiment_pk,
            "job_is": row.job_id,
            "attempts_forgiven": row.attempts_forgiven,
        }
        by_attempt = {event.attempt: event.worker or "unknown" for event in self._transaction.sql.execute(_LOST, keys)}
        return [worker.split(":")[0] for worker in by_attempt.values()]


def _shown(message: Progress | Curve) -> str:
    """Return the values of a report in one line: the latest step of the curve, and the results; the first of many."""
    words: list[str] = []
    values: list[Mapping[str, Any]] = [message.results] if isinstance(message, Progress) else []
    if message.points:
        last = message.points[-1]
        words.append(f"step {last.step}")
        values.insert(0, last.values)
    for name, value in itertools.chain.from_iterable(some.items() for some in values):
        words.append(f"{format_name(name)} {_short(value)}")
        if len(words) > _VALUES_SHOWN:
            words.append("...")
            break
    return "  ".join(words)


def _short(value: Any) -> str:
    text = short_value(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."
