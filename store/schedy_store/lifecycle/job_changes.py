"""Changes to jobs: pushed, cancelled, retried, amended, deleted."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, select, update

from schedy.errors import InvalidValueError
from schedy.search.algorithms import MANUAL
from schedy.search.definition import read_definition
from schedy.search.pushed import PushedJobs
from schedy.wire.answers import (
    JobAmendedAnswer,
    JobDeletedAnswer,
    JobOutcome,
    JobsChangedAnswer,
    PushAnswer,
    Refusal,
)
from schedy.wire.base import FINAL_STATUSES, QUEUED, RUNNING
from schedy.wire.changes import AmendJob, CancelJobs, DeleteJob, JobsChange, NewJob, Push, RetryJobs
from schedy.wire.values import load_values
from schedy_store.lifecycle import transitions
from schedy_store.lifecycle.effects import Effects
from schedy_store.lifecycle.experiment_changes import ExperimentRows
from schedy_store.lifecycle.experiment_names import missing_experiment
from schedy_store.lifecycle.job_counts import count_jobs
from schedy_store.lifecycle.job_rows import JobRows, state_of
from schedy_store.lifecycle.new_jobs import Newcomer, NewJobs
from schedy_store.lifecycle.transitions import Verdict
from schedy_store.lifecycle.workers import Workers
from schedy_store.schema.engine import Transaction
from schedy_store.schema.records import job_record
from schedy_store.schema.rows import ExperimentRow, JobRow
from schedy_store.schema.tables import Job

_DETAIL_CHARACTERS = 1000


class JobChanges:
    """Applies changes to jobs within one transaction."""

    def __init__(self, transaction: Transaction, *, lease_seconds: float) -> None:
        self._transaction = transaction
        self._now = transaction.now
        self._lease = timedelta(seconds=lease_seconds)
        self._experiments = ExperimentRows(transaction)
        self._rows = JobRows(transaction, lease_seconds=lease_seconds)
        self._journal = self._rows.journal
        self._workers = Workers(transaction)
        self._new_jobs = NewJobs(transaction)

    def push(self, push: Push, user: str | None) -> Effects:
        """Store the jobs of a push. `user` holds those that are pushed as RUNNING."""
        uid, rows = push.experiment_uid, self._experiments
        experiment = rows.named(push.experiment_name) if uid is None else rows.with_uid(uid)
        if experiment is None:
            return self._refuse(None, push, missing_experiment(self._transaction.sql, push.experiment_name))
        try:
            pushed = PushedJobs(experiment.scheduler, read_definition(load_values(experiment.settings)))
            faults = [pushed.fault(job.hyperparameters) for job in push.jobs]
        except InvalidValueError as fault:
            return self._refuse(experiment.pk, push, Refusal(code="invalid", reason=str(fault)))
        job_ids = self._new_jobs.fresh_ids(experiment.pk, len(push.jobs))
        newcomers = [
            Newcomer(new, self._holder(new, push, experiment.pk, job_id, user))
            for job_id, new in zip(job_ids, push.jobs, strict=True)
        ]
        stored = self._new_jobs.insert(experiment.pk, job_ids, newcomers)
        answer = PushAnswer.model_construct(
            experiment_uid=experiment.uid,
            jobs=[job_record(row) for row in stored],
            lease_seconds=self._lease.total_seconds(),
            warnings=_warnings(pushed, faults, job_ids),
        )
        queued = [row.pk for row in stored if row.status == QUEUED]
        effects = Effects(answer, tickets_awaited=queued, tickets_wanted={experiment.pk} if queued else set())
        if experiment.scheduler != MANUAL:
            self._go_first(experiment, effects)
        return effects

    def _refuse(self, experiment_pk: int | None, push: Push, refusal: Refusal) -> Effects:
        """Refuse a push and record it: its sender may not wait for the answer any more."""
        detail = f"A push of {len(push.jobs)} job(s) was refused: {refusal.reason}"[:_DETAIL_CHARACTERS]
        self._journal.record("refused", detail, experiment_pk=experiment_pk, worker=str(push.worker))
        return Effects(refusal, log=[f"{push.experiment_name}: {detail}"[:_DETAIL_CHARACTERS]])

    def _go_first(self, experiment: ExperimentRow, effects: Effects) -> None:
        """Let pushed jobs overtake those that the search has made and no worker has claimed."""
        effects.touched.add(experiment.pk)
        self._experiments.reopen(experiment, effects)
        made = (Job.experiment_pk == experiment.pk, Job.status == QUEUED, Job.suggestion.is_not(None))
        out = select(Job.pk).where(*made, Job.dispatched_at.is_not(None)).limit(1)
        if self._transaction.sql.scalar(out) is not None:
            effects.tickets_withdrawn.add(experiment.pk)
            effects.queues.append(("purged", experiment.name))

    def _holder(self, new: NewJob, push: Push, experiment_pk: int, job_id: str, user: str | None) -> dict[str, Any]:
        """Return the columns for the holder of a job that is pushed as RUNNING."""
        if new.status != RUNNING:
            return {}
        worker = str(push.worker)
        self._journal.record(
            "claimed", "", experiment_pk=experiment_pk, job_id=job_id, worker=worker, attempt=1, token=new.token
        )
        return {
            "started_at": self._now,
            "heard_at": self._now,
            "reported_at": self._now,
            "timed_from": self._now,
            "worker": worker,
            "worker_pk": self._workers.pk_of(push.worker),
            "user": user,
            "attempt": 1,
            "token": new.token,
            "lease_until": self._now + self._lease,
        }

    def delete(self, change: DeleteJob) -> Effects:
        """Delete a job."""
        row = self._rows.find(change.experiment_uid, change.job_id)
        if row is None:
            return Effects(_no_job(change.job_id))
        self._transaction.sql.execute(delete(Job).where(Job.pk == row.pk))
        count_jobs(self._transaction, row.experiment_pk, {row.status: -1})
        was = f"It was {row.status}." if row.worker is None else f"It was {row.status} ({row.worker})."
        self._journal.of_job(row, "deleted", f"The job was deleted. {was}")
        self._rows.rewrite(row.experiment_pk)
        return Effects(JobDeletedAnswer(), touched={row.experiment_pk}, tickets_wanted={row.experiment_pk})

    def cancel(self, change: CancelJobs) -> Effects:
        """Cancel jobs: QUEUED ones end at once, the workers of RUNNING ones are to stop."""
        return self._each(change, self._cancel)

    def retry(self, change: RetryJobs) -> Effects:
        """Queue final jobs again."""
        return self._each(change, self._retry)

    def _each(self, change: JobsChange, apply: Callable[[JobRow, Effects], Verdict]) -> Effects:
        """Change each of several jobs, and answer with the outcome of each."""
        effects = Effects()
        outcomes: list[JobOutcome] = []
        for job_id in change.job_ids:
            row = self._rows.find(change.experiment_uid, job_id)
            if row is None:
                outcomes.append(JobOutcome(job_id=job_id, changed=False, detail="there is no such job."))
            else:
                verdict = apply(row, effects)
                outcomes.append(JobOutcome(job_id=job_id, changed=verdict.accepted, detail=verdict.reason))
        effects.answer = JobsChangedAnswer(outcomes=outcomes)
        return effects

    def _cancel(self, row: JobRow, effects: Effects) -> Verdict:
        verdict = transitions.cancel(state_of(row), self._rows.terms(row), self._now)
        if not verdict.accepted or verdict.state == state_of(row):
            return verdict
        self._journal.of_job(row, "cancelled", verdict.reason, worker=row.worker, attempt=row.attempt or None)
        effects.touched.add(row.experiment_pk)
        effects.tickets_wanted.add(row.experiment_pk)
        if verdict.state.is_final:
            self._rows.end(row, verdict.state, error=None)
        else:
            self._rows.move(row, verdict.state)
        effects.log.append(f"{row.experiment_name}: job {row.job_id} was cancelled: {verdict.reason}")
        return verdict

    def _retry(self, row: JobRow, effects: Effects) -> Verdict:
        verdict = transitions.retry(state_of(row))
        if verdict.accepted:
            was = f"It was {row.status}." if row.error is None else f"It was {row.status}: {row.error}"
            self._journal.of_job(row, "retried", was, worker=row.worker, attempt=row.attempt or None)
            self._rows.queue_again(row, verdict.state, row.results)
            experiment = self._experiments.with_uid(row.experiment_uid)
            if experiment is not None:
                self._experiments.reopen(experiment, effects)
            effects.tickets_wanted.add(row.experiment_pk)
            effects.tickets_awaited.append(row.pk)
            effects.log.append(f"{row.experiment_name}: job {row.job_id} is queued again by a retry. {was}")
        return verdict

    def amend(self, change: AmendJob) -> Effects:
        """Change results and quality of a final job."""
        row = self._rows.find(change.experiment_uid, change.job_id)
        if row is None:
            return Effects(_no_job(change.job_id))
        if row.status not in FINAL_STATUSES:
            reason = f"Job {change.job_id} is {row.status}; only its holder can report."
            return Effects(Refusal(code="unsafe", reason=reason))
        if change.revision is not None and change.revision != row.revision:
            reason = f"Job {change.job_id} was changed since you read it. Read it again, or use put(safe=False)."
            return Effects(Refusal(code="unsafe", reason=reason))
        self._transaction.sql.execute(
            update(Job)
            .where(Job.pk == row.pk, Job.revision == row.revision)
            .values(
                **self._rows.reported(row, change.results, change.quality),
                revision=row.revision + 1,
            )
        )
        self._rows.rewrite(row.experiment_pk)
        self._journal.of_job(row, "amended", "Results or quality were changed afterwards.")
        return Effects(JobAmendedAnswer(revision=row.revision + 1))


def _warnings(pushed: PushedJobs, faults: list[str | None], job_ids: list[str]) -> list[str]:
    """Return a sentence for each different fault of pushed jobs."""
    ids_by_fault: dict[str, list[str]] = {}
    for fault, job_id in zip(faults, job_ids, strict=True):
        if fault is not None:
            ids_by_fault.setdefault(fault, []).append(job_id)
    return [pushed.warning(fault, ids) for fault, ids in ids_by_fault.items()]


def _no_job(job_id: str) -> Refusal:
    return Refusal(code="not_found", reason=f"There is no job {job_id}; it may have been deleted.")
