"""Claims: asking the service for the right to run a job."""

import uuid
from typing import NamedTuple

from schedy.errors import UnsafeUpdateError
from schedy.settings import Settings
from schedy.wire.answers import ClaimAnswer
from schedy.wire.base import Worker
from schedy.wire.records import JobRecord
from schedy.wire.reports import Claim
from schedy.worker.call_table import Call
from schedy.worker.calls import Calls
from schedy.worker.holds import Hold
from schedy.worker.leases import Leases
from schedy.worker.tickets import HeldTicket


class Claimed(NamedTuple):
    """A job that this process may run."""

    record: JobRecord
    hold: Hold


class Claims:
    """Claims jobs; a granted one has its lease kept from then on. Any thread may use it."""

    def __init__(self, calls: Calls, leases: Leases, worker: Worker, settings: Settings) -> None:
        self._calls = calls
        self._leases = leases
        self._worker = worker
        self._settings = settings

    def by_ticket(
        self,
        ticket: HeldTicket,
        *,
        experiment_uid: str,
        job_id: str,
        wait_id: str,
        patience_seconds: float | None,
    ) -> Claimed | None:
        """Claim the job of a ticket; None if it is denied. `wait_id` is that of the worker's demand."""
        hold = Hold(experiment_uid, job_id, uuid.uuid4().hex, 0.0, ticket)
        answer = self._ask(hold, patience_seconds, wait_id=wait_id)
        return None if answer.job is None or not answer.granted else Claimed(answer.job, hold)

    def by_id(self, experiment_uid: str, job_id: str) -> Claimed:
        """Claim one job by its id. Raises UnsafeUpdateError if it is denied."""
        hold = Hold(experiment_uid, job_id, uuid.uuid4().hex, 0.0)
        answer = self._ask(hold, self._settings.claim_patience_seconds)
        if answer.job is None or not answer.granted:
            raise UnsafeUpdateError(f"Job {job_id} cannot be run here: {answer.reason}")
        return Claimed(answer.job, hold)

    def _ask(self, hold: Hold, patience_seconds: float | None, *, wait_id: str | None = None) -> ClaimAnswer:
        """Ask until there is an answer. Whatever ends the wait early releases the job, which may be granted by now."""
        claim = Claim(
            experiment_uid=hold.experiment_uid,
            job_id=hold.job_id,
            token=hold.token,
            worker=self._worker,
            by_ticket=hold.ticket is not None,
            wait_id=wait_id,
        )
        call: Call | None = None
        try:
            call = self._calls.call(claim, resend_seconds=self._settings.claim_retry_seconds)
            answer = self._calls.wait(claim, call, patience_seconds=patience_seconds)
            if answer.granted:
                hold.lease_seconds = answer.lease_seconds
                self._leases.hold(hold)
            elif call.times_sent > 1:
                self._leases.release(hold)  # sent again, it may have been granted after this answer
            return answer
        except BaseException:
            if call is not None:
                self._calls.cancel(call)
            self._leases.release(hold)
            raise
