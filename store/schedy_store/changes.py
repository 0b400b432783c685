"""Applying changes: experiments and jobs added, changed, deleted. Each is applied once, however often it arrives."""

import difflib
import json
import secrets
import string
import uuid
from datetime import timedelta
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, update

from schedy.messages import (
    FINAL_STATUSES,
    AddExperiment,
    AmendJob,
    Answer,
    Change,
    ChangeAnswer,
    DeleteExperiment,
    DeleteJob,
    ExperimentRecord,
    NewJob,
    Push,
    PushAnswer,
    Refusal,
    UpdateExperiment,
    decode_answer,
    encode,
)
from schedy.values import dump_values
from schedy_store.records import AnyRow, findable
from schedy_store.reports import Outcome, replace_sort_keys, sort_key_rows
from schedy_store.store import Transaction
from schedy_store.tables import AppliedChange, Event, Experiment, Job, JobValue

_ID_CHARACTERS = string.ascii_letters + string.digits + "-_"
_ID_FIRST_CHARACTERS = string.ascii_letters + string.digits + "_"
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

    def apply(self, change: Change) -> Outcome:
        """Apply a change, or repeat the answer that it got when it was applied."""
        first = self._sql.scalar(_FIRST_ANSWER, {"request_is": change.request_id})
        if first is not None:
            return self._repeated(decode_answer(first.encode()))
        outcome = self._apply(change)
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

    def _apply(self, change: Change) -> Outcome:
        match change:
            case Push():
                return self._push(change)
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

    def _push(self, push: Push) -> Outcome:
        experiment = self._experiment(name=push.experiment_name, uid=push.experiment_uid)
        if experiment is None:
            return Outcome(missing_experiment(self._sql, push.experiment_name))
        job_ids = self._fresh_ids(experiment.pk, len(push.jobs))
        rows = [
            self._new_row(experiment.pk, job_id, new, worker=str(push.worker))
            for job_id, new in zip(job_ids, push.jobs, strict=True)
        ]
        statement = insert(Job).returning(Job.pk, sort_by_parameter_order=True)
        numbers = list(self._sql.scalars(statement, rows))
        self._insert_sort_keys(experiment.pk, numbers, push.jobs)
        answer = PushAnswer(
            experiment_uid=experiment.uid,
            job_ids=job_ids,
            created_at=self._now,
            lease_seconds=self._lease.total_seconds(),
        )
        queued = [number for number, new in zip(numbers, push.jobs, strict=True) if new.status == "QUEUED"]
        return Outcome(answer, tickets_awaited=queued, tickets_wanted={experiment.pk} if queued else set())

    def _new_row(self, experiment_pk: int, job_id: str, new: NewJob, *, worker: str) -> dict[str, Any]:
        is_running = new.status == "RUNNING"
        results = dump_values(new.results)
        return {
            "experiment_pk": experiment_pk,
            "job_id": job_id,
            "status": new.status,
            "quality": new.quality,
            "hyperparameters": dump_values(new.hyperparameters),
            "results": results,
            "initial_quality": new.quality,
            "initial_results": results,
            "created_at": self._now,
            "started_at": self._now if is_running else None,
            "finished_at": self._now if new.status in FINAL_STATUSES else None,
            "worker": worker if is_running else None,
            "attempt": 1 if is_running else 0,
            "token": new.token if is_running else None,
            "lease_until": self._now + self._lease if is_running else None,
        }

    def _insert_sort_keys(self, experiment_pk: int, numbers: list[int], jobs: list[NewJob]) -> None:
        rows = [
            row
            for number, new in zip(numbers, jobs, strict=True)
            for source, values in (("hyperparameter", new.hyperparameters), ("result", new.results))
            for row in sort_key_rows(number, experiment_pk, source, values)
        ]
        if rows:
            self._sql.execute(insert(JobValue), rows)

    def _fresh_ids(self, experiment_pk: int, count: int) -> list[str]:
        """Ids that the experiment does not have yet."""
        fresh: set[str] = set()
        while len(fresh) < count:
            drawn = {_random_id() for _ in range(count - len(fresh))}
            taken = self._sql.scalars(
                select(Job.job_id).where(Job.experiment_pk == experiment_pk, Job.job_id.in_(drawn))
            )
            fresh |= drawn - set(taken)
        return list(fresh)

    def _add_experiment(self, change: AddExperiment) -> Outcome:
        if self._experiment(name=change.name, uid=None) is not None:
            return Outcome(
                Refusal(
                    code="exists",
                    reason=f"There is an experiment {change.name!r} already. Choose another name, or remove it:"
                    f" schedy rm {change.name!r}.",
                )
            )
        self._sql.execute(
            insert(Experiment).values(
                uid=uuid.uuid4().hex,
                name=change.name,
                scheduler=change.scheduler,
                settings=dump_values(change.settings),
                status=change.status,
                paused=False,
                max_attempts=self._max_attempts,
                created_at=self._now,
            )
        )
        outcome = Outcome(ChangeAnswer(experiment=self._record(change.name)))
        if change.status == "RUNNING":
            outcome.queues.append(("wanted", change.name))
        return outcome

    def _update_experiment(self, change: UpdateExperiment) -> Outcome:
        before = self._experiment(name="", uid=change.experiment_uid)
        if before is None:
            return Outcome(_gone())
        values: dict[str, Any] = {}
        if change.status is not None:
            values["status"] = change.status
        if change.paused is not None:
            values["paused"] = change.paused
        if change.settings is not None:
            values["settings"] = dump_values(change.settings)
        if values:
            self._sql.execute(update(Experiment).where(Experiment.pk == before.pk).values(values))
        after = self._record(before.name)
        outcome = Outcome(ChangeAnswer(experiment=after), tickets_wanted={before.pk})
        self._settle_queue(before, after, outcome)
        return outcome

    def _settle_queue(self, before: AnyRow, after: ExperimentRecord, outcome: Outcome) -> None:
        """A DONE experiment has no queue, so that who waits at it is woken; a paused one has an empty queue."""
        if after.status == "DONE":
            outcome.queues.append(("gone", after.name))
        else:
            outcome.queues.append(("wanted", after.name))
            if after.paused and not before.paused:
                outcome.queues.append(("purged", after.name))
        if after.status == "DONE" or after.paused:
            self._sql.execute(
                update(Job)
                .where(Job.experiment_pk == before.pk, Job.status == "QUEUED")
                .values(dispatched_at=None, ticket=Job.ticket + 1, revision=Job.revision + 1)
            )

    def _delete_experiment(self, change: DeleteExperiment) -> Outcome:
        experiment = self._experiment(name="", uid=change.experiment_uid)
        if experiment is None:
            return Outcome(_gone())
        record = self._record(experiment.name)
        self._sql.execute(delete(Experiment).where(Experiment.pk == experiment.pk))
        return Outcome(
            ChangeAnswer(experiment=record),
            queues=[("gone", experiment.name)],
            log=[f"{experiment.name}: the experiment was deleted"],
        )

    def _delete_job(self, change: DeleteJob) -> Outcome:
        row = self._job(change.experiment_uid, change.job_id)
        if row is None:
            return Outcome(_no_job(change.job_id))
        self._sql.execute(delete(Job).where(Job.pk == row.pk))
        self._sql.execute(delete(Event).where(Event.experiment_pk == row.experiment_pk, Event.job_id == change.job_id))
        return Outcome(ChangeAnswer())

    def _amend_job(self, change: AmendJob) -> Outcome:
        row = self._job(change.experiment_uid, change.job_id)
        if row is None:
            return Outcome(_no_job(change.job_id))
        if row.status not in FINAL_STATUSES:
            reason = f"Job {change.job_id} is {row.status}; only its holder can report."
            return Outcome(Refusal(code="unsafe", reason=reason))
        if change.revision is not None and change.revision != row.revision:
            reason = f"Job {change.job_id} was changed since you read it. Read it again, or use put(safe=False)."
            return Outcome(Refusal(code="unsafe", reason=reason))
        replace_sort_keys(self._sql, row, "result", change.results)
        self._sql.execute(
            update(Job)
            .where(Job.pk == row.pk, Job.revision == row.revision)
            .values(results=dump_values(change.results), quality=change.quality, revision=row.revision + 1)
        )
        self._sql.execute(
            insert(Event).values(
                experiment_pk=row.experiment_pk,
                job_id=change.job_id,
                at=self._now,
                kind="amended",
                worker=None,
                detail="Results or quality were changed afterwards.",
            )
        )
        return Outcome(ChangeAnswer(revision=row.revision + 1))

    def _experiment(self, *, name: str, uid: str | None) -> AnyRow | None:
        which = Experiment.name == findable(name) if uid is None else Experiment.uid == uid
        columns = (Experiment.pk, Experiment.uid, Experiment.name, Experiment.paused, Experiment.status)
        return self._sql.execute(select(*columns).where(which)).one_or_none()

    def _job(self, experiment_uid: str, job_id: str) -> AnyRow | None:
        columns = (Job.pk, Job.experiment_pk, Job.status, Job.revision, Job.results)
        return self._sql.execute(
            select(*columns).join_from(Job, Experiment).where(Experiment.uid == experiment_uid, Job.job_id == job_id)
        ).one_or_none()

    def _record(self, name: str) -> ExperimentRecord:
        row = self._sql.execute(select(*EXPERIMENT_COLUMNS).where(Experiment.name == name)).one()
        return experiment_record(row, {})


EXPERIMENT_COLUMNS = (
    Experiment.pk,
    Experiment.uid,
    Experiment.name,
    Experiment.scheduler,
    Experiment.settings,
    Experiment.status,
    Experiment.paused,
    Experiment.created_at,
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
        created_at=row.created_at,
        job_counts=job_counts,
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


def _random_id() -> str:
    rest = "".join(secrets.choice(_ID_CHARACTERS) for _ in range(5))
    return secrets.choice(_ID_FIRST_CHARACTERS) + rest
