"""Applying changes: experiments and jobs added, changed, deleted. Each is applied once, however often it arrives."""

import difflib
import json
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar

from sqlalchemy import bindparam, delete, func, insert, select, update

from schedy.errors import InvalidValueError
from schedy.search.algorithms import MANUAL
from schedy.wire.answers import (
    ExperimentChangedAnswer,
    JobAmendedAnswer,
    JobDeletedAnswer,
    JobOutcome,
    JobsChangedAnswer,
    PushAnswer,
    Refusal,
)
from schedy.wire.base import FINAL_STATUSES, QUEUED, Answer
from schedy.wire.changes import (
    AddExperiment,
    AmendJob,
    CancelJobs,
    Change,
    DeleteExperiment,
    DeleteJob,
    NewJob,
    Push,
    RetryJobs,
    UpdateExperiment,
)
from schedy.wire.codec import decode_answer, encode
from schedy.wire.records import ExperimentRecord, Limits
from schedy_store.lifecycle import transitions
from schedy_store.lifecycle.effects import Effects
from schedy_store.lifecycle.job_rows import JobRows, state_of
from schedy_store.lifecycle.new_jobs import Newcomer, NewJobs
from schedy_store.lifecycle.search_settings import Definitions, definition_columns
from schedy_store.lifecycle.transitions import Verdict
from schedy_store.lifecycle.workers import Workers
from schedy_store.schema.engine import Transaction
from schedy_store.schema.records import AnyRow, findable, job_record
from schedy_store.schema.tables import AppliedChange, Experiment, Job, WantedJob

_KEEP_ANSWERS = timedelta(days=30)
_NAMES_COMPARED = 2000
_FIRST_ANSWER = select(AppliedChange.answer).where(AppliedChange.request_id == bindparam("request_is"))


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

    def apply(self, change: Change[Any], user: str | None = None) -> Effects:
        """Apply a change, or repeat the answer that it got when it was applied.

        `user` is who the broker says has sent it, None if it does not say.
        """
        first = self._sql.scalar(_FIRST_ANSWER, {"request_is": change.request_id})
        if first is not None:
            return self._repeated(change, decode_answer(first.encode()))
        effects = self._APPLY[type(change)](self, change, user)
        if effects.answer is not None:
            self._sql.execute(
                insert(AppliedChange).values(
                    request_id=change.request_id, at=self._now, answer=encode(_kept(effects.answer)).decode()
                )
            )
        return effects

    def forget_old_answers(self) -> None:
        """Delete answers so old that nobody can ask for them again."""
        self._sql.execute(delete(AppliedChange).where(AppliedChange.at < self._now - _KEEP_ANSWERS))

    def _repeated(self, change: Change[Any], answer: Answer) -> Effects:
        """The first answer again, and what a crash after the commit may have kept from being done on the broker."""
        effects = Effects(answer)
        if isinstance(answer, PushAnswer) and isinstance(change, Push):
            effects.answer = _with_values(answer, change)
            effects.tickets_awaited = self._numbers(answer)
        elif isinstance(answer, ExperimentChangedAnswer):
            name = answer.experiment.name
            found = self._experiment(name=name, uid=None)
            effects.queues.append(("wanted" if found is not None and found.status == "RUNNING" else "gone", name))
        return effects

    def _numbers(self, answer: PushAnswer) -> list[int]:
        return list(
            self._sql.scalars(
                select(Job.pk)
                .join_from(Job, Experiment)
                .where(Experiment.uid == answer.experiment_uid, Job.job_id.in_([job.job_id for job in answer.jobs]))
            )
        )

    def _push(self, push: Push, user: str | None) -> Effects:
        experiment = self._experiment(name=push.experiment_name, uid=push.experiment_uid)
        if experiment is None:
            return Effects(missing_experiment(self._sql, push.experiment_name))
        job_ids = self._new_jobs.fresh_ids(experiment.pk, len(push.jobs))
        newcomers = [
            Newcomer(new, self._holder(new, push, experiment.pk, job_id, user))
            for job_id, new in zip(job_ids, push.jobs, strict=True)
        ]
        rows = self._new_jobs.insert(experiment.pk, job_ids, newcomers)
        answer = PushAnswer.model_construct(
            experiment_uid=experiment.uid,
            jobs=[job_record(row) for row in rows],
            lease_seconds=self._lease.total_seconds(),
        )
        queued = [row.pk for row in rows if row.status == QUEUED]
        effects = Effects(answer, tickets_awaited=queued, tickets_wanted={experiment.pk} if queued else set())
        if experiment.scheduler != MANUAL:
            self._go_first(experiment, effects)
        return effects

    def _go_first(self, experiment: AnyRow, effects: Effects) -> None:
        """Let pushed jobs overtake those that the search has made and nobody has begun yet."""
        effects.touched.add(experiment.pk)
        self._reopen(experiment, effects)
        made = (Job.experiment_pk == experiment.pk, Job.status == "QUEUED", Job.suggestion.is_not(None))
        if self._sql.scalar(select(Job.pk).where(*made, Job.dispatched_at.is_not(None)).limit(1)) is not None:
            self._withdraw_tickets(experiment.pk)
            effects.queues.append(("purged", experiment.name))

    def _reopen(self, experiment: AnyRow, effects: Effects) -> None:
        """An experiment that is DONE because nothing was left goes on."""
        if experiment.completed:
            self._sql.execute(
                update(Experiment).where(Experiment.pk == experiment.pk).values(status="RUNNING", completed=False)
            )
            self._journal.record("status", "The experiment is RUNNING again.", experiment_pk=experiment.pk)
            effects.queues.append(("wanted", experiment.name))

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

    def _add_experiment(self, change: AddExperiment, _user: str | None) -> Effects:
        if self._experiment(name=change.name, uid=None) is not None:
            return Effects(
                Refusal(
                    code="exists",
                    reason=f"There is an experiment {change.name!r} already. Choose another name, or remove it:"
                    f" schedy rm {change.name!r}.",
                )
            )
        try:
            definition = self._definitions.of_new(change)
        except InvalidValueError as fault:
            return Effects(Refusal(code="invalid", reason=str(fault)))
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
        effects = Effects(ExperimentChangedAnswer(experiment=self._record(change.name)), touched={added})
        if change.status == "RUNNING":
            effects.queues.append(("wanted", change.name))
        return effects

    def _limits(self, limits: Limits) -> dict[str, Any]:
        return {**limits.model_dump(), "max_attempts": limits.max_attempts or self._max_attempts}

    def _update_experiment(self, change: UpdateExperiment, _user: str | None) -> Effects:
        before = self._experiment(name="", uid=change.experiment_uid)
        if before is None:
            return Effects(_gone())
        try:
            values = self._changed_columns(before, change)
        except InvalidValueError as fault:
            return Effects(Refusal(code="invalid", reason=str(fault)))
        if values:
            self._sql.execute(update(Experiment).where(Experiment.pk == before.pk).values(values))
        after = self._record(before.name)
        self._note_turns(before, after)
        effects = Effects(ExperimentChangedAnswer(experiment=after), tickets_wanted={before.pk}, touched={before.pk})
        self._settle_queue(before, after, effects)
        return effects

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

    def _settle_queue(self, before: AnyRow, after: ExperimentRecord, effects: Effects) -> None:
        """A DONE experiment has no queue, so that who waits at it is woken; a paused one has an empty queue."""
        if after.status == "DONE":
            effects.queues.append(("gone", after.name))
        else:
            effects.queues.append(("wanted", after.name))
            if after.paused and not before.paused:
                effects.queues.append(("purged", after.name))
        if after.status == "DONE" or after.paused:
            self._withdraw_tickets(before.pk)

    def _delete_experiment(self, change: DeleteExperiment, _user: str | None) -> Effects:
        experiment = self._experiment(name="", uid=change.experiment_uid)
        if experiment is None:
            return Effects(_gone())
        record = self._record(experiment.name)
        self._sql.execute(delete(Experiment).where(Experiment.pk == experiment.pk))
        self._journal.record("deleted", f"The experiment {experiment.name} was deleted.", experiment_pk=None)
        return Effects(
            ExperimentChangedAnswer(experiment=record),
            queues=[("gone", experiment.name)],
            log=[f"{experiment.name}: the experiment was deleted"],
        )

    def _delete_job(self, change: DeleteJob, _user: str | None) -> Effects:
        row = self._rows.find(change.experiment_uid, change.job_id)
        if row is None:
            return Effects(_no_job(change.job_id))
        self._sql.execute(delete(Job).where(Job.pk == row.pk))
        was = f"It was {row.status}." if row.worker is None else f"It was {row.status} ({row.worker})."
        self._journal.of_job(row, "deleted", f"The job was deleted. {was}")
        self._rows.rewrite(row.experiment_pk)
        return Effects(JobDeletedAnswer(), touched={row.experiment_pk}, tickets_wanted={row.experiment_pk})

    def _cancel_jobs(self, change: CancelJobs, _user: str | None) -> Effects:
        return self._change_jobs(change, self._cancel)

    def _retry_jobs(self, change: RetryJobs, _user: str | None) -> Effects:
        return self._change_jobs(change, self._retry)

    def _change_jobs(self, change: CancelJobs | RetryJobs, apply: Callable[[AnyRow, Effects], Verdict]) -> Effects:
        """Change each of several jobs, and tell what became of each."""
        effects = Effects()
        told: list[JobOutcome] = []
        for job_id in change.job_ids:
            row = self._rows.find(change.experiment_uid, job_id)
            if row is None:
                told.append(JobOutcome(job_id=job_id, changed=False, detail="there is no such job."))
            else:
                verdict = apply(row, effects)
                told.append(JobOutcome(job_id=job_id, changed=verdict.accepted, detail=verdict.reason))
        effects.answer = JobsChangedAnswer(outcomes=told)
        return effects

    def _cancel(self, row: AnyRow, effects: Effects) -> Verdict:
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

    def _retry(self, row: AnyRow, effects: Effects) -> Verdict:
        verdict = transitions.retry(state_of(row))
        if verdict.accepted:
            was = f"It was {row.status}." if row.error is None else f"It was {row.status}: {row.error}"
            self._journal.of_job(row, "retried", was, worker=row.worker, attempt=row.attempt or None)
            self._rows.queue_again(row, verdict.state, row.results)
            experiment = self._experiment(name="", uid=row.experiment_uid)
            if experiment is not None:
                self._reopen(experiment, effects)
            effects.tickets_wanted.add(row.experiment_pk)
            effects.tickets_awaited.append(row.pk)
            effects.log.append(f"{row.experiment_name}: job {row.job_id} is queued again by a retry. {was}")
        return verdict

    def _amend_job(self, change: AmendJob, _user: str | None) -> Effects:
        row = self._rows.find(change.experiment_uid, change.job_id)
        if row is None:
            return Effects(_no_job(change.job_id))
        if row.status not in FINAL_STATUSES:
            reason = f"Job {change.job_id} is {row.status}; only its holder can report."
            return Effects(Refusal(code="unsafe", reason=reason))
        if change.revision is not None and change.revision != row.revision:
            reason = f"Job {change.job_id} was changed since you read it. Read it again, or use put(safe=False)."
            return Effects(Refusal(code="unsafe", reason=reason))
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
        return Effects(JobAmendedAnswer(revision=row.revision + 1))

    _APPLY: ClassVar[dict[type[Change[Any]], Callable[["Changes", Any, str | None], Effects]]] = {
        Push: _push,
        AddExperiment: _add_experiment,
        UpdateExperiment: _update_experiment,
        DeleteExperiment: _delete_experiment,
        DeleteJob: _delete_job,
        AmendJob: _amend_job,
        CancelJobs: _cancel_jobs,
        RetryJobs: _retry_jobs,
    }

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
        position=row.pk,
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


def _kept(answer: Answer) -> Answer:
    """Return an answer as it is kept: without the values of pushed jobs, which come again with the same push."""
    if not isinstance(answer, PushAnswer):
        return answer
    bare = [job.model_copy(update={"hyperparameters": {}, "results": {}}) for job in answer.jobs]
    return answer.model_copy(update={"jobs": bare})


def _with_values(kept: PushAnswer, push: Push) -> PushAnswer:
    """Return the whole answer to a push that has come again."""
    jobs = [
        job.model_copy(update={"hyperparameters": new.hyperparameters, "results": new.results})
        for job, new in zip(kept.jobs, push.jobs, strict=True)
    ]
    return kept.model_copy(update={"jobs": jobs})


def _gone() -> Refusal:
    return Refusal(code="not_found", reason="The experiment is already gone.")


def _no_job(job_id: str) -> Refusal:
    return Refusal(code="not_found", reason=f"There is no job {job_id}; it may have been deleted.")
