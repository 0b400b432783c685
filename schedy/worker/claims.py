"""Claims: asking the service for the right to run a job."""

import uuid

from schedy.errors import UnsafeUpdateError
from schedy.settings import Settings
from schedy.wire.answers import ClaimAnswer
from schedy.wire.base import Worker
from schedy.wire.records import JobRecord
from schedy.wire.reports import Claim
from schedy.worker.calls import Calls
from schedy.worker.holds import Hold
from schedy.worker.leases import Leases
from schedy.worker.tickets import HeldTicket


def new_hold(experiment_uid: str, job_id: str, ticket: HeldTicket | None = None) -> Hold:
    """Return the hold under which a job is to be claimed."""
    return Hold(experiment_uid, job_id, uuid.uuid4().hex, 0.0, ticket)


class Claims:
    """Claims jobs; a granted one has its lease kept from then on. Any thread may use it.

    Who claims has the hold before, and gives it up by `Leases.release` if anything is raised, Ctrl-C for instance: the
    job may be granted by then, or be granted later.
    """

    def __init__(self, calls: Calls, leases: Leases, worker: Worker, settings: Settings) -> None:
        self._calls = calls
        self._leases = leases
        self._worker = worker
        self._settings = settings

    def by_ticket(self, hold: Hold, *, wait_id: str, patience_seconds: float | None) -> JobRecord | None:
        """Claim the job of a ticket; None if it is denied. `wait_id` is that of the worker's demand."""
        answer = self._ask(hold, patience_seconds, wait_id=wait_id)
        return answer.job if answer.granted else None

    def by_id(self, hold: Hold) -> JobRecord:
        """Claim a job without a ticket. Raises UnsafeUpdateError if it is denied."""
        answer = self._ask(hold, self._settings.claim_patience_seconds)
        if answer.job is None or not answer.granted:
            raise UnsafeUpdateError(f"Job {hold.job_id} cannot be run here: {answer.reason}")
        return answer.job

    def _ask(self, hold: Hold, patience_seconds: float | None, *, wait_id: str | None = None) -> ClaimAnswer:
        """Ask until there is an answer."""
        claim = Claim(
            experiment_uid=hold.experiment_uid,
            job_id=hold.job_id,
            token=hold.token,
            worker=self._worker,
            by_ticket=hold.ticket is not None,
            wait_id=wait_id,
        )
        call = self._calls.call(claim, resend_seconds=self._settings.claim_retry_seconds)
        hold.claimed = True
        try:
            answer = self._calls.wait(claim, call, patience_seconds=patience_seconds)
        finally:
            self._calls.cancel(call)
        if answer.granted:
            hold.lease_seconds = answer.lease_seconds
            self._leases.hold(hold)
        elif call.times_sent > 1:
            self._leases.release(hold)  # sent again, it may have been granted after this answer
        return answer
