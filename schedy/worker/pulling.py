"""Pulling a job: taking tickets, and asking a search for jobs, until a claim is granted."""

import logging
import math
import time
import uuid
from collections.abc import Callable
from typing import TypeVar

from schedy.errors import BrokerError, NoJobError, NotFoundError, ServiceUnavailableError, StopTimeError
from schedy.wire import names
from schedy.wire.answers import DemandAnswer
from schedy.wire.codec import decode_ticket
from schedy.wire.records import JobRecord, search_failure
from schedy.wire.reports import Demand
from schedy.wire.service import Ticket
from schedy.wire.versions import UndecodableError
from schedy.worker.claims import new_hold
from schedy.worker.holds import Hold
from schedy.worker.session import Session
from schedy.worker.signals import end_if_stopped
from schedy.worker.tickets import HeldTicket, QueueMissingError, Taking, TakingStoppedError

J = TypeVar("J")

_log = logging.getLogger(__name__)

_DEMAND_SECONDS = 10.0
"""A worker that waits for a job asks the search again after this."""
_NEAR_SECONDS = 0.2
"""A job that is there, and whose ticket did not come at once, is looked for again after this."""
_QUEUE_PAUSE_SECONDS = 0.2
_QUEUE_PATIENCE_SECONDS = 3.0
_NO_SEARCH = DemandAnswer(there=False)


class ExperimentRemovedError(Exception):
    """The experiment of a pull is not there any more; another may have its name."""


def pull(
    session: Session,
    make_job: Callable[[JobRecord, Hold], J],
    *,
    experiment_name: str,
    experiment_uid: str,
    makes_jobs: bool,
    deadline: float,
) -> J:
    """Claim the next job of an experiment; one that `makes_jobs` is asked for one where nothing is queued.

    Returns what `make_job` makes of it: until then, whatever ends the pull gives the job and its ticket back.
    `deadline` is by `time.monotonic`, infinity for none. Raises NoJobError when no job is left in time, StopTimeError
    near the worker's stop time, ExperimentRemovedError, UnhealthyWorkerError, and as `end_if_stopped`.
    """
    end_if_stopped()
    session.crash_loop.check()
    session.deliver_kept()
    session.leases.join()
    stop_at = _stop_at(session, experiment_name)
    try:
        return _Pull(session, experiment_name, experiment_uid, makes_jobs, min(deadline, stop_at)).run(make_job)
    except NoJobError:
        _stop_at(session, experiment_name)
        raise


def _stop_at(session: Session, experiment_name: str) -> float:
    """Return when the worker stops taking jobs, infinity for never. Raises StopTimeError when that is over."""
    stop_after = session.settings.stop_after_seconds
    if not stop_after:
        return math.inf
    stop_at = session.started + stop_after - session.settings.stop_margin_seconds
    if time.monotonic() >= stop_at:
        raise StopTimeError(experiment_name, stop_after)
    return stop_at


class _Pull:
    """One pull. Lives in the thread that wants the job."""

    def __init__(
        self, session: Session, experiment_name: str, experiment_uid: str, makes_jobs: bool, deadline: float
    ) -> None:
        self._session = session
        self._experiment_name = experiment_name
        self._experiment_uid = experiment_uid
        self._makes_jobs = makes_jobs
        self._deadline = deadline
        self._patience_seconds = session.settings.claim_patience_seconds
        self._demand = Demand(experiment_uid=experiment_uid, worker=session.worker, wait_id=uuid.uuid4().hex)
        self._queue_missing_since: float | None = None
        self._is_near = False
        """True if the search has a job for us, or is making one: its ticket is waited for beyond the deadline."""
        self._wait_seconds = 0.0 if makes_jobs else math.inf
        """Longest wait for a ticket before the search is asked."""
        self._taking = Taking()
        self._hold: Hold | None = None
        """The job that is claimed."""

    def run(self, make_job: Callable[[JobRecord, Hold], J]) -> J:
        """Make a job of the first one whose claim is granted. Raises NoJobError."""
        try:
            job = make_job(*self._granted())
            self._hold, self._taking = None, Taking()
            return job
        except BaseException:
            self._give_back()
            raise

    def _give_back(self) -> None:
        """Give back the job that was claimed, and a ticket that was not used."""
        if self._hold is not None:
            if not self._hold.claimed:
                self._hold.ticket = None
            self._session.leases.release(self._hold)
        self._session.tickets.abandon(self._taking)

    def _granted(self) -> tuple[JobRecord, Hold]:
        while True:
            try:
                ticket = self._take_ticket()
            except QueueMissingError:
                self._wait_for_queue()
                continue
            except TakingStoppedError:
                end_if_stopped()
                raise
            if ticket is None:
                self._ask_search()
                continue
            record = self._claim(ticket)
            if record is not None and self._hold is not None:
                return record, self._hold

    def _take_ticket(self) -> HeldTicket | None:
        wait_seconds = self._wait_seconds
        if not self._is_near:
            wait_seconds = min(wait_seconds, max(0.0, self._deadline - time.monotonic()))
        ticket = self._session.tickets.take(
            names.jobs_queue(self._experiment_name),
            self._taking,
            wait_seconds=_finite(wait_seconds),
            patience_seconds=self._patience_seconds,
        )
        self._queue_missing_since = None
        return ticket

    def _wait_for_queue(self) -> None:
        """Leave the service time to make the queue. Raises NoJobError if the experiment is done or deleted."""
        self._queue_missing_since = self._queue_missing_since or time.monotonic()
        record = self._session.experiment_record(uid=self._experiment_uid)
        if record is None:
            raise ExperimentRemovedError
        if record.status != "RUNNING":
            raise NoJobError(self._experiment_name, search_failure(record.search_end))
        if time.monotonic() > max(self._deadline, self._queue_missing_since + _QUEUE_PATIENCE_SECONDS):
            raise NoJobError(self._experiment_name)
        time.sleep(_QUEUE_PAUSE_SECONDS)

    def _ask_search(self) -> None:
        """Decide how long to wait for the next ticket. Raises NoJobError after the deadline if no job is near."""
        answer = self._search_answer() if self._makes_jobs else _NO_SEARCH
        now = time.monotonic()
        was_near = self._is_near
        self._is_near = (answer.there or answer.coming) and now < self._deadline + self._patience_seconds
        if not self._is_near:
            self._wait_seconds = _DEMAND_SECONDS
            if now >= self._deadline:
                raise NoJobError(self._experiment_name, search_failure(answer.reason))
        else:
            self._wait_seconds = _NEAR_SECONDS if was_near else 0.0

    def _search_answer(self) -> DemandAnswer:
        """Ask the experiment's search for a job; while the service is away, a worker with time left goes on waiting."""
        try:
            return self._session.calls.ask(
                self._demand,
                patience_seconds=self._patience_seconds,
                resend_seconds=self._session.settings.claim_retry_seconds,
            )
        except NotFoundError:
            raise ExperimentRemovedError from None
        except (ServiceUnavailableError, BrokerError):
            if time.monotonic() >= self._deadline:
                raise
            return _NO_SEARCH

    def _claim(self, held: HeldTicket) -> JobRecord | None:
        """Claim the job of a ticket; None if it is denied."""
        ticket = _readable(held)
        if ticket is None:
            return None
        self._check_same_experiment(ticket)
        end_if_stopped()
        self._hold = new_hold(ticket.experiment_uid, ticket.job_id, held)
        record = self._session.claims.by_ticket(
            self._hold,
            wait_id=self._demand.wait_id,
            patience_seconds=_finite(max(self._deadline - time.monotonic(), self._patience_seconds)),
        )
        if record is None:
            self._hold = None
            held.ack()
        else:
            held.ack_later(self._session.settings.ticket_hold_seconds)
        return record

    def _check_same_experiment(self, ticket: Ticket) -> None:
        """Raise ExperimentRemovedError if another experiment has the name and queue of ours now."""
        other = ticket.experiment_uid != self._experiment_uid
        if other and self._session.experiment_record(uid=self._experiment_uid) is None:
            raise ExperimentRemovedError


def _finite(seconds: float) -> float | None:
    """Return the seconds, None for infinity."""
    return None if math.isinf(seconds) else seconds


def _readable(held: HeldTicket) -> Ticket | None:
    """Return the content of a ticket; None, and the ticket is discarded, if it cannot be read."""
    try:
        return decode_ticket(held.body)
    except UndecodableError as error:
        _log.warning("A ticket that cannot be read goes to %s: %s", names.DEAD_QUEUE, error)
        held.discard()
        return None
