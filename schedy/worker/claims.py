"""Claims of jobs by their ids; `taker` makes those by tickets."""

import uuid

from schedy.errors import UnsafeUpdateError
from schedy.settings import Settings
from schedy.wire.base import Worker
from schedy.wire.records import JobRecord
from schedy.wire.reports import Claim
from schedy.worker.calls import Calls
from schedy.worker.holds import Hold
from schedy.worker.leases import Leases


def new_hold(experiment_uid: str, job_id: str) -> Hold:
    """Return the hold under which a job is to be claimed."""
    return Hold(experiment_uid, job_id, uuid.uuid4().hex)


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

    def claim(self, hold: Hold) -> JobRecord:
        """Claim a job. Raises UnsafeUpdateError if it is denied."""
        claim = Claim(
            experiment_uid=hold.experiment_uid,
            job_id=hold.job_id,
            token=hold.token,
            worker=self._worker,
            by_ticket=False,
        )
        call = self._calls.call(claim, resend_seconds=self._settings.claim_retry_seconds)
        try:
            answer = self._calls.wait(claim, call, patience_seconds=self._settings.claim_patience_seconds)
        finally:
            self._calls.cancel(call)
        if answer.job is None or not answer.granted:
            if call.times_sent > 1:
                self._leases.release(hold)  # sent again, it may have been granted after this answer
            raise UnsafeUpdateError(f"Job {hold.job_id} cannot be run here: {answer.reason}")
        hold.lease_seconds = answer.lease_seconds
        self._leases.hold(hold)
        return answer.job
