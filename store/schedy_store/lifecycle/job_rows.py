"""Rows of jobs: reading them for a verdict, and writing verdicts, guarded by the revision that was judged."""

import functools
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, Text, bindparam, case, func, literal_column, select, update
from sqlalchemy.engine.interfaces import DBAPICursor

from schedy.search.definition import as_observation
from schedy.wire.base import FINAL_STATUSES
from schedy.wire.stopping import Stop, stop_text
from schedy.wire.values import Values, dump_values, load_values
from schedy_store.lifecycle.job_counts import count_jobs
from schedy_store.lifecycle.journal import Journal
from schedy_store.lifecycle.sort_keys import SortKeys
from schedy_store.lifecycle.transitions import JobState, Terms
from schedy_store.schema.column_types import After
from schedy_store.schema.engine import Transaction, Waiting
from schedy_store.schema.prepared import Prepared, padded
from schedy_store.schema.rows import JOB_ROW_COLUMNS, JobRow
from schedy_store.schema.tables import OF_EXPERIMENT, Experiment, Job
from schedy_store.search.protocol import PRUNER_STATE

_LARGEST_PREVIOUS_RESULTS = 4_000_000
"""Characters of the results of all earlier attempts; beyond that only the latest one's are kept."""

FORGED = "it comes from another user of the broker than the first claim."
_ROWS_AT_ONCE = 256
_DELETED = "it was deleted."
_UNKNOWN = "the store does not know it: the store was restored from an older backup, or it is another store."

_ROW = select(*JOB_ROW_COLUMNS).join_from(Job, Experiment, OF_EXPERIMENT)
# Every report runs these: building a statement takes ten times as long as running it.
_ROW_AGAIN = _ROW.where(Job.pk == bindparam("pk_is"))


@functools.cache
def _rows_of(count: int) -> Prepared:
    """Return the statement that reads so many rows of an experiment."""
    ids = [bindparam(f"id_{number}", type_=Job.job_id.type) for number in range(count)]
    return Prepared(_ROW.where(Experiment.uid == bindparam("uid_is"), Job.job_id.in_(ids)))


_SEARCH_STATE = select(Job.search_state).where(Job.pk == bindparam("pk_is"))
_SET_SEARCH_STATE = (
    update(Job).where(Job.pk == bindparam("pk_is")).values(search_state=bindparam("state_now", type_=Text))
)
_RUNNING = Job.status == literal_column("'RUNNING'")  # no parameter, so that SQLite uses the index of the leases
_JOB_TIMEOUT_IS_OVER = After(Job.timed_from, Experiment.job_timeout) <= bindparam("at_now")
_STALL_TIMEOUT_IS_OVER = After(Job.reported_at, Experiment.stall_timeout) <= bindparam("at_now")
_OVERDUE = (
    select(*JOB_ROW_COLUMNS, case((_JOB_TIMEOUT_IS_OVER, "job_timeout"), else_="stall_timeout"))
    .join_from(Job, Experiment, OF_EXPERIMENT)
    .where(_RUNNING, Job.stop.is_(None), _JOB_TIMEOUT_IS_OVER | _STALL_TIMEOUT_IS_OVER)
    .order_by(Job.lease_until)
    .limit(bindparam("most"))
)
_WRITTEN = (
    *("status", "token", "attempt", "attempts_forgiven", "sequence", "lease_until", "stop", "dispatched_at", "ticket"),
    *("releases", "revision", "quality", "results", "previous_results", "error", "started_at", "finished_at"),
    *("heard_at", "reported_at", "timed_from", "worker", "worker_pk", "user", "behind"),
)
"""Columns of a job that verdicts may change, beside `ended`."""
_values_written = attrgetter(*_WRITTEN)
_MOVE = (
    update(Job)
    .where(Job.pk == bindparam("pk_is"), Job.revision == bindparam("revision_is"), Job.status == bindparam("status_is"))
    .values({name: bindparam(name) for name in _WRITTEN})
)
_GO_ON = Prepared(_MOVE.values(ended=bindparam("ended")))
_OTHER = Job.__table__.alias()
_END = Prepared(
    _MOVE.values(
        ended=select(func.coalesce(func.max(_OTHER.c.ended), 0) + 1)
        .where(_OTHER.c.experiment_pk == bindparam("experiment_is"))
        .scalar_subquery()
    )
)
_REWRITE = update(Experiment).where(Experiment.pk == bindparam("pk_is")).values(rewritten=Experiment.rewritten + 1)


class _Moves(Waiting):
    """Rows that were read, and verdicts on them that wait to be written, see `Transaction.waiting`."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], JobRow | None] = {}
        """Rows by experiment and id, as they are after the verdicts; None where there is no such job."""
        self._guards: dict[int, dict[str, Any]] = {}
        """By primary key what the database has while the verdicts wait."""
        self._going_on: dict[int, JobRow] = {}
        self._ended: dict[int, JobRow] = {}
        """Rows to be written, in the order in which the jobs have ended."""
        self._written: list[tuple[DBAPICursor, int]] = []
        """Statements that were run, and the number of rows that each must have changed."""

    def put(self, row: JobRow, moved: JobRow, *, has_ended: bool) -> None:
        """Let a row wait to be written, in place of `row`."""
        before = self._ended.pop(row.pk, None)
        waiting = before or self._going_on.pop(row.pk, None)
        has_ended = has_ended or (before is not None and moved.status == before.status)
        if waiting is not None and waiting.revision != row.revision:
            raise RuntimeError(f"Job {row.job_id} changed while it was judged.")
        self._guards.setdefault(row.pk, {"pk_is": row.pk, "revision_is": row.revision, "status_is": row.status})
        (self._ended if has_ended else self._going_on)[row.pk] = moved
        self.rows[row.experiment_uid, row.job_id] = moved

    def write(self, sql: Connection) -> None:
        self.rows.clear()
        if not self._guards:
            return
        if self._going_on:
            self._write(sql, _GO_ON, [self._columns(row) | {"ended": row.ended} for row in self._going_on.values()])
        if self._ended:
            ended = self._ended.values()
            self._write(sql, _END, [self._columns(row) | {"experiment_is": row.experiment_pk} for row in ended])
        for each in (self._guards, self._going_on, self._ended):
            each.clear()

    def _columns(self, row: JobRow) -> dict[str, Any]:
        return {**dict(zip(_WRITTEN, _values_written(row), strict=True)), **self._guards[row.pk]}

    def _write(self, sql: Connection, statement: Prepared, rows: list[dict[str, Any]]) -> None:
        self._written.append((statement.write(sql, rows), len(rows)))

    def check(self) -> None:
        written, self._written = self._written, []
        if any(cursor.rowcount != expected for cursor, expected in written):
            raise RuntimeError("A job changed while it was judged: two writers in one store.")


class JobRows:
    """The jobs, within one transaction."""

    def __init__(self, transaction: Transaction, *, lease_seconds: float) -> None:
        self._transaction = transaction
        self._now = transaction.now
        self._lease = timedelta(seconds=lease_seconds)
        self.journal = Journal(transaction)

    def read_ahead(self, keys: Iterable[tuple[str, str]]) -> None:
        """Read rows together that reports are about, by their experiments and ids."""
        ids: dict[str, list[str]] = {}
        for key in keys:
            if key not in self._moves.rows:
                ids.setdefault(key[0], []).append(key[1])
                self._moves.rows[key] = None
        for uid, some in ids.items():
            for start in range(0, len(some), _ROWS_AT_ONCE):
                self._read_few(uid, some[start : start + _ROWS_AT_ONCE])

    def _read_few(self, uid: str, ids: Sequence[str]) -> None:
        values = {f"id_{number}": job_id for number, job_id in enumerate(padded(ids))}
        for found in _rows_of(len(values)).read(self._transaction.sql_before_writes, {"uid_is": uid, **values}):
            row = JobRow(*found)
            self._moves.rows[uid, row.job_id] = row

    def find(self, experiment_uid: str, job_id: str) -> JobRow | None:
        """Return the row of a job, None if there is none."""
        key = (experiment_uid, job_id)
        if key not in self._moves.rows:
            self._transaction.write()
            self.read_ahead([key])
        return self._moves.rows[key]

    def again(self, row: JobRow) -> JobRow:
        """Return the row as it is after it was moved."""
        moved = self._moves.rows.get((row.experiment_uid, row.job_id))
        return moved or JobRow(*self._transaction.sql.execute(_ROW_AGAIN, {"pk_is": row.pk}).one())

    def with_lease_over(self, limit: int) -> list[JobRow]:
        """Return running jobs whose lease is over, the oldest first."""
        over = _ROW.where(_RUNNING, Job.lease_until <= self._now).order_by(Job.lease_until)
        return [JobRow(*found) for found in self._transaction.sql.execute(over.limit(limit))]

    def running_tokens(self, tokens: Iterable[str]) -> set[str]:
        """Return those of the tokens under which a job runs."""
        return set(self._transaction.sql.scalars(select(Job.token).where(_RUNNING, Job.token.in_(tokens))))

    def running_behind(self, tokens: Iterable[str]) -> list[JobRow]:
        """Return running jobs that were claimed behind those with these tokens."""
        found = self._transaction.sql.execute(_ROW.where(_RUNNING, Job.behind.in_(tokens)))
        return [JobRow(*columns) for columns in found]

    def overdue(self, limit: int) -> list[tuple[JobRow, Stop]]:
        """Return running jobs that exceed a timeout of their experiment, and are not to stop yet, with the timeout."""
        found = self._transaction.sql.execute(_OVERDUE, {"at_now": self._now, "most": limit})
        return [(JobRow(*columns), stop) for *columns, stop in found]

    def experiment_pk(self, uid: str) -> int | None:
        """Return the primary key of an experiment, None if there is none."""
        return self._transaction.sql.scalar(select(Experiment.pk).where(Experiment.uid == uid))

    def why_unknown(self, experiment_uid: str, job_id: str) -> str:
        """Return why there is no such job."""
        experiment_pk = self.experiment_pk(experiment_uid)
        was_deleted = self.journal.was_deleted(
            experiment_pk=experiment_pk, experiment_uid=experiment_uid, job_id=job_id
        )
        return _DELETED if was_deleted else _UNKNOWN

    def terms(self, row: JobRow) -> Terms:
        """Return the rules of the experiment of a row."""
        is_open = row.experiment_status == "RUNNING" and not row.paused
        return Terms(is_open, row.max_attempts, self._lease, row.retry_timeouts)

    def move(self, row: JobRow, state: JobState, **values: Any) -> None:
        """Write a verdict, guarded by the state that was judged."""
        if values or state != state_of(row):
            self._move(row, state, values, has_ended=False)

    @property
    def _moves(self) -> _Moves:
        return self._transaction.waiting(_Moves)

    def _move(self, row: JobRow, state: JobState, values: dict[str, Any], *, has_ended: bool) -> None:
        moved = replace(
            row,
            status=state.status,
            token=state.token,
            attempt=state.attempt,
            attempts_forgiven=state.attempts_forgiven,
            sequence=state.sequence,
            lease_until=state.lease_until,
            stop=state.stop,
            dispatched_at=row.dispatched_at if state.dispatched else None,
            ticket=state.ticket,
            releases=state.releases,
            revision=row.revision + 1,
            **values,
        )
        self._moves.put(row, moved, has_ended=has_ended)
        if state.status != row.status:
            count_jobs(self._transaction, row.experiment_pk, {row.status: -1, state.status: 1})

    def end(self, row: JobRow, state: JobState, *, error: str | None, **values: Any) -> None:
        """Write a final verdict."""
        self._move(row, state, {"error": error, "finished_at": self._now, **values}, has_ended=True)
        detail = state.status if error is None else f"{state.status}: {error}"
        self.journal.of_job(row, "ended", detail, worker=row.worker, attempt=row.attempt or None)

    def queue_again(self, row: JobRow, state: JobState, results: str) -> None:
        """Write a verdict that queues a job again, without a holder; `results` is what its last attempt leaves."""
        nobody = dict.fromkeys(("started_at", "timed_from", "finished_at", "worker", "worker_pk", "user", "behind"))
        self.move(row, state, ended=None, **nobody, **self.fresh_start(row, results))
        if row.status in FINAL_STATUSES:
            self.rewrite(row.experiment_pk)

    def rewrite(self, experiment_pk: int) -> None:
        """Note that jobs from which the search of an experiment has learnt are not what they were."""
        self._transaction.sql.execute(_REWRITE, {"pk_is": experiment_pk})

    def fresh_start(self, row: JobRow, results: str | None = None) -> dict[str, Any]:
        """Return the columns with which an attempt starts; the results of the one before are kept in another."""
        put = row.results if results is None else results
        previous = row.previous_results
        if put != row.initial_results:
            previous = _merged(previous, put)
            self.journal.of_job(
                row, "kept", "Results of this attempt.", worker=row.worker, attempt=row.attempt, results=put
            )
        if row.prunes:
            self._forget_pruner_state(row)
        return {
            "quality": row.initial_quality,
            "error": None,
            "previous_results": previous,
            **self.replaced_results(row, row.initial_results),
        }

    def _forget_pruner_state(self, row: JobRow) -> None:
        """The pruner judges an attempt, and others by it, by its own curve alone."""
        state = json.loads(self._transaction.sql.scalars(_SEARCH_STATE, {"pk_is": row.pk}).one())
        if state.pop(PRUNER_STATE, None) is not None:
            self._transaction.sql.execute(_SET_SEARCH_STATE, {"pk_is": row.pk, "state_now": json.dumps(state)})

    def reported(self, row: JobRow, results: Values, quality: float) -> dict[str, Any]:
        """Write the sort keys, and return the columns to set. The quality is that of the only objective, if any."""
        objectives = json.loads(row.objectives)
        observation = as_observation(results.get(objectives[0])) if len(objectives) == 1 else None
        return {
            **self.replaced_results(row, dump_values(results), results),
            "quality": quality if observation is None else observation,
        }

    def replaced_results(self, row: JobRow, text: str, results: Values | None = None) -> dict[str, str]:
        """Write the sort keys of results that are JSON already, and return the column to set."""
        if text != row.results:
            keys = self._transaction.waiting(SortKeys)
            write = keys.add if row.results == "{}" else keys.replace
            write(row.pk, row.experiment_pk, "result", load_values(text) if results is None else results)
        return {"results": text}


def _merged(previous: str, put: str) -> str:
    merged = dump_values({**load_values(previous), **load_values(put)})
    return merged if len(merged) <= _LARGEST_PREVIOUS_RESULTS else put


def state_of(row: JobRow) -> JobState:
    """Return the state of the job of a row."""
    return JobState(
        row.status,
        row.token,
        row.attempt,
        row.attempts_forgiven,
        row.sequence,
        row.lease_until,
        row.stop,
        row.dispatched_at is not None,
        row.ticket,
        row.releases,
    )


def is_forged(row: JobRow, token: str, user: str | None) -> bool:
    """Tell whether another user of the broker than the one that claimed the job claims or reports with its token."""
    return token == row.token and row.user is not None and user != row.user


def why_to_stop(row: JobRow) -> str:
    """Return in words why the holder of a job is to stop, empty if it is not."""
    return "" if row.stop is None else reason_to_stop(row.stop, row)


def reason_to_stop(stop: Stop, row: JobRow) -> str:
    """Return a reason in words, with the limit that the experiment of the job sets."""
    return stop_text(stop, job_timeout=row.job_timeout, stall_timeout=row.stall_timeout)
