"""Rows of jobs: reading them for a verdict, and writing verdicts, guarded by the revision that was judged."""

import json
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, case, delete, func, insert, literal_column, select, update

from schedy.search.definition import as_observation
from schedy.wire.base import FINAL_STATUSES
from schedy.wire.stopping import Stop, stop_text
from schedy.wire.values import Values, dump_values, load_values, sort_keys
from schedy_store.lifecycle.job_counts import count_move
from schedy_store.lifecycle.journal import Journal
from schedy_store.lifecycle.transitions import JobState, Terms
from schedy_store.schema.column_types import After
from schedy_store.schema.engine import Transaction
from schedy_store.schema.rows import JOB_ROW_COLUMNS, JobRow
from schedy_store.schema.tables import OF_EXPERIMENT, Experiment, Job, JobValue
from schedy_store.search.protocol import PRUNER_STATE

_LARGEST_PREVIOUS_RESULTS = 4_000_000
"""Characters of the results of all earlier attempts; beyond that only the latest one's are kept."""

FORGED = "it comes from another user of the broker than the first claim."
_DELETED = "it was deleted."
_UNKNOWN = "the store does not know it: the store was restored from an older backup, or it is another store."

_ROW = select(*JOB_ROW_COLUMNS).join_from(Job, Experiment, OF_EXPERIMENT)
# Every report runs these: building a statement takes ten times as long as running it.
_ROW_OF_JOB = _ROW.where(Experiment.uid == bindparam("uid_is"), Job.job_id == bindparam("id_is"))
_ROW_AGAIN = _ROW.where(Job.pk == bindparam("pk_is"))
_SEARCH_STATE = select(Job.search_state).where(Job.pk == bindparam("pk_is"))
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
_MOVE = (
    update(Job)
    .where(Job.pk == bindparam("pk_is"), Job.revision == bindparam("revision_is"), Job.status == bindparam("status_is"))
    .returning(Job.pk)
)
_OTHER = Job.__table__.alias()
_COUNT_AS_ENDED = (
    update(Job)
    .where(Job.pk == bindparam("pk_is"))
    .values(
        ended=select(func.coalesce(func.max(_OTHER.c.ended), 0) + 1)
        .where(_OTHER.c.experiment_pk == bindparam("experiment_is"))
        .scalar_subquery()
    )
)
_REWRITE = update(Experiment).where(Experiment.pk == bindparam("pk_is")).values(rewritten=Experiment.rewritten + 1)


class JobRows:
    """The jobs, within one transaction."""

    def __init__(self, transaction: Transaction, *, lease_seconds: float) -> None:
        self._sql = transaction.sql
        self._now = transaction.now
        self._lease = timedelta(seconds=lease_seconds)
        self.journal = Journal(transaction)

    def find(self, experiment_uid: str, job_id: str) -> JobRow | None:
        """Return the row of a job, None if there is none."""
        found = self._sql.execute(_ROW_OF_JOB, {"uid_is": experiment_uid, "id_is": job_id}).one_or_none()
        return None if found is None else JobRow(*found)

    def again(self, row: JobRow) -> JobRow:
        """Return the row as it is after it was moved."""
        return JobRow(*self._sql.execute(_ROW_AGAIN, {"pk_is": row.pk}).one())

    def with_lease_over(self, limit: int) -> list[JobRow]:
        """Return running jobs whose lease is over, the oldest first."""
        over = _ROW.where(_RUNNING, Job.lease_until <= self._now).order_by(Job.lease_until)
        return [JobRow(*found) for found in self._sql.execute(over.limit(limit))]

    def overdue(self, limit: int) -> list[tuple[JobRow, Stop]]:
        """Return running jobs that exceed a timeout of their experiment, and are not to stop yet, with the timeout."""
        found = self._sql.execute(_OVERDUE, {"at_now": self._now, "most": limit})
        return [(JobRow(*columns), stop) for *columns, stop in found]

    def experiment_pk(self, uid: str) -> int | None:
        """Return the primary key of an experiment, None if there is none."""
        return self._sql.scalar(select(Experiment.pk).where(Experiment.uid == uid))

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
        if state == state_of(row) and not values:
            return
        values.update(
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
        )
        guard = {"pk_is": row.pk, "revision_is": row.revision, "status_is": row.status}
        if self._sql.execute(_MOVE, {**values, **guard}).one_or_none() is None:
            raise RuntimeError(f"Job {row.job_id} changed while it was judged: two writers in one store.")
        if state.status != row.status:
            count_move(self._sql, row.experiment_pk, row.status, state.status)

    def end(self, row: JobRow, state: JobState, *, error: str | None, **values: Any) -> None:
        """Write a final verdict."""
        self.move(row, state, error=error, finished_at=self._now, **values)
        self._sql.execute(_COUNT_AS_ENDED, {"pk_is": row.pk, "experiment_is": row.experiment_pk})
        detail = state.status if error is None else f"{state.status}: {error}"
        self.journal.of_job(row, "ended", detail, worker=row.worker, attempt=row.attempt or None)

    def queue_again(self, row: JobRow, state: JobState, results: str) -> None:
        """Write a verdict that queues a job again, without a holder; `results` is what its last attempt leaves."""
        nobody = dict.fromkeys(("started_at", "timed_from", "finished_at", "worker", "worker_pk", "user"))
        self.move(row, state, ended=None, **nobody, **self.fresh_start(row, results))
        if row.status in FINAL_STATUSES:
            self.rewrite(row.experiment_pk)

    def rewrite(self, experiment_pk: int) -> None:
        """Note that jobs from which the search of an experiment has learnt are not what they were."""
        self._sql.execute(_REWRITE, {"pk_is": experiment_pk})

    def fresh_start(self, row: JobRow, results: str | None = None) -> dict[str, Any]:
        """Return the columns with which an attempt starts; the results of the one before are kept in another."""
        put = row.results if results is None else results
        previous = row.previous_results
        if put != row.initial_results:
            previous = _merged(previous, put)
            self.journal.of_job(
                row, "kept", "Results of this attempt.", worker=row.worker, attempt=row.attempt, results=put
            )
        return {
            "quality": row.initial_quality,
            "error": None,
            "previous_results": previous,
            **self._without_pruner_state(row),
            **self.replaced_results(row, row.initial_results),
        }

    def _without_pruner_state(self, row: JobRow) -> dict[str, str]:
        """Return the column to set: the pruner judges an attempt, and others by it, by its own curve alone."""
        if not row.prunes:
            return {}
        state = json.loads(self._sql.scalars(_SEARCH_STATE, {"pk_is": row.pk}).one())
        return {} if state.pop(PRUNER_STATE, None) is None else {"search_state": json.dumps(state)}

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
            replace_sort_keys(self._sql, row, "result", load_values(text) if results is None else results)
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


def replace_sort_keys(sql: Connection, row: JobRow, source: str, values: Values) -> None:
    """Make the sort keys of one job those of `values`."""
    if row.results != "{}":
        sql.execute(delete(JobValue).where(JobValue.job_pk == row.pk, JobValue.source == source))
    rows = sort_key_rows(row.pk, row.experiment_pk, source, values)
    if rows:
        sql.execute(insert(JobValue), rows)


def sort_key_rows(job_pk: int, experiment_pk: int, source: str, values: Values) -> list[dict[str, Any]]:
    """Return the rows of `job_value` for hyperparameters or results."""
    return [
        {
            "job_pk": job_pk,
            "experiment_pk": experiment_pk,
            "source": source,
            "name": name,
            "number": number,
            "text": text,
        }
        for name, number, text in sort_keys(values)
    ]
