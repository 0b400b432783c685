"""Claims of workers, and their demands for jobs that a search has not made yet."""

from datetime import timedelta
from typing import Any

from sqlalchemy import bindparam, select

from schedy.search.algorithms import MANUAL
from schedy.wire.answers import ClaimAnswer, DemandAnswer, Refusal
from schedy.wire.records import JobRecord
from schedy.wire.reports import Claim, Demand
from schedy.wire.values import load_values
from schedy_store.lifecycle import transitions
from schedy_store.lifecycle.effects import ClaimedTicket, Effects, WaitingWorker
from schedy_store.lifecycle.job_rows import FORGED, JobRows, is_forged, state_of
from schedy_store.lifecycle.leases import Leases
from schedy_store.lifecycle.transitions import JobState, Verdict
from schedy_store.lifecycle.workers import Workers
from schedy_store.schema.engine import Transaction
from schedy_store.schema.records import job_record
from schedy_store.schema.rows import JobRow
from schedy_store.schema.tables import Experiment

_EXPERIMENT = select(Experiment.pk, Experiment.scheduler).where(Experiment.uid == bindparam("uid_is"))


class Claims:
    """Judges claims, by `transitions`, within one transaction."""

    def __init__(self, transaction: Transaction, rows: JobRows, workers: Workers, *, lease_seconds: float) -> None:
        self._transaction = transaction
        self._now = transaction.now
        self._lease = timedelta(seconds=lease_seconds)
        self._rows = rows
        self._journal = rows.journal
        self._workers = workers
        self._leases = Leases(transaction, lease_seconds=lease_seconds)

    def claim(self, message: Claim, user: str | None) -> Effects:
        """Answer whether a worker may run a job, and begin an attempt if it may."""
        row = self._rows.find(message.experiment_uid, message.job_id)
        if row is None:
            reason = self._rows.why_unknown(message.experiment_uid, message.job_id)
            return Effects(ClaimAnswer(granted=False, reason=reason))
        effects = Effects()
        if row.token != message.token:
            row = self._leases.judged(row, effects)
        if is_forged(row, message.token, user):
            return self._denied(row, message, Verdict(state_of(row), False, FORGED), effects)
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
        effects.job_moved(row)
        record = record.model_copy(update={"status": verdict.state.status, "attempt": verdict.state.attempt})
        effects.answer = ClaimAnswer.model_construct(
            granted=True, job=record, lease_seconds=self._lease.total_seconds()
        )
        return effects

    def demand(self, message: Demand) -> Effects:
        """Note that a worker waits for a job to be made; the searches answer it."""
        row = self._transaction.sql.execute(_EXPERIMENT, {"uid_is": message.experiment_uid}).one_or_none()
        if row is None:
            return Effects(Refusal(code="not_found", reason="The experiment was removed."))
        if row.scheduler == MANUAL:
            return Effects(DemandAnswer(there=False, reason="nothing is queued."))
        return Effects(touched={row.pk}, waiting=WaitingWorker(row.pk, message.wait_id))

    def _denied(self, row: JobRow, message: Claim, verdict: Verdict, effects: Effects) -> Effects:
        self._rows.move(row, verdict.state)
        if row.token != message.token or verdict.reason == FORGED:
            detail = f"A claim was denied: {verdict.reason}"
            self._journal.again(
                row.experiment_pk, row.job_id, "denied", detail, token=message.token, worker=str(message.worker)
            )
        effects.answer = ClaimAnswer(granted=False, reason=verdict.reason)
        return effects

    def _begin_attempt(self, row: JobRow, state: JobState, message: Claim, user: str | None) -> JobRecord:
        """Start an attempt from what was pushed: nothing of an earlier one is mixed in."""
        worker = str(message.worker)
        begun: dict[str, Any] = {
            **self._rows.fresh_start(row),
            "started_at": self._now,
            "reported_at": self._now,
            "timed_from": self._now,
            "heard_at": self._now,
            "worker": worker,
            "worker_pk": self._workers.pk_of(message.worker),
            "user": user,
            "behind": message.behind,
        }
        self._rows.move(row, state, **begun)
        self._journal.of_job(row, "claimed", "", worker=worker, attempt=state.attempt, token=message.token)
        shown = {
            "started_at": self._now,
            "worker": worker,
            "quality": row.initial_quality,
            "error": None,
            "results": load_values(row.initial_results),
            "previous_results": load_values(begun["previous_results"]),
        }
        return job_record(row).model_copy(update=shown)
