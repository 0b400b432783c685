"""The journal of events, for `schedy history` and `schedy log`."""

import functools
import itertools
from collections.abc import Iterator, Mapping
from datetime import datetime
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Text, bindparam, func, insert, select, update

from schedy.results.rounding import short_value
from schedy.values_text import format_name
from schedy.wire.reports import Curve, Progress
from schedy_store.schema.engine import Transaction, Waiting
from schedy_store.schema.prepared import Prepared, padded
from schedy_store.schema.rows import JobRow
from schedy_store.schema.tables import Event

_VALUES_SHOWN = 8
_LONGEST_VALUE = 40
_JOBS_AT_ONCE = 256

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
_REPORTED_AGAIN = Prepared(
    update(Event)
    .where(Event.pk == bindparam("pk_is"))
    .values(
        times=Event.times + bindparam("more", type_=Event.times.type),
        last_at=bindparam("at_now", type_=Event.at.type),
        detail=func.coalesce(bindparam("detail_now", type_=Text), Event.detail),
    )
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


@functools.cache
def _latest_of(count: int) -> Prepared:
    """Return the statement that reads the latest events of so many jobs of an experiment."""
    ids = [bindparam(f"id_{number}", type_=Event.job_id.type) for number in range(count)]
    latest = (
        select(func.max(Event.pk))
        .where(Event.experiment_pk == bindparam("experiment_is"), Event.job_id.in_(ids))
        .group_by(Event.job_id)
    )
    return Prepared(select(Event.job_id, Event.pk, Event.kind, Event.token).where(Event.pk.in_(latest)))


_JobKey = tuple[int | None, str | None]


class _Events(Waiting):
    """Events that wait to be written, see `Transaction.waiting`."""

    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []
        self._latest: dict[_JobKey, dict[str, Any]] = {}
        """The latest that waits of each job."""
        self._reported: dict[_JobKey, dict[str, Any]] = {}
        """Reports before which nothing of their job waits: the latest event that is stored may be of those before."""
        self._again: list[dict[str, Any]] = []
        """Of such reports those that count with a stored event."""

    def add(self, row: dict[str, Any]) -> None:
        """Let an event wait."""
        self._rows.append(row)
        self._latest[row["experiment_pk"], row["job_id"]] = row

    def add_report(self, row: dict[str, Any]) -> None:
        """Let a report wait, as one event with those of the same attempt before it."""
        key = row["experiment_pk"], row["job_id"]
        before = self._latest.get(key)
        if before is None:
            self._reported[key] = self._latest[key] = row
        elif before["kind"] == row["kind"] and before["token"] == row["token"]:
            before["times"] += 1
            before["last_at"] = row["at"]
            before["detail"] = row["detail"] or before["detail"]
        else:
            self.add(row)

    def prepare(self, sql: Connection) -> None:
        """Find out which reports count with one that is stored; the others are events of their own."""
        first: list[dict[str, Any]] = []
        for experiment_pk, rows in itertools.groupby(self._reported.values(), itemgetter("experiment_pk")):
            for row, stored in _with_stored(sql, experiment_pk, list(rows)):
                if stored is None:
                    first.append(row)
                else:
                    counted = {"more": row["times"], "at_now": row["last_at"] or row["at"]}
                    self._again.append({"pk_is": stored, "detail_now": row["detail"] or None, **counted})
        self._rows[:0] = first

    def write(self, sql: Connection) -> None:
        if self._again:
            _REPORTED_AGAIN.write(sql, self._again)
        if self._rows:
            _INSERT.write(sql, self._rows)
        for each in (self._rows, self._latest, self._reported, self._again):
            each.clear()


def _with_stored(
    sql: Connection, experiment_pk: int, rows: list[dict[str, Any]]
) -> Iterator[tuple[dict[str, Any], int | None]]:
    """Yield each report with the key of the stored event with which it counts, None where there is none."""
    for start in range(0, len(rows), _JOBS_AT_ONCE):
        some = rows[start : start + _JOBS_AT_ONCE]
        ids = [row["job_id"] for row in some]
        values = {f"id_{number}": job_id for number, job_id in enumerate(padded(ids))}
        found = _latest_of(len(values)).read(sql, {"experiment_is": experiment_pk, **values})
        latest = {job_id: (pk, (kind, token)) for job_id, pk, kind, token in found}
        for row in some:
            pk, event = latest.get(row["job_id"], (None, None))
            yield row, pk if event == (row["kind"], row["token"]) else None


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
        self._transaction.waiting(_Events).add(
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
        self._transaction.waiting(_Events).add_report(
            {
                "experiment_pk": row.experiment_pk,
                "job_id": row.job_id,
                "at": self._now,
                "kind": "reported",
                "worker": row.worker,
                "attempt": row.attempt,
                "token": message.token,
                "detail": _shown(message),
                "results": None,
                **_FIRST,
            }
        )

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
