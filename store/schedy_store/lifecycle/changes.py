"""Changes: experiments and jobs added, changed, deleted. Each is applied once, however often it arrives."""

from collections.abc import Callable
from functools import partial
from typing import Any

from sqlalchemy import bindparam, insert, select

from schedy.wire.answers import ExperimentChangedAnswer, PushAnswer
from schedy.wire.base import Answer
from schedy.wire.changes import (
    AddExperiment,
    AmendJob,
    CancelJobs,
    Change,
    DeleteExperiment,
    DeleteJob,
    Push,
    RetryJobs,
    UpdateExperiment,
)
from schedy_store.lifecycle.effects import Effects
from schedy_store.lifecycle.experiment_changes import ExperimentChanges, ExperimentRows, search_check
from schedy_store.lifecycle.job_changes import JobChanges
from schedy_store.lifecycle.kept_answers import kept_answer, kept_text
from schedy_store.schema.engine import Transaction
from schedy_store.schema.prepared import Prepared
from schedy_store.schema.tables import OF_EXPERIMENT, AppliedChange, Experiment, Job

_FIRST_ANSWER = Prepared(select(AppliedChange.answer).where(AppliedChange.request_id == bindparam("request_is")))
_KEEP = Prepared(insert(AppliedChange), ["request_id", "at", "answer"])


class Changes:
    """Applies changes within one transaction."""

    def __init__(self, transaction: Transaction, *, lease_seconds: float, max_attempts: int) -> None:
        self._transaction = transaction
        self._now = transaction.now
        self._rows = ExperimentRows(transaction)
        self._experiments = ExperimentChanges(transaction, max_attempts=max_attempts)
        self._jobs = JobChanges(transaction, lease_seconds=lease_seconds)

    def apply(self, change: Change[Any], user: str | None = None) -> Effects:
        """Apply a change, or repeat the answer that it got when it was applied.

        `user` is the broker's user that sent it, None if the broker does not say.
        """
        for (first,) in _FIRST_ANSWER.read(self._transaction.sql_before_writes, {"request_is": change.request_id}):
            return self._repeated(change, kept_answer(first))
        effects = self._handlers(user)[type(change)](change)
        if effects.answer is not None:
            kept = {"request_id": change.request_id, "at": self._now, "answer": kept_text(_kept(effects.answer))}
            _KEEP.write(self._transaction.sql_before_writes, [kept])
        return effects

    def _handlers(self, user: str | None) -> dict[type[Change[Any]], Callable[[Any], Effects]]:
        return {
            Push: partial(self._jobs.push, user=user),
            AddExperiment: self._experiments.add,
            UpdateExperiment: self._experiments.update,
            DeleteExperiment: self._experiments.delete,
            DeleteJob: self._jobs.delete,
            AmendJob: self._jobs.amend,
            CancelJobs: self._jobs.cancel,
            RetryJobs: self._jobs.retry,
        }

    def _repeated(self, change: Change[Any], answer: Answer) -> Effects:
        """Return the first answer, and the work in the broker that a crash after the commit may have prevented."""
        effects = Effects(answer)
        if isinstance(answer, PushAnswer) and isinstance(change, Push):
            effects.answer = _with_values(answer, change)
            effects.tickets_awaited = self._jobs_of(answer)
        elif isinstance(answer, ExperimentChangedAnswer):
            name = answer.experiment.name
            found = self._rows.named(name)
            effects.queues.append(("wanted" if found is not None and found.status == "RUNNING" else "gone", name))
            if isinstance(change, AddExperiment) and found is not None and found.uid == answer.experiment.uid:
                effects.checking = search_check(change, found.pk)
        return effects

    def _jobs_of(self, answer: PushAnswer) -> list[int]:
        return list(
            self._transaction.sql.scalars(
                select(Job.pk)
                .join_from(Job, Experiment, OF_EXPERIMENT)
                .where(Experiment.uid == answer.experiment_uid, Job.job_id.in_([job.job_id for job in answer.jobs]))
            )
        )


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
