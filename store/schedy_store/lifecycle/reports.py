"""Applying reports: what workers say about jobs, judged by `transitions` and written with a guard."""

import json
import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar

from sqlalchemy import bindparam, select, update

from schedy.search.algorithms import MANUAL
from schedy.search.definition import as_observation
from schedy.wire.answers import ClaimAnswer, DemandAnswer, HeartbeatAnswer, JobNotice, ReportAnswer
from schedy.wire.base import CRASHED, DONE, PRUNED, RUNNING
from schedy.wire.records import JobRecord
from schedy.wire.reports import Claim, Curve, Demand, Finish, Heartbeat, HeldJob, Progress, Release, Report
from schedy.wire.values import Values, dump_values, load_values
from schedy_store.lifecycle import transitions
from schedy_store.lifecycle.curves import Curves
from schedy_store.lifecycle.effects import ClaimedTicket, Effects, PrunerCall, WaitingWorker
from schedy_store.lifecycle.job_rows import JobRows, state_of, stop_text
from schedy_store.lifecycle.transitions import JobState, Stop, Verdict
from schedy_store.lifecycle.workers import Workers
from schedy_store.schema.engine import Transaction
from schedy_store.schema.records import AnyRow, job_record
from schedy_store.schema.tables import Experiment, Job

_DELETED = "it was deleted."
_FORGED = "it comes from another user of the broker than the claim."

_WITH_TIMEOUT = select(Experiment.pk, Experiment.job_timeout, Experiment.stall_timeout).where(
    Experiment.job_timeout.is_not(None) | Experiment.stall_timeout.is_not(None)
)
_EXPERIMENT = select(Experiment.pk, Experiment.scheduler).where(Experiment.uid == bindparam("uid_is"))
_RENEW = (
    update(Job)
    .where(Job.status == "RUNNING")
    .values(lease_until=bindparam("until"), reported_at=bindparam("at_now"), revision=Job.revision + 1)
)

_HeldReport = Progress | Curve | Finish | Release


class Reports:
    """Applies reports within one transaction. `user` is who the broker says has sent one, None if it does not say."""

    def __init__(self, transaction: Transaction, *, lease_seconds: float) -> None:
        self._sql = transaction.sql
        self._now = transaction.now
        self._lease = timedelta(seconds=lease_seconds)
        self._rows = JobRows(transaction, lease_seconds=lease_seconds)
        self._journal = self._rows.journal
        self._workers = Workers(transaction)
        self._curves = Curves(transaction)

    def apply(self, report: Report[Any], user: str | None = None) -> Effects:
        """Apply a report; one that arrives twice changes nothing the second time."""
        return self._APPLY[type(report)](self, report, user)

    def _claim(self, message: Claim, user: str | None) -> Effects:
        row = self._rows.find(message.experiment_uid, message.job_id)
        if row is None:
            return Effects(ClaimAnswer(granted=False, reason=_DELETED))
        effects = Effects()
        if row.token != message.token:
            row = self._expired(row, effects)
        verdict = transitions.claim(state_of(row), self._rows.terms(row), message.token, self._now)
        if not verdict.accepted:
            return self._denied(row, message, verdict, effects)
        if verdict.state.token == row.token:
            self._rows.move(row, verdict.state, heard_at=self._now)
            record = job_record(row)
        else:
            record = self._begin_attempt(row, verdict.state, message, user)
        if row.dispatched_at is not None and message.by_ticket:
            effects.claimed = ClaimedTicket(row.experiment_pk, row.dispatched_at)
        effects.served = message.wait_id
        self._touch(row, effects)
        record = record.model_copy(update={"status": verdict.state.status, "attempt": verdict.state.attempt})
        effects.answer = ClaimAnswer.model_construct(
            granted=True, job=record, lease_seconds=self._lease.total_seconds()
        )
        return effects

    def _touch(self, row: AnyRow, effects: Effects) -> None:
        """A job of an experiment that makes its own has moved: another may be wanted, or its ticket."""
        if row.scheduler != MANUAL:
            effects.touched.add(row.experiment_pk)
            effects.tickets_wanted.add(row.experiment_pk)

    def _demand(self, message: Demand, _user: str | None) -> Effects:
        """A worker waits for a job to be made; who keeps the search answers it."""
        row = self._sql.execute(_EXPERIMENT, {"uid_is": message.experiment_uid}).one_or_none()
        if row is None:
            return Effects(DemandAnswer(there=False, reason="the experiment was deleted."))
        if row.scheduler == MANUAL:
            return Effects(DemandAnswer(there=False, reason="nothing is queued."))
        return Effects(touched={row.pk}, waiting=WaitingWorker(row.pk, message.wait_id))

    def _expired(self, row: AnyRow, effects: Effects) -> AnyRow:
        """Judge a lease that may be over, as a tick would; return the row as it is then."""
        verdict = transitions.expire(state_of(row), self._rows.terms(row), self._now)
        if not verdict.accepted:
            return row
        self._lose(row, verdict, effects)
        return self._rows.again(row)

    def _denied(self, row: AnyRow, message: Claim, verdict: Verdict, effects: Effects) -> Effects:
        self._rows.move(row, verdict.state)
        if row.token != message.token:
            detail = f"A claim was denied: {verdict.reason}"
            self._note_again(row, "denied", detail, token=message.token, worker=str(message.worker))
        effects.answer = ClaimAnswer(granted=False, reason=verdict.reason)
        return effects

    def _begin_attempt(self, row: AnyRow, state: JobState, message: Claim, user: str | None) -> JobRecord:
        """Start from what was pushed: nothing of an earlier attempt is mixed in."""
        worker = str(message.worker)
        begun: dict[str, Any] = {
            **self._rows.fresh_start(row),
            "started_at": self._now,
            "reported_at": self._now,
            "heard_at": self._now,
            "worker": worker,
            "worker_pk": self._workers.number(message.worker),
            "user": user,
        }
        self._rows.move(row, state, **begun)
        self._journal.of_job(row, "claimed", "", worker=worker, attempt=state.attempt, token=message.token)
        shown = {
            "started_at": self._now,
            "worker": worker,
            "quality": math.nan if row.initial_quality is None else row.initial_quality,
            "error": None,
            "results": load_values(row.initial_results),
            "previous_results": load_values(begun["previous_results"]),
        }
        return job_record(row).model_copy(update=shown)

    def _report(self, message: _HeldReport, user: str | None) -> Effects:
        row = self._rows.find(message.experiment_uid, message.job_id)
        if row is None:
            return self._of_deleted(message)
        verdict = self._judge(row, message, user)
        if not verdict.accepted:
            return self._refused(row, message, verdict)
        effects = Effects(ReportAnswer(accepted=True))
        if not verdict.reason:
            return effects  # it came twice, or was overtaken
        if not isinstance(message, Release):
            self._curves.add(row, message.points)
        if verdict.state.status == RUNNING:
            self._progressed(row, verdict.state, message)
            if isinstance(message, Curve) and row.prunes:
                effects.pruning = PrunerCall(row.experiment_pk, row.pk, row.attempt)
        elif verdict.state.is_final:
            self._ended(row, verdict.state, message, effects)
        else:
            self._given_back(row, verdict.state, message, effects)
        effects.answer = ReportAnswer(
            accepted=True,
            revision=row.revision + 1,
            at=self._now,
            status=verdict.state.status,
            stop=stop_text(row.stop, row) if row.stop else "",
        )
        return effects

    def _judge(self, row: AnyRow, message: _HeldReport, user: str | None) -> Verdict:
        job, terms = state_of(row), self._rows.terms(row)
        if _is_forged(row, message.token, user):
            return Verdict(job, False, _FORGED)
        match message:
            case Progress() | Curve():
                return transitions.progress(job, terms, message.token, message.sequence, self._now)
            case Finish():
                return transitions.finish(job, terms, message.token, message.sequence, message.status)
            case Release():
                return transitions.release(job, terms, message.token, message.sequence)

    def _put(self, row: AnyRow, message: _HeldReport) -> dict[str, Any]:
        """The columns with what the holder reports."""
        if isinstance(message, Release | Curve):
            return {}
        return self._rows.reported(row, message.results, message.quality)

    def _put_last(self, row: AnyRow, state: JobState, message: _HeldReport) -> dict[str, Any]:
        """The columns at the end: without a value of the only objective the quality is the last one of the curve.

        A job that was not pruned and has none has no quality, unless its user gave it one: 0 may be the best.
        """
        values = self._put(row, message)
        objectives = json.loads(row.objectives)
        if len(objectives) == 1 and isinstance(message, Finish):
            is_observed = as_observation(message.results.get(objectives[0])) is not None
            if not is_observed and message.quality == 0.0:
                last = self._curves.last(row, objectives[0]) if state.status == PRUNED else None
                values["quality"] = math.nan if last is None else last
        return values

    def _progressed(self, row: AnyRow, state: JobState, message: _HeldReport) -> None:
        self._rows.move(row, state, heard_at=self._now, reported_at=self._now, **self._put(row, message))
        self._note_again(row, "reported", "", token=message.token, worker=row.worker, attempt=row.attempt)

    def _ended(self, row: AnyRow, state: JobState, message: _HeldReport, effects: Effects) -> None:
        error = message.error if isinstance(message, Finish) else None
        if row.stop in {"job_timeout", "stall_timeout"}:
            error = stop_text(row.stop, row)
        self._rows.end(row, state, error=error, **self._put_last(row, state, message))
        if state.status == DONE and isinstance(message, Finish):
            self._note_unobserved(row, message.results, effects)
        self._touch(row, effects)
        self._workers.count(row.worker_pk, "crashed" if state.status == CRASHED else "done")
        effects.log.append(f"{row.experiment_name}: job {row.job_id} is {state.status} ({row.worker})")

    def _note_unobserved(self, row: AnyRow, results: Values, effects: Effects) -> None:
        """Say so if a job does not report what it was made for; the search goes on without it."""
        faults = [fault for name in json.loads(row.objectives) if (fault := _unobserved(name, results))]
        if faults:
            problem = f"Job {row.job_id} is DONE, but its result {faults[0]}. The search does not learn from it."
            self._sql.execute(update(Experiment).where(Experiment.pk == row.experiment_pk).values(problem=problem))
            self._journal.of_job(row, "unobserved", problem, worker=row.worker, attempt=row.attempt)
            effects.log.append(f"{row.experiment_name}: {problem}")

    def _given_back(self, row: AnyRow, state: JobState, message: _HeldReport, effects: Effects) -> None:
        why = "The worker gave the job back." if row.stop is None else f"To be tried again: {stop_text(row.stop, row)}"
        self._journal.of_job(row, "released", why, worker=row.worker, attempt=row.attempt)
        left = dump_values(message.results) if isinstance(message, Progress | Finish) else row.results
        self._rows.queue_again(row, state, left)
        self._touch(row, effects)
        effects.tickets_wanted.add(row.experiment_pk)
        effects.log.append(f"{row.experiment_name}: job {row.job_id} was given back by {row.worker}. {why}")

    def _refused(self, row: AnyRow, message: _HeldReport, verdict: Verdict) -> Effects:
        effects = Effects(ReportAnswer(accepted=False, reason=verdict.reason))
        if isinstance(message, Release):
            return effects  # nobody loses by it: claims are given up whether they were granted or not
        worker = self._journal.worker_of(row, message.token)
        unknown = "" if worker else " Nobody has claimed the job under its token."
        detail = f"A {message.kind} report was refused: {verdict.reason}{unknown}"
        self._note_again(row, "refused", detail, token=message.token, worker=worker)
        effects.log.append(f"{row.experiment_name}: job {row.job_id}: {detail}")
        return effects

    def _of_deleted(self, message: _HeldReport) -> Effects:
        detail = f"A {message.kind} report on job {message.job_id} was refused: {_DELETED}"
        experiment_pk = self._rows.experiment_number(message.experiment_uid)
        if experiment_pk is not None and not isinstance(message, Release):
            self._journal.again(experiment_pk, message.job_id, "refused", detail, token=message.token, worker=None)
        return Effects(ReportAnswer(accepted=False, reason=_DELETED), log=[detail])

    def _note_again(
        self, row: AnyRow, kind: str, detail: str, *, token: str, worker: str | None, attempt: int | None = None
    ) -> None:
        self._journal.again(row.experiment_pk, row.job_id, kind, detail, token=token, worker=worker, attempt=attempt)

    def _heartbeat(self, message: Heartbeat, user: str | None) -> Effects:
        self._workers.heard(message)
        answer = HeartbeatAnswer(lost=[], stopped=[])
        for held in message.held:
            row = self._rows.find(held.experiment_uid, held.job_id)
            if row is None:
                answer.lost.append(JobNotice(token=held.token, reason=_DELETED))
            else:
                self._beat(row, held, user, answer)
        return Effects(answer)

    def _beat(self, row: AnyRow, held: HeldJob, user: str | None, answer: HeartbeatAnswer) -> None:
        verdict = transitions.heartbeat(state_of(row), self._rows.terms(row), held.token, self._now)
        if _is_forged(row, held.token, user):
            answer.lost.append(JobNotice(token=held.token, reason=_FORGED))
        elif verdict.accepted:
            self._rows.move(row, verdict.state, heard_at=self._now)
            if verdict.state.stop:
                answer.stopped.append(JobNotice(token=held.token, reason=stop_text(verdict.state.stop, row)))
        elif row.token != held.token:
            answer.lost.append(JobNotice(token=held.token, reason=verdict.reason))

    _APPLY: ClassVar[dict[type[Report[Any]], Callable[["Reports", Any, str | None], Effects]]] = {
        Claim: _claim,
        Heartbeat: _heartbeat,
        Demand: _demand,
        Progress: _report,
        Curve: _report,
        Finish: _report,
        Release: _report,
    }

    def expire_leases(self, limit: int) -> Effects:
        """Judge the leases; at most `limit` at a time."""
        effects = Effects()
        for row in self._rows.with_lease_over(limit):
            verdict = transitions.expire(state_of(row), self._rows.terms(row), self._now)
            if verdict.accepted:
                self._lose(row, verdict, effects)
        return effects

    def stop_overdue(self, limit: int) -> Effects:
        """Tell the holders of jobs that have taken, or said nothing for, too long to stop; at most `limit` of each."""
        effects = Effects()
        for experiment in self._sql.execute(_WITH_TIMEOUT).all():
            limits: tuple[tuple[Stop, Any, float | None], ...] = (
                ("job_timeout", Job.started_at, experiment.job_timeout),
                ("stall_timeout", Job.reported_at, experiment.stall_timeout),
            )
            for stop, since, seconds in limits:
                if seconds is not None:
                    before = self._now - timedelta(seconds=seconds)
                    for row in self._rows.running_since(experiment.pk, since, before, limit):
                        self._stop(row, stop, effects)
        return effects

    def _stop(self, row: AnyRow, stop: Stop, effects: Effects) -> None:
        verdict = transitions.overdue(state_of(row), self._rows.terms(row), stop, self._now)
        if verdict.accepted:
            self._rows.move(row, verdict.state)
            detail = f"The worker is to stop: {stop_text(stop, row)}"
            self._journal.of_job(row, "stopping", detail, worker=row.worker, attempt=row.attempt)
            effects.log.append(f"{row.experiment_name}: job {row.job_id}: {detail} ({row.worker})")

    def renew_leases(self) -> None:
        """Give every running job a whole lease: nobody loses a job because nobody listened."""
        self._sql.execute(_RENEW, {"until": self._now + self._lease, "at_now": self._now})

    def _lose(self, row: AnyRow, verdict: Verdict, effects: Effects) -> None:
        """Write what the end of a lease means."""
        seconds = f"{self._lease.total_seconds():g} s"
        detail = f"No sign of life for {seconds}: {verdict.reason}."
        if row.stop is not None:
            detail = f"It did not stop within {seconds}: {stop_text(row.stop, row)}"
        self._journal.of_job(row, "lost", detail, worker=row.worker, attempt=row.attempt, token=row.token)
        self._workers.count(row.worker_pk, "lost")
        after = "is queued again"
        if verdict.state.is_final:
            after = f"is {verdict.state.status}"
            self._rows.end(row, verdict.state, error=self._why_lost(row, verdict))
        elif verdict.state.token is None:
            self._rows.queue_again(row, verdict.state, row.results)
        else:
            self._rows.move(row, verdict.state)
        self._touch(row, effects)
        effects.tickets_wanted.add(row.experiment_pk)
        effects.log.append(
            f"{row.experiment_name}: job {row.job_id} {after}, lease ran out, attempt {row.attempt} ({row.worker})"
        )

    def _why_lost(self, row: AnyRow, verdict: Verdict) -> str | None:
        """The error of a job that ends with the loss of its worker."""
        if row.stop is None:
            return f"{verdict.reason} (on {', '.join(self._journal.hosts_lost(row))})"
        return None if row.stop == "cancelled" else stop_text(row.stop, row)


def _unobserved(objective: str, results: Values) -> str | None:
    """Why the results of a job say nothing of an objective, None if they do."""
    if objective not in results:
        return f"{objective!r} is missing"
    if as_observation(results[objective]) is not None:
        return None
    return f"{objective!r} is {'NaN' if isinstance(results[objective], float) else 'no number'}"


def _is_forged(row: AnyRow, token: str, user: str | None) -> bool:
    """Whether somebody who is not the user that claimed the job reports under its token."""
    return token == row.token and row.user is not None and user != row.user
