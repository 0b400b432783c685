"""Applying reports: what workers say about jobs, judged by `transitions` and written with a guard."""

import math
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import bindparam, delete, insert, select, update

from schedy.messages import (
    QUEUED,
    RUNNING,
    Answer,
    Claim,
    ClaimAnswer,
    Finish,
    Heartbeat,
    HeartbeatAnswer,
    JobRecord,
    JobStatus,
    LostJob,
    Progress,
    Release,
    Report,
    ReportAnswer,
)
from schedy.values import Values, dump_values, load_values, sort_keys
from schedy_store import transitions
from schedy_store.records import RECORD_COLUMNS, AnyRow, job_record
from schedy_store.store import Transaction
from schedy_store.tables import Event, Experiment, Job, JobValue
from schedy_store.transitions import JobState, Terms, Verdict

_DELETED = "it was deleted."


QueueChange = Literal["wanted", "purged", "gone"]


@dataclass(slots=True)
class Outcome:
    """What applying a message gave: an answer, work for the broker, lines for the log. Used after the commit."""

    answer: Answer | None = None
    queues: list[tuple[QueueChange, str]] = field(default_factory=list)
    """What happens to the queues of experiments, in this order and before the answer goes."""
    tickets_awaited: list[int] = field(default_factory=list)
    """Jobs whose tickets must be out before the answer goes."""
    tickets_wanted: set[int] = field(default_factory=set)
    """Experiments with jobs that may want tickets now."""
    claimed: tuple[int, datetime] | None = None
    """An experiment, and when the ticket of a job of it was published that has now been claimed."""
    log: list[str] = field(default_factory=list)


_ROW = select(
    *RECORD_COLUMNS,
    Job.experiment_pk,
    Job.token,
    Job.sequence,
    Job.lease_until,
    Job.dispatched_at,
    Job.initial_results,
    Job.initial_quality,
    Experiment.name.label("experiment_name"),
    Experiment.status.label("experiment_status"),
    Experiment.paused,
    Experiment.max_attempts,
).join_from(Job, Experiment)

# Every report runs these two: building a statement anew takes ten times as long as running it.
_ROW_OF_JOB = _ROW.where(Experiment.uid == bindparam("uid_is"), Job.job_id == bindparam("id_is"))
_MOVE = (
    update(Job)
    .where(Job.pk == bindparam("pk_is"), Job.revision == bindparam("revision_is"), Job.status == bindparam("status_is"))
    .returning(Job.pk)
)
_MOVE_WITHDRAWING_TICKET = _MOVE.values(dispatched_at=None, ticket=Job.ticket + 1)


class Reports:
    """Applies reports within one transaction."""

    def __init__(self, transaction: Transaction, *, lease_seconds: float) -> None:
        self._sql = transaction.sql
        self._now = transaction.now
        self._lease = timedelta(seconds=lease_seconds)

    def apply(self, report: Report) -> Outcome:
        """Apply a report; one that arrives twice changes nothing the second time."""
        match report:
            case Claim():
                return self.claim(report)
            case Progress():
                return self.progress(report)
            case Finish():
                return self.finish(report)
            case Release():
                return self.release(report)
            case Heartbeat():
                return self.heartbeat(report)

    def claim(self, message: Claim) -> Outcome:
        row = self._row(message.experiment_uid, message.job_id)
        if row is None:
            return Outcome(ClaimAnswer(granted=False, reason=_DELETED))
        before = _state(row)
        verdict = transitions.claim(before, self._terms(row), message.token, self._now)
        worker = str(message.worker)
        outcome = Outcome()
        if not verdict.accepted:
            if before.status == RUNNING and verdict.state.status != RUNNING:
                self._lose(row, transitions.lease_over(before, self._terms(row)), outcome)
            else:
                self._move(row, verdict.state)
            self._record(row, "denied", worker, f"A claim was denied: {verdict.reason}")
            outcome.answer = ClaimAnswer(granted=False, reason=verdict.reason)
            if verdict.state != before:
                outcome.tickets_wanted.add(row.experiment_pk)
            return outcome
        record = job_record(row)
        if verdict.state.token == row.token:
            self._move(row, verdict.state)
        else:
            self._note_lost_holder(row, outcome)
            record = self._begin_attempt(row, verdict.state, worker)
        if row.dispatched_at is not None and message.by_ticket:
            outcome.claimed = (row.experiment_pk, row.dispatched_at)
        record = record.model_copy(update={"status": verdict.state.status, "attempt": verdict.state.attempt})
        outcome.answer = ClaimAnswer.model_construct(
            granted=True, job=record, lease_seconds=self._lease.total_seconds()
        )
        return outcome

    def _begin_attempt(self, row: AnyRow, state: JobState, worker: str) -> JobRecord:
        """Start from what was pushed: nothing of an earlier attempt is mixed in."""
        self._move(
            row,
            state,
            started_at=self._now,
            worker=worker,
            quality=row.initial_quality,
            error=None,
            **self._replaced_results(row, row.initial_results),
        )
        begun = {
            "started_at": self._now,
            "worker": worker,
            "quality": math.nan if row.initial_quality is None else row.initial_quality,
            "error": None,
            "results": load_values(row.initial_results),
        }
        return job_record(row).model_copy(update=begun)

    def progress(self, message: Progress) -> Outcome:
        row = self._row(message.experiment_uid, message.job_id)
        if row is None:
            return _deleted(message.job_id)
        verdict = transitions.progress(_state(row), self._terms(row), message.token, message.sequence, self._now)
        if verdict.reason == transitions.STORED:
            self._move(row, verdict.state, quality=message.quality, **self._results(row, message.results))
        return self._answer(row, verdict, message.kind)

    def finish(self, message: Finish) -> Outcome:
        row = self._row(message.experiment_uid, message.job_id)
        if row is None:
            return _deleted(message.job_id)
        verdict = transitions.finish(_state(row), message.token, message.sequence, message.status)
        if verdict.reason != transitions.STORED:
            return self._answer(row, verdict, message.kind)
        self._move(
            row,
            verdict.state,
            quality=message.quality,
            error=message.error,
            finished_at=self._now,
            **self._results(row, message.results),
        )
        outcome = self._answer(row, verdict, message.kind)
        outcome.log.append(f"{row.experiment_name}: job {row.job_id} is {message.status} ({row.worker})")
        return outcome

    def release(self, message: Release) -> Outcome:
        row = self._row(message.experiment_uid, message.job_id)
        if row is None:
            return _deleted(message.job_id)
        verdict = transitions.release(_state(row), message.token, message.sequence)
        if verdict.reason != transitions.GIVEN_BACK:
            return Outcome(ReportAnswer(accepted=verdict.accepted, reason=verdict.reason))
        self._record(row, "released", row.worker, "The worker gave the job back.")
        self._move(row, verdict.state, started_at=None, worker=None)
        return Outcome(
            ReportAnswer(accepted=True),
            tickets_wanted={row.experiment_pk},
            log=[f"{row.experiment_name}: job {row.job_id} was given back by {row.worker}"],
        )

    def heartbeat(self, message: Heartbeat) -> Outcome:
        lost: list[LostJob] = []
        for held in message.held:
            row = self._row(held.experiment_uid, held.job_id)
            if row is None:
                lost.append(LostJob(token=held.token, reason=_DELETED))
                continue
            verdict = transitions.heartbeat(_state(row), self._terms(row), held.token, self._now)
            if verdict.accepted:
                self._move(row, verdict.state)
            elif not (row.token == held.token and verdict.state.is_final):
                lost.append(LostJob(token=held.token, reason=verdict.reason))
        return Outcome(HeartbeatAnswer(lost=lost))

    def expire_leases(self, limit: int) -> Outcome:
        """Judge the leases; at most `limit` at a time."""
        outcome = Outcome()
        over = _ROW.where(Job.status == "RUNNING", Job.lease_until <= self._now).order_by(Job.lease_until).limit(limit)
        for row in self._sql.execute(over).all():
            verdict = transitions.expire(_state(row), self._terms(row), self._now)
            if not verdict.accepted:
                continue
            self._lose(row, verdict, outcome)
            outcome.tickets_wanted.add(row.experiment_pk)
        return outcome

    def renew_leases(self) -> None:
        """Give every running job a whole lease: nobody loses a job because nobody listened."""
        self._sql.execute(
            update(Job)
            .where(Job.status == "RUNNING")
            .values(lease_until=self._now + self._lease, revision=Job.revision + 1)
        )

    def _row(self, experiment_uid: str, job_id: str) -> AnyRow | None:
        return self._sql.execute(_ROW_OF_JOB, {"uid_is": experiment_uid, "id_is": job_id}).one_or_none()

    def _terms(self, row: AnyRow) -> Terms:
        return Terms(row.experiment_status == "RUNNING" and not row.paused, row.max_attempts, self._lease)

    def _move(self, row: AnyRow, state: JobState, **values: Any) -> None:
        """Write a verdict, guarded by the state that was judged."""
        before = _state(row)
        if state == before and not values:
            return
        values.update(
            status=state.status,
            token=state.token,
            attempt=state.attempt,
            sequence=state.sequence,
            lease_until=state.lease_until,
            revision=row.revision + 1,
        )
        withdraws = not state.dispatched and (before.dispatched or state.status == QUEUED)
        guard = {"pk_is": row.pk, "revision_is": row.revision, "status_is": row.status}
        moved = self._sql.execute(_MOVE_WITHDRAWING_TICKET if withdraws else _MOVE, {**values, **guard}).one_or_none()
        if moved is None:
            raise RuntimeError(f"Job {row.job_id} changed while it was judged: two writers in one store.")

    def _answer(self, row: AnyRow, verdict: Verdict, kind: str) -> Outcome:
        if verdict.reason == transitions.STORED:
            return Outcome(ReportAnswer(accepted=True, revision=row.revision + 1, at=self._now))
        outcome = Outcome(
            ReportAnswer(accepted=verdict.accepted, reason=verdict.reason if not verdict.accepted else "")
        )
        if not verdict.accepted:
            detail = f"A {kind} report was refused: {verdict.reason}"
            self._record(row, "refused", None, detail)
            outcome.log.append(f"{row.experiment_name}: job {row.job_id}: {detail}")
        return outcome

    def _note_lost_holder(self, row: AnyRow, outcome: Outcome) -> None:
        """A claim found a lease that was over: say so as a tick would have."""
        if row.status == RUNNING:
            self._note_loss(row, transitions.lease_over(_state(row), self._terms(row)), outcome)

    def _lose(self, row: AnyRow, verdict: Verdict, outcome: Outcome) -> None:
        """Write what the end of a lease means."""
        self._note_loss(row, verdict, outcome)
        if verdict.state.is_final:
            self._move(row, verdict.state, error=verdict.reason, finished_at=self._now)
        else:
            self._move(row, verdict.state)

    def _note_loss(self, row: AnyRow, verdict: Verdict, outcome: Outcome) -> None:
        detail = f"No sign of life for {self._lease.total_seconds():g} s: {verdict.reason}."
        self._record(row, "lost", row.worker, detail)
        after = "is CRASHED" if verdict.state.is_final else "is queued again"
        outcome.log.append(
            f"{row.experiment_name}: job {row.job_id} {after}, lease ran out, attempt {row.attempt} ({row.worker})"
        )

    def _record(self, row: AnyRow, kind: str, worker: str | None, detail: str) -> None:
        self._sql.execute(
            insert(Event).values(
                experiment_pk=row.experiment_pk,
                job_id=row.job_id,
                at=self._now,
                kind=kind,
                worker=worker,
                detail=detail,
            )
        )

    def _results(self, row: AnyRow, results: Values) -> dict[str, str]:
        return self._replaced_results(row, dump_values(results), results)

    def _replaced_results(self, row: AnyRow, text: str, results: Values | None = None) -> dict[str, str]:
        """Write what lists are sorted by, and return the column to set."""
        if text != row.results:
            replace_sort_keys(self._sql, row, "result", load_values(text) if results is None else results)
        return {"results": text}


def replace_sort_keys(sql: Any, row: AnyRow, source: str, values: Values) -> None:
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


def _state(row: AnyRow) -> JobState:
    status: JobStatus = row.status
    return JobState(status, row.token, row.attempt, row.sequence, row.lease_until, row.dispatched_at is not None)


def _deleted(job_id: str) -> Outcome:
    return Outcome(
        ReportAnswer(accepted=False, reason=_DELETED), log=[f"job {job_id}: a report was refused: {_DELETED}"]
    )
