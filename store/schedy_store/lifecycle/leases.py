"""Leases: what a tick judges, jobs whose workers are lost and jobs that run for too long."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Double, bindparam, update

from schedy.search.algorithms import MANUAL
from schedy.wire.stopping import Stop
from schedy_store.lifecycle import transitions
from schedy_store.lifecycle.effects import Effects
from schedy_store.lifecycle.job_rows import JobRows, reason_to_stop, state_of
from schedy_store.lifecycle.transitions import Verdict
from schedy_store.lifecycle.workers import Workers
from schedy_store.schema.column_types import After
from schedy_store.schema.engine import Transaction
from schedy_store.schema.rows import JobRow
from schedy_store.schema.tables import Experiment, Job, Worker

_LOST = "lost"
"""Instead of the token in `behind`: its worker was lost before it had ended that job."""
_GAP = bindparam("gap", type_=Double)
_RENEW_JOBS = (
    update(Job)
    .where(Job.status == "RUNNING")
    .values(
        lease_until=bindparam("until"),
        timed_from=After(Job.timed_from, _GAP),
        reported_at=After(Job.reported_at, _GAP),
        heard_at=After(Job.heard_at, _GAP),
        revision=Job.revision + 1,
    )
)
_RENEW_SEARCHES = (
    update(Experiment).where(Experiment.scheduler != MANUAL).values(timed_from=After(Experiment.timed_from, _GAP))
)
_RENEW_WORKERS = update(Worker).where(Worker.state != "ended").values(heard_at=After(Worker.heard_at, _GAP))


class Leases:
    """Judges leases and timeouts within one transaction."""

    def __init__(self, transaction: Transaction, *, lease_seconds: float) -> None:
        self._transaction = transaction
        self._now = transaction.now
        self._lease = timedelta(seconds=lease_seconds)
        self._rows = JobRows(transaction, lease_seconds=lease_seconds)
        self._journal = self._rows.journal
        self._workers = Workers(transaction)

    def expire(self, limit: int) -> Effects:
        """Take jobs from workers whose leases are over; at most `limit` at a time."""
        effects = Effects()
        self._judge(self._rows.with_lease_over(limit), effects)
        return effects

    def judged(self, row: JobRow, effects: Effects) -> JobRow:
        """Judge the lease of a job; return the row as it is then."""
        if row.lease_until is None or row.lease_until > self._now:
            return row
        self._judge([row], effects)
        return self._rows.again(row)

    def _judge(self, rows: Sequence[JobRow], effects: Effects) -> None:
        unbegun = self._unbegun(rows)
        lost: list[str] = []
        for row in rows:
            begun = row.pk not in unbegun
            verdict = transitions.expire(state_of(row), self._rows.terms(row), self._now, begun=begun)
            if verdict.accepted:
                self._lose(row, verdict, effects)
                lost.append(row.token or "")
        for behind in self._rows.running_behind(lost) if lost else []:
            self._rows.move(behind, state_of(behind), behind=_LOST)

    def _unbegun(self, rows: Sequence[JobRow]) -> set[int]:
        """Return those, by primary key, that wait behind a job which runs, or was lost before it had ended."""
        ahead = {row.pk: row.behind for row in rows if row.behind is not None}
        if not ahead:
            return set()
        unended = {_LOST, *self._rows.running_tokens(ahead.values())}
        return {pk for pk, front in ahead.items() if front in unended}

    def stop_overdue(self, limit: int) -> Effects:
        """Tell the workers of jobs that exceed a timeout to stop; at most `limit` at a time."""
        effects = Effects()
        for row, stop in self._rows.overdue(limit):
            self._stop(row, stop, effects)
        return effects

    def renew(self, *, unmeasured: timedelta) -> None:
        """Give every running job a whole lease: no worker loses a job because no service listened.

        `unmeasured` is how far the database's clock has gone while no service measured the time, or was set back. No
        timer counts that: of jobs, of searches, or of the silence of workers.
        """
        gap = {"gap": unmeasured.total_seconds()}
        self._transaction.sql.execute(_RENEW_JOBS, {"until": self._now + self._lease, **gap})
        self._transaction.sql.execute(_RENEW_SEARCHES, gap)
        self._transaction.sql.execute(_RENEW_WORKERS, gap)

    def _stop(self, row: JobRow, stop: Stop, effects: Effects) -> None:
        verdict = transitions.overdue(state_of(row), self._rows.terms(row), stop, self._now)
        if verdict.accepted:
            self._rows.move(row, verdict.state)
            detail = f"The worker is to stop: {reason_to_stop(stop, row)}"
            self._journal.of_job(row, "stopping", detail, worker=row.worker, attempt=row.attempt)
            effects.log.append(f"{row.experiment_name}: job {row.job_id}: {detail} ({row.worker})")

    def _lose(self, row: JobRow, verdict: Verdict, effects: Effects) -> None:
        """Write what the end of a lease means."""
        seconds = f"{self._lease.total_seconds():g} s"
        detail = f"No sign of life for {seconds}: {verdict.reason}."
        if row.stop is not None:
            detail = f"It did not stop within {seconds}: {reason_to_stop(row.stop, row)}"
        self._journal.of_job(row, "lost", detail, worker=row.worker, attempt=row.attempt, token=row.token)
        self._workers.count(row.worker_pk, "lost")
        after = "is queued again"
        if verdict.state.is_final:
            after = f"is {verdict.state.status}"
            self._rows.end(row, verdict.state, error=self._error_of_lost(row, verdict))
        elif verdict.state.token is None:
            self._rows.queue_again(row, verdict.state, row.results)
        else:
            self._rows.move(row, verdict.state)
        effects.job_moved(row)
        effects.tickets_wanted.add(row.experiment_pk)
        effects.log.append(
            f"{row.experiment_name}: job {row.job_id} {after}, lease ran out, attempt {row.attempt} ({row.worker})"
        )

    def _error_of_lost(self, row: JobRow, verdict: Verdict) -> str | None:
        """Return the error of a job that ends with the loss of its worker."""
        if row.stop is None:
            return f"{verdict.reason} (on {', '.join(self._journal.hosts_lost(row))})"
        return None if row.stop == "cancelled" else reason_to_stop(row.stop, row)
