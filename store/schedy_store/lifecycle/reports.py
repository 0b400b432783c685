"""Reports of workers on their jobs, judged by `transitions` and written with a guard."""

import json
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar

from sqlalchemy import update

from schedy.search.definition import as_observation
from schedy.wire.answers import HeartbeatAnswer, JobNotice, ReportAnswer
from schedy.wire.base import CRASHED, DONE, PRUNED, RUNNING
from schedy.wire.reports import (
    Claim,
    Curve,
    Demand,
    Finish,
    Heartbeat,
    HeldJob,
    HeldReport,
    Output,
    Progress,
    Release,
    Report,
)
from schedy.wire.values import Values, dump_values
from schedy_store.lifecycle import transitions
from schedy_store.lifecycle.claims import Claims
from schedy_store.lifecycle.curves import Curves
from schedy_store.lifecycle.effects import Effects, PrunerCall
from schedy_store.lifecycle.job_rows import FORGED, JobRows, is_forged, reason_to_stop, state_of, why_to_stop
from schedy_store.lifecycle.outputs import Outputs
from schedy_store.lifecycle.transitions import JobState, Verdict
from schedy_store.lifecycle.workers import Workers
from schedy_store.schema.engine import Transaction
from schedy_store.schema.rows import JobRow
from schedy_store.schema.tables import Experiment

_HeldReport = Progress | Curve | Output | Finish | Release


class Reports:
    """Applies reports within one transaction. `user` is the broker's user that sent one, None if it does not say."""

    def __init__(self, transaction: Transaction, *, lease_seconds: float, max_releases: int) -> None:
        self._transaction = transaction
        self._now = transaction.now
        self._max_releases = max_releases
        self._rows = JobRows(transaction, lease_seconds=lease_seconds)
        self._journal = self._rows.journal
        self._workers = Workers(transaction)
        self._curves = Curves(transaction)
        self._outputs = Outputs(transaction)
        self._claims = Claims(transaction, self._rows, self._workers, lease_seconds=lease_seconds)

    def apply(self, report: Report[Any], user: str | None = None) -> Effects:
        """Apply a report; one that arrives twice changes nothing the second time."""
        return self._APPLY[type(report)](self, report, user)

    def read_ahead(self, reports: Iterable[Report[Any]]) -> None:
        """Read what reports that are to be applied are about, together."""
        jobs: list[tuple[str, str]] = []
        workers: set[str] = set()
        for report in _with_claims(reports):
            if isinstance(report, Claim | Heartbeat):
                workers.add(report.worker.uid)
            if isinstance(report, Claim | HeldReport):
                jobs.append((report.experiment_uid, report.job_id))
            elif isinstance(report, Heartbeat):
                jobs += [(held.experiment_uid, held.job_id) for held in report.held]
        self._rows.read_ahead(jobs)
        self._workers.read_ahead(workers)

    def _claim(self, message: Claim, user: str | None) -> Effects:
        return self._claims.claim(message, user)

    def _demand(self, message: Demand, _user: str | None) -> Effects:
        return self._claims.demand(message)

    def _finish(self, message: Finish, user: str | None) -> Effects:
        effects = self._report(message, user)
        if message.then is not None:
            effects.add_claim(self._claim(message.then, user))
        return effects

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
        self._add_content(row, message)
        if verdict.state.status == RUNNING:
            self._progressed(row, verdict.state, message)
            if isinstance(message, Curve | Progress) and row.prunes:
                effects.pruning = PrunerCall(row.experiment_pk, row.pk, message.token)
        elif verdict.state.is_final:
            self._ended(row, verdict.state, message, effects)
        else:
            self._given_back(row, verdict.state, message, effects)
        effects.answer = ReportAnswer(
            accepted=True,
            revision=row.revision + 1,
            at=self._now,
            status=verdict.state.status,
            stop=why_to_stop(row),
        )
        return effects

    def _add_content(self, row: JobRow, message: _HeldReport) -> None:
        """Store what a report has for the current attempt beside results."""
        if isinstance(message, Progress | Curve | Finish):
            self._curves.add(row, message.points)
        if isinstance(message, Output):
            self._outputs.add(row, message)
        if isinstance(message, Finish) and message.traceback is not None:
            self._outputs.add_traceback(row, message.traceback)

    def _judge(self, row: JobRow, message: _HeldReport, user: str | None) -> Verdict:
        job, terms = state_of(row), self._rows.terms(row)
        if is_forged(row, message.token, user):
            return Verdict(job, False, FORGED)
        match message:
            case Progress() | Curve():
                return transitions.progress(job, terms, message.token, message.sequence, self._now)
            case Output():
                return transitions.output(job, terms, message.token, message.sequence, self._now)
            case Finish():
                return transitions.finish(job, terms, message.token, message.sequence, message.status)
            case Release():
                return transitions.release(
                    job, terms, message.token, message.sequence, self._max_releases, begun=message.begun
                )

    def _put(self, row: JobRow, message: _HeldReport) -> dict[str, Any]:
        """Return the columns with the results and quality of a report."""
        if isinstance(message, Release | Curve | Output):
            return {}
        return self._rows.reported(row, message.results, message.quality)

    def _put_last(self, row: JobRow, state: JobState, message: _HeldReport) -> dict[str, Any]:
        """Return the columns at the end: without a value of the only objective, the quality is the last of the curve.

        A job that was not pruned and has none has no quality, unless its user set one: 0 may be the best.
        """
        values = self._put(row, message)
        objectives = json.loads(row.objectives)
        if len(objectives) == 1 and isinstance(message, Finish):
            is_observed = as_observation(message.results.get(objectives[0])) is not None
            if not is_observed and message.quality == 0.0:
                last = self._curves.last(row, objectives[0]) if state.status == PRUNED else None
                values["quality"] = math.nan if last is None else last
        return values

    def _progressed(self, row: JobRow, state: JobState, message: _HeldReport) -> None:
        if isinstance(message, Output):
            self._rows.move(row, state, heard_at=self._now)
            return
        self._rows.move(row, state, heard_at=self._now, reported_at=self._now, **self._put(row, message))
        if isinstance(message, Progress | Curve):
            self._journal.reported(row, message)

    def _ended(self, row: JobRow, state: JobState, message: _HeldReport, effects: Effects) -> None:
        self._rows.end(row, state, error=_error(row, state, message), **self._put_last(row, state, message))
        if state.status == DONE and isinstance(message, Finish):
            self._note_unobserved(row, message.results, effects)
        effects.job_moved(row)
        self._workers.count(row.worker_pk, "crashed" if state.status == CRASHED else "done")
        if state.status != DONE:
            effects.log.append(f"{row.experiment_name}: job {row.job_id} is {state.status} ({row.worker})")

    def _note_unobserved(self, row: JobRow, results: Values, effects: Effects) -> None:
        """Note that a DONE job lacks an objective; the search goes on without it."""
        faults = [fault for name in json.loads(row.objectives) if (fault := _unobserved(name, results))]
        if faults:
            problem = f"Job {row.job_id} is DONE, but its result {faults[0]}. The search does not learn from it."
            noted = update(Experiment).where(Experiment.pk == row.experiment_pk).values(problem=problem)
            self._transaction.sql.execute(noted)
            self._journal.of_job(row, "unobserved", problem, worker=row.worker, attempt=row.attempt)
            effects.log.append(f"{row.experiment_name}: {problem}")

    def _given_back(self, row: JobRow, state: JobState, message: _HeldReport, effects: Effects) -> None:
        why = _why_given_back(row, state, message)
        self._journal.of_job(row, "released", why, worker=row.worker, attempt=row.attempt)
        left = dump_values(message.results) if isinstance(message, Progress | Finish) else row.results
        self._rows.queue_again(row, state, left)
        if state.attempt < row.attempt:
            self._outputs.forget_attempt(row)
            if self._curves.forget_attempt(row) and row.prunes:
                self._rows.rewrite(row.experiment_pk)
        effects.job_moved(row)
        effects.tickets_wanted.add(row.experiment_pk)
        effects.log.append(f"{row.experiment_name}: job {row.job_id} was given back by {row.worker}. {why}")

    def _refused(self, row: JobRow, message: _HeldReport, verdict: Verdict) -> Effects:
        effects = Effects(ReportAnswer(accepted=False, reason=verdict.reason))
        if isinstance(message, Release):
            return effects  # nothing is lost: claims are given up whether they were granted or not
        worker = self._journal.worker_of(row, message.token)
        unknown = "" if worker else " Nobody has claimed the job under its token."
        detail = f"A {message.kind} report was refused: {verdict.reason}{unknown}"
        self._note_again(row, "refused", detail, token=message.token, worker=worker)
        effects.log.append(f"{row.experiment_name}: job {row.job_id}: {detail}")
        return effects

    def _of_deleted(self, message: _HeldReport) -> Effects:
        reason = self._rows.why_unknown(message.experiment_uid, message.job_id)
        detail = f"A {message.kind} report on job {message.job_id} was refused: {reason}"
        experiment_pk = self._rows.experiment_pk(message.experiment_uid)
        if experiment_pk is not None and not isinstance(message, Release):
            self._journal.again(experiment_pk, message.job_id, "refused", detail, token=message.token, worker=None)
        return Effects(ReportAnswer(accepted=False, reason=reason), log=[detail])

    def _note_again(
        self, row: JobRow, kind: str, detail: str, *, token: str, worker: str | None, attempt: int | None = None
    ) -> None:
        self._journal.again(row.experiment_pk, row.job_id, kind, detail, token=token, worker=worker, attempt=attempt)

    def _heartbeat(self, message: Heartbeat, user: str | None) -> Effects:
        self._workers.heard(message)
        answer = HeartbeatAnswer(lost=[], stopped=[])
        for held in message.held:
            row = self._rows.find(held.experiment_uid, held.job_id)
            if row is None:
                reason = self._rows.why_unknown(held.experiment_uid, held.job_id)
                answer.lost.append(JobNotice(token=held.token, reason=reason))
            else:
                self._beat(row, held, user, answer)
        return Effects(answer)

    def _beat(self, row: JobRow, held: HeldJob, user: str | None, answer: HeartbeatAnswer) -> None:
        verdict = transitions.heartbeat(state_of(row), self._rows.terms(row), held.token, self._now)
        if is_forged(row, held.token, user):
            answer.lost.append(JobNotice(token=held.token, reason=FORGED))
        elif verdict.accepted:
            self._rows.move(row, verdict.state, heard_at=self._now)
            if verdict.state.stop:
                answer.stopped.append(JobNotice(token=held.token, reason=reason_to_stop(verdict.state.stop, row)))
        elif row.token != held.token:
            answer.lost.append(JobNotice(token=held.token, reason=verdict.reason))

    _APPLY: ClassVar[dict[type[Report[Any]], Callable[["Reports", Any, str | None], Effects]]] = {
        Claim: _claim,
        Heartbeat: _heartbeat,
        Demand: _demand,
        Progress: _report,
        Curve: _report,
        Output: _report,
        Finish: _finish,
        Release: _report,
    }


def _with_claims(reports: Iterable[Report[Any]]) -> Iterator[Report[Any]]:
    for report in reports:
        yield report
        if isinstance(report, Finish) and report.then is not None:
            yield report.then


def _unobserved(objective: str, results: Values) -> str | None:
    """Return the fault of the results of a job in an objective, None if they have a number."""
    if objective not in results:
        return f"{objective!r} is missing"
    if as_observation(results[objective]) is not None:
        return None
    return f"{objective!r} is {'NaN' if isinstance(results[objective], float) else 'no number'}"


def _error(row: JobRow, state: JobState, message: _HeldReport) -> str | None:
    """Return the error of a job that a report ends."""
    if row.stop is not None and row.stop != "cancelled":
        return reason_to_stop(row.stop, row)
    if isinstance(message, Release):
        return f"given back {_times(state)}" if state.status == CRASHED else None
    return message.error if isinstance(message, Finish) else None


def _why_given_back(row: JobRow, state: JobState, message: _HeldReport) -> str:
    if isinstance(message, Release) and not message.begun:
        return "The worker gave the job back before it began."
    if row.stop is not None:
        return f"To be tried again: {why_to_stop(row)}"
    return f"The worker gave the job back ({_times(state)})." if state.releases > 1 else "The worker gave the job back."


def _times(state: JobState) -> str:
    """Return in words how often a job was given back."""
    return f"{state.releases} times in a row without a report"
