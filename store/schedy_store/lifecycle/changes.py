"""Applying changes: experiments and jobs added, changed, deleted. Each is applied once, however often it arrives."""

import difflib
import json
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, select, update

from schedy.errors import InvalidValueError
from schedy.search.definition import MANUAL
from schedy.wire.messages import (
    FINAL_STATUSES,
    AddExperiment,
    AmendJob,
    Answer,
    CancelJobs,
    Change,
    ChangeAnswer,
    DeleteExperiment,
    DeleteJob,
    ExperimentRecord,
    JobOutcome,
    JobsChangedAnswer,
    Limits,
    NewJob,
    Push,
    PushAnswer,
    Refusal,
    RetryJobs,
    UpdateExperiment,
    decode_answer,
    encode,
)
from schedy_store.lifecycle import transitions
from schedy_store.lifecycle.job_rows import JobRows, Outcome, state_of
from schedy_store.lifecycle.new_jobs import Newcomer, NewJobs
from schedy_store.lifecycle.search_settings import Definitions, definition_columns
from schedy_store.lifecycle.transitions import Verdict
from schedy_store.lifecycle.workers import Workers
from schedy_store.schema.engine import Transaction
from schedy_store.schema.records import AnyRow, findable
from schedy_store.schema.tables import AppliedChange, Experiment, Job, WantedJob

_KEEP_ANSWERS = timedelta(days=30)
_NAMES_COMPARED = 2000
_FIRST_ANSWER = select(AppliedChange.answer).where(AppliedChange.request_id == bindparam("request_is"))


_Rest = AddExperiment | UpdateExperiment | DeleteExperiment | DeleteJob | AmendJob


class Changes:
    """Applies changes within one transaction."""

    def __init__(self, transaction: Transaction, *, lease_seconds: float, max_attempts: int) -> None:
        self._sql = transaction.sql
        self._now = transaction.now
        self._lease = timedelta(seconds=lease_seconds)
        self._max_attempts = max_attempts
        self._rows = JobRows(transaction, lease_seconds=lease_seconds)
        self._journal = self._rows.journal
        self._workers = Workers(transaction)
        self._new_jobs = NewJobs(transaction)
        self._definitions = Definitions(transaction)

    def apply(self, change: Change, user: str | None = None) -> Outcome:
        """Apply a change, or repeat the answer that it got when it was applied.

        `user` is who the broker says has sent it, None if it does not say.
        """
        first = self._sql.scalar(_FIRST_ANSWER, {"request_is": change.request_id})
        if first is not None:
            return self._repeated(decode_answer(first.encode()))
        outcome = self._apply(change, user)
        if outcome.answer is not None:
            self._sql.execute(
                insert(AppliedChange).values(
                    request_id=change.request_id, at=self._now, answer=encode(outcome.answer).decode()
                )
            )
        return outcome

    def forget_old_answers(self) -> None:
        """Delete answers so old that nobody can ask for them again."""
        self._sql.execute(delete(AppliedChange).where(AppliedChange.at < self._now - _KEEP_ANSWERS))

    def _apply(self, change: Change, user: str | None) -> Outcome:
        match change:
            case Push():
                return self._push(change, user)
            case CancelJobs():
                return self._change_jobs(change, self._cancel)
            case RetryJobs():
                return self._change_jobs(change, self._retry)
            case _:
                return self._apply_rest(change)

    def _apply_rest(self, change: _Rest) -> Outcome:
        match change:
            case AddExperiment():
                return self._add_experiment(change)
            case UpdateExperiment():
                return self._update_experiment(change)
            case DeleteExperiment():
                return self._delete_experiment(change)
            case DeleteJob():
                return self._delete_job(change)
            case AmendJob():
                return self._amend_job(change)

    def _repeated(self, answer: Answer) -> Outcome:
        """The first answer again, and what a crash after the commit may have kept from being done on the broker."""
        outcome = Outcome(answer)
        if isinstance(answer, PushAnswer):
            outcome.tickets_awaited = self._numbers(answer)
        elif isinstance(answer, ChangeAnswer) and answer.experiment is not None:
            name = answer.experiment.name
            found = self._experiment(name=name, uid=None)
            outcome.queues.append(("wanted" if found is not None and found.status == "RUNNING" else "gone", name))
        return outcome

    def _numbers(self, answer: PushAnswer) -> list[int]:
        return list(
            self._sql.scalars(
                select(Job.pk)
                .join_from(Job, Experiment)
                .where(Experiment.uid == answer.experiment_uid, Job.job_id.in_(answer.job_ids))
            )
        )

    def _push(self, push: Push, user: str | None) -> Outcome:
        experiment = self._experiment(name=push.experiment_name, uid=push.experiment_uid)
        if experiment is None:
            return Outcome(missing_experiment(self._sql, push.experiment_name))
        job_ids = self._new_jobs.fresh_ids(experiment.pk, len(push.jobs))
        newcomers = [
            Newcomer(new, self._holder(new, push, experiment.pk, job_id, user))
            for job_id, new in zip(job_ids, push.jobs, strict=True)
        ]
        numbers = self._new_jobs.insert(experiment.pk, job_ids, newcomers)
        answer = PushAnswer(
            experiment_uid=experiment.uid,
            job_ids=job_ids,
            created_at=self._now,
            lease_seconds=self._lease.total_seconds(),
        )
        queued = [number for number, new in zip(numbers, push.jobs, strict=True) if new.status == "QUEUED"]
        outcome = Outcome(answer, tickets_awaited=queued, tickets_wanted={experiment.pk} if queued else set())
        if experiment.scheduler != MANUAL:
            self._go_first(experiment, outcome)
        return outcome

    def _go_first(self, experiment: AnyRow, outcome: Outcome) -> None:
        """Let pushed jobs overtake those that the search has made and nobody has begun yet."""
        outcome.touched.add(experiment.pk)
        self._reopen(experiment, outcome)
        made = (Job.experiment_pk == experiment.pk, Job.status == "QUEUED", Job.number.is_not(None))
        if self._sql.scalar(select(Job.pk).where(*made, Job.dispatched_at.is_not(None)).limit(1)) is not None:
            self._withdraw_tickets(experiment.pk)
            outcome.queues.append(("purged", experiment.name))

    def _reopen(self, experiment: AnyRow, outcome: Outcome) -> None:
        """An experiment that is DONE because nothing was left goes on."""
        if experiment.completed:
            self._sql.execute(
                update(Experiment).where(Experiment.pk == experiment.pk).values(status="RUNNING", completed=False)
            )
            self._journal.record("status", "The experiment is RUNNING again.", experiment_pk=experiment.pk)
            outcome.queues.append(("wanted", experiment.name))

    def _withdraw_tickets(self, experiment_pk: int) -> None:
        self._sql.execute(
            update(Job)
            .where(Job.experiment_pk == experiment_pk, Job.status == "QUEUED")
            .values(dispatched_at=None, ticket=Job.ticket + 1, revision=Job.revision + 1)
        )

    def _holder(self, new: NewJob, push: Push, experiment_pk: int, job_id: str, user: str | None) -> dict[str, Any]:
        """The columns that say who holds a job that is pushed as RUNNING."""
        if new.status != "RUNNING":
            return {}
        worker = str(push.worker)
        self._journal.record(
            "claimed", "", experiment_pk=experiment_pk, job_id=job_id, worker=worker, attempt=1, token=new.token
        )
        return {
            "started_at": self._now,
            "heard_at": self._now,
            "reported_at": self._now,
            "worker": worker,
            "worker_pk": self._workers.number(push.worker),
            "user": user,
            "attempt": 1,
            "token": new.token,
            "lease_until": self._now + self._lease,
        }

    def _add_experiment(self, change: AddExperiment) -> Outcome:
        if self._experiment(name=change.name, uid=None) is not None:
            return Outcome(
                Refusal(
                    code="exists",
                    reason=f"There is an experiment {change.name!r} already. Choose another name, or remove it:"
                    f" schedy rm {change.name!r}.",
                )
            )
        try:
            definition = self._definitions.of_new(change)
        except InvalidValueError as fault:
            return Outcome(Refusal(code="invalid", reason=str(fault)))
        added = self._sql.scalars(
            insert(Experiment)
            .values(
                uid=uuid.uuid4().hex,
                name=change.name,
                scheduler=change.scheduler,
                status=change.status,
                paused=False,
                created_at=self._now,
                **definition_columns(definition),
                **self._limits(change.limits),
            )
            .returning(Experiment.pk)
        ).one()
        outcome = Outcome(ChangeAnswer(experiment=self._record(change.name)), touched={added})
        if change.status == "RUNNING":
            outcome.queues.append(("wanted", change.name))
        return outcome

    def _limits(self, limits: Limits) -> dict[str, Any]:
        return {**limits.model_dump(), "max_attempts": limits.max_attempts or self._max_attempts}

    def _update_experiment(self, change: UpdateExperiment) -> Outcome:
        before = self._experiment(name="", uid=change.experiment_uid)
        if before is None:
            return Outcome(_gone())
        try:
            values = self._changed_columns(before, change)
        except InvalidValueError as fault:
            return Outcome(Refusal(code="invalid", reason=str(fault)))
        if values:
            self._sql.execute(update(Experiment).where(Experiment.pk == before.pk).values(values))
        after = self._record(before.name)
        self._note_turns(before, after)
        outcome = Outcome(ChangeAnswer(experiment=after), tickets_wanted={before.pk}, touched={before.pk})
        self._settle_queue(before, after, outcome)
        return outcome

    def _changed_columns(self, before: AnyRow, change: UpdateExperiment) -> dict[str, Any]:
        """The columns that an update sets. Raises InvalidValueError."""
        values: dict[str, Any] = {}
        if change.settings is not None:
            values |= definition_columns(self._definitions.of_changed(before, change.settings))
            values |= {"search_end": None}
            if before.completed:
                values |= {"status": "RUNNING", "completed": False}
        if change.status is not None and change.status != before.status:
            values |= {"status": change.status, "completed": False}
        if change.paused is not None:
            values["paused"] = change.paused
        if change.limits is not None:
            values |= self._limits(change.limits)
        return values

    def _note_turns(self, before: AnyRow, after: ExperimentRecord) -> None:
        if after.paused != before.paused:
            kind = "paused" if after.paused else "resumed"
            self._journal.record(kind, f"The experiment was {kind}.", experiment_pk=before.pk)
        if after.status != before.status:
            self._journal.record("status", f"The experiment is {after.status}.", experiment_pk=before.pk)

    def _settle_queue(self, before: AnyRow, after: ExperimentRecord, outcome: Outcome) -> None:
        """A DONE experiment has no queue, so that who waits at it is woken; a paused one has an empty queue."""
        if after.status == "DONE":
            outcome.queues.append(("gone", after.name))
        else:
            outcome.queues.append(("wanted", after.name))
            if after.paused and not before.paused:
                outcome.queues.append(("purged", after.name))
        if after.status == "DONE" or after.paused:
            self._withdraw_tickets(before.pk)

    def _delete_experiment(self, change: DeleteExperiment) -> Outcome:
        experiment = self._experiment(name="", uid=change.experiment_uid)
        if experiment is None:
            return Outcome(_gone())
        record = self._record(experiment.name)
        self._sql.execute(delete(Experiment).where(Experiment.pk == experiment.pk))
        self._journal.record("deleted", f"The experiment {experiment.name} was deleted.", experiment_pk=None)
        return Outcome(
            ChangeAnswer(experiment=record),
            queues=[("gone", experiment.name)],
            log=[f"{experiment.name}: the experiment was deleted"],
        )

    def _delete_job(self, change: DeleteJob) -> Outcome:
        row = self._rows.find(change.experiment_uid, change.job_id)
        if row is None:
            return Outcome(_no_job(change.job_id))
        self._sql.execute(delete(Job).where(Job.pk == row.pk))
        was = f"It was {row.status}." if row.worker is None else f"It was {row.status} ({row.worker})."
        self._journal.of_job(row, "deleted", f"The job was deleted. {was}")
        self._rows.rewrite(row.experiment_pk)
        return Outcome(ChangeAnswer(), touched={row.experiment_pk}, tickets_wanted={row.experiment_pk})

    def _change_jobs(self, change: CancelJobs | RetryJobs, apply: Callable[[AnyRow, Outcome], Verdict]) -> Outcome:
        """Change each of several jobs, and tell what became of each."""
        outcome = Outcome()
        told: list[JobOutcome] = []
        for job_id in change.job_ids:
            row = self._rows.find(change.experiment_uid, job_id)
            if row is None:
                told.append(JobOutcome(job_id=job_id, changed=False, detail="there is no such job."))
            else:
                verdict = apply(row, outcome)
                told.append(JobOutcome(job_id=job_id, changed=verdict.accepted, detail=verdict.reason))
        outcome.answer = JobsChangedAnswer(outcomes=told)
        return outcome

    def _cancel(self, row: AnyRow, outcome: Outcome) -> Verdict:
        verdict = transitions.cancel(state_of(row), self._rows.terms(row), self._now)
        if not verdict.accepted or verdict.state == state_of(row):
            return verdict
        self._journal.of_job(row, "cancelled", verdict.reason, worker=row.worker, attempt=row.attempt or None)
        outcome.touched.add(row.experiment_pk)
        outcome.tickets_wanted.add(row.experiment_pk)
        if verdict.state.is_final:
            self._rows.end(row, verdict.state, error=None)
        else:
            self._rows.move(row, verdict.state)
        outcome.log.append(f"{row.experiment_name}: job {row.job_id} was cancelled: {verdict.reason}")
        return verdict

    def _retry(self, row: AnyRow, outcome: Outcome) -> Verdict:
        verdict = transitions.retry(state_of(row))
        if verdict.accepted:
            was = f"It was {row.status}." if row.error is None else f"It was {row.status}: {row.error}"
            self._journal.of_job(row, "retried", was, worker=row.worker, attempt=row.attempt or None)
            self._rows.queue_again(row, verdict.state, row.results)
            experiment = self._experiment(name="", uid=row.experiment_uid)
            if experiment is not None:
                self._reopen(experiment, outcome)
            outcome.tickets_wanted.add(row.experiment_pk)
            outcome.tickets_awaited.append(row.pk)
            outcome.log.append(f"{row.experiment_name}: job {row.job_id} is queued again by a retry. {was}")
        return verdict

    def _amend_job(self, change: AmendJob) -> Outcome:
        row = self._rows.find(change.experiment_uid, change.job_id)
        if row is None:
            return Outcome(_no_job(change.job_id))
        if row.status not in FINAL_STATUSES:
            reason = f"Job {change.job_id} is {row.status}; only its holder can report."
            return Outcome(Refusal(code="unsafe", reason=reason))
        if change.revision is not None and change.revision != row.revision:
            reason = f"Job {change.job_id} was changed since you read it. Read it again, or use put(safe=False)."
            return Outcome(Refusal(code="unsafe", reason=reason))
        self._sql.execute(
            update(Job)
            .where(Job.pk == row.pk, Job.revision == row.revision)
            .values(
                **self._rows.reported(row, change.results, change.quality),
                revision=row.revision + 1,
            )
        )
        self._rows.rewrite(row.experiment_pk)
        self._journal.of_job(row, "amended", "Results or quality were changed afterwards.")
        return Outcome(ChangeAnswer(revision=row.revision + 1))

    def _experiment(self, *, name: str, uid: str | None) -> AnyRow | None:
        which = Experiment.name == findable(name) if uid is None else Experiment.uid == uid
        columns = (
            Experiment.pk,
            Experiment.uid,
            Experiment.name,
            Experiment.scheduler,
            Experiment.settings,
            Experiment.paused,
            Experiment.status,
            Experiment.completed,
        )
        return self._sql.execute(select(*columns).where(which)).one_or_none()

    def _record(self, name: str) -> ExperimentRecord:
        row = self._sql.execute(select(*EXPERIMENT_COLUMNS).where(Experiment.name == name)).one()
        return experiment_record(row, {})


_STILL_WANTED = (
    select(func.count())
    .select_from(WantedJob)
    .where(WantedJob.experiment_pk == Experiment.pk)
    .correlate(Experiment)
    .scalar_subquery()
)
EXPERIMENT_COLUMNS = (
    Experiment.pk,
    Experiment.uid,
    Experiment.name,
    Experiment.scheduler,
    Experiment.settings,
    Experiment.status,
    Experiment.paused,
    Experiment.max_attempts,
    Experiment.job_timeout,
    Experiment.stall_timeout,
    Experiment.retry_timeouts,
    Experiment.created_at,
    (Experiment.made - _STILL_WANTED).label("made"),
    Experiment.search_end,
    Experiment.problem,
)


def experiment_record(row: AnyRow, job_counts: dict[str, int]) -> ExperimentRecord:
    """Return the record of a row that has `EXPERIMENT_COLUMNS`."""
    return ExperimentRecord(
        number=row.pk,
        uid=row.uid,
        name=row.name,
        scheduler=row.scheduler,
        settings=json.loads(row.settings),
        status=row.status,
        paused=row.paused,
        limits=Limits(
            max_attempts=row.max_attempts,
            job_timeout=row.job_timeout,
            stall_timeout=row.stall_timeout,
            retry_timeouts=row.retry_timeouts,
        ),
        created_at=row.created_at,
        job_counts=job_counts,
        made=row.made,
        search_end=row.search_end,
        problem=row.problem,
    )


def missing_experiment(sql: Any, name: str) -> Refusal:
    """Return the refusal for an unknown name, with the names that are close to it."""
    names = list(sql.scalars(select(Experiment.name).order_by(Experiment.pk.desc()).limit(_NAMES_COMPARED)))
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(repr(found) for found in close)}?" if close else ""
    if not names:
        hint = " There is none yet; `schedy add NAME manual` makes one."
    return Refusal(code="not_found", reason=f"There is no experiment {name!r}.{hint}")


def _gone() -> Refusal:
    return Refusal(code="not_found", reason="The experiment is already gone.")


def _no_job(job_id: str) -> Refusal:
    return Refusal(code="not_found", reason=f"There is no job {job_id}; it may have been deleted.")
