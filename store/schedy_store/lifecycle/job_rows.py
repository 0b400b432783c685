"""Rows of jobs: reading them for a verdict, and writing verdicts with a guard."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, delete, func, insert, select, update

from schedy.search.definition import as_observation
from schedy.wire.base import FINAL_STATUSES, JobStatus
from schedy.wire.values import Values, dump_values, load_values, sort_keys
from schedy_store.lifecycle.journal import Journal
from schedy_store.lifecycle.transitions import JobState, Stop, Terms
from schedy_store.schema.engine import Transaction
from schedy_store.schema.records import RECORD_COLUMNS, AnyRow
from schedy_store.schema.tables import Experiment, Job, JobValue

_LARGEST_PREVIOUS_RESULTS = 4_000_000
"""Characters of what all earlier attempts have put; beyond that only the latest counts."""

_ROW = select(
    *RECORD_COLUMNS,
    Job.experiment_pk,
    Job.token,
    Job.user,
    Job.worker_pk,
    Job.attempts_forgiven,
    Job.sequence,
    Job.lease_until,
    Job.dispatched_at,
    Job.ticket,
    Job.initial_results,
    Job.initial_quality,
    Experiment.uid.label("experiment_uid"),
    Experiment.scheduler,
    Experiment.objectives,
    Experiment.prunes,
    Experiment.name.label("experiment_name"),
    Experiment.status.label("experiment_status"),
    Experiment.paused,
    Experiment.max_attempts,
    Experiment.job_timeout,
    Experiment.stall_timeout,
    Experiment.retry_timeouts,
).join_from(Job, Experiment)

# Every report runs these: building a statement anew takes ten times as long as running it.
_ROW_OF_JOB = _ROW.where(Experiment.uid == bindparam("uid_is"), Job.job_id == bindparam("id_is"))
_ROW_AGAIN = _ROW.where(Job.pk == bindparam("pk_is"))
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

    def find(self, experiment_uid: str, job_id: str) -> AnyRow | None:
        """Return the row of a job, with what its experiment lays down."""
        return self._sql.execute(_ROW_OF_JOB, {"uid_is": experiment_uid, "id_is": job_id}).one_or_none()

    def again(self, row: AnyRow) -> AnyRow:
        """Return the row as it is after it was moved."""
        return self._sql.execute(_ROW_AGAIN, {"pk_is": row.pk}).one()

    def with_lease_over(self, limit: int) -> Sequence[AnyRow]:
        """Return running jobs whose lease is over, the oldest first."""
        over = _ROW.where(Job.status == "RUNNING", Job.lease_until <= self._now).order_by(Job.lease_until)
        return self._sql.execute(over.limit(limit)).all()

    def running_since(
        self, experiment_pk: int, since: ColumnElement[datetime], before: datetime, limit: int
    ) -> Sequence[AnyRow]:
        """Return jobs of an experiment that run, are not to stop, and whose time `since` lies before another."""
        found = _ROW.where(
            Job.experiment_pk == experiment_pk, Job.status == "RUNNING", Job.stop.is_(None), since <= before
        )
        return self._sql.execute(found.order_by(Job.pk).limit(limit)).all()

    def experiment_number(self, uid: str) -> int | None:
        """Return the number of an experiment, None if there is none."""
        return self._sql.scalar(select(Experiment.pk).where(Experiment.uid == uid))

    def terms(self, row: AnyRow) -> Terms:
        """Return what the experiment of a row lays down."""
        is_open = row.experiment_status == "RUNNING" and not row.paused
        return Terms(is_open, row.max_attempts, self._lease, row.retry_timeouts)

    def move(self, row: AnyRow, state: JobState, **values: Any) -> None:
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
            revision=row.revision + 1,
        )
        guard = {"pk_is": row.pk, "revision_is": row.revision, "status_is": row.status}
        if self._sql.execute(_MOVE, {**values, **guard}).one_or_none() is None:
            raise RuntimeError(f"Job {row.job_id} changed while it was judged: two writers in one store.")

    def end(self, row: AnyRow, state: JobState, *, error: str | None, **values: Any) -> None:
        """Write a final verdict."""
        self.move(row, state, error=error, finished_at=self._now, **values)
        self._sql.execute(_COUNT_AS_ENDED, {"pk_is": row.pk, "experiment_is": row.experiment_pk})
        detail = state.status if error is None else f"{state.status}: {error}"
        self.journal.of_job(row, "ended", detail, worker=row.worker, attempt=row.attempt or None)

    def queue_again(self, row: AnyRow, state: JobState, results: str) -> None:
        """Write a verdict that makes a job QUEUED and nobody's; `results` is what its last attempt leaves."""
        nobody = {"started_at": None, "finished_at": None, "worker": None, "worker_pk": None, "user": None}
        self.move(row, state, ended=None, **nobody, **self.fresh_start(row, results))
        if row.status in FINAL_STATUSES:
            self.rewrite(row.experiment_pk)

    def rewrite(self, experiment_pk: int) -> None:
        """Note that the past of an experiment has changed, from which its search has learnt."""
        self._sql.execute(_REWRITE, {"pk_is": experiment_pk})

    def fresh_start(self, row: AnyRow, results: str | None = None) -> dict[str, Any]:
        """Return the columns with which an attempt begins; what the one before has put is kept beside them."""
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
            **self.replaced_results(row, row.initial_results),
        }

    def reported(self, row: AnyRow, results: Values, quality: float) -> dict[str, Any]:
        """Write what lists are sorted by, and return the columns to set: the only objective is the quality."""
        objectives = json.loads(row.objectives)
        observation = as_observation(results.get(objectives[0])) if len(objectives) == 1 else None
        return {
            **self.replaced_results(row, dump_values(results), results),
            "quality": quality if observation is None else observation,
        }

    def replaced_results(self, row: AnyRow, text: str, results: Values | None = None) -> dict[str, str]:
        """Do the same for results that are JSON already."""
        if text != row.results:
            replace_sort_keys(self._sql, row, "result", load_values(text) if results is None else results)
        return {"results": text}


def _merged(previous: str, put: str) -> str:
    merged = dump_values({**load_values(previous), **load_values(put)})
    return merged if len(merged) <= _LARGEST_PREVIOUS_RESULTS else put


def state_of(row: AnyRow) -> JobState:
    """Return what decides about the job of a row."""
    status: JobStatus = row.status
    return JobState(
        status,
        row.token,
        row.attempt,
        row.attempts_forgiven,
        row.sequence,
        row.lease_until,
        row.stop,
        row.dispatched_at is not None,
        row.ticket,
    )


def stop_text(stop: Stop, row: AnyRow) -> str:
    """Return in words why the holder of a job is to stop."""
    match stop:
        case "cancelled":
            return "it was cancelled."
        case "job_timeout":
            return f"it ran for longer than job_timeout allows{_seconds(row.job_timeout)}."
        case "stall_timeout":
            return f"it put nothing for longer than stall_timeout allows{_seconds(row.stall_timeout)}."


def _seconds(limit: float | None) -> str:
    return "" if limit is None else f" ({limit:g} s)"


def replace_sort_keys(sql: Connection, row: AnyRow, source: str, values: Values) -> None:
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
