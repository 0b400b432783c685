"""Pulling a job: waiting for a grant, and asking a search for jobs where no ticket is there."""

import contextlib
import logging
import math
import time
from collections.abc import Callable
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import TypeVar

from schedy.errors import (
    BrokerError,
    BrokerUnreachableError,
    NoJobError,
    NotFoundError,
    ServiceUnavailableError,
    StopTimeError,
)
from schedy.wire.answers import DemandAnswer
from schedy.wire.records import JobRecord, search_failure
from schedy.wire.reports import Demand
from schedy.worker.call_table import closed_error
from schedy.worker.holds import Hold
from schedy.worker.session import Session
from schedy.worker.signals import end_if_stopped
from schedy.worker.taker import Foreign, Taken, Taker
from schedy.worker.ticket_claims import Granted
from schedy.worker.tickets import QueueMissingError, TakingStoppedError

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
    taker: Taker,
    make_job: Callable[[JobRecord, Hold], J],
    *,
    experiment_name: str,
    makes_jobs: bool,
    deadline: float,
) -> J:
    """Take the next job of an experiment; one that `makes_jobs` is asked for one where nothing is queued.

    Returns what `make_job` makes of it. If anything is raised, the caller closes the taker, which gives back what was
    taken. `deadline` is by `time.monotonic`, infinity for none. Raises NoJobError when no job is left in time,
    StopTimeError near the worker's stop time, ExperimentRemovedError, UnhealthyWorkerError, and as `end_if_stopped`.
    """
    end_if_stopped()
    session.crash_loop.check()
    session.deliver_kept()
    session.leases.join()
    stop_at = _stop_at(session, experiment_name)
    try:
        granted = _Pull(session, taker, experiment_name, makes_jobs, min(deadline, stop_at)).granted()
    except NoJobError:
        _stop_at(session, experiment_name)
        raise
    end_if_stopped()
    job = make_job(granted.record, granted.hold)
    taker.given = None
    return job


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

    def __init__(self, session: Session, taker: Taker, experiment_name: str, makes_jobs: bool, deadline: float) -> None:
        self._session = session
        self._taker = taker
        self._experiment_name = experiment_name
        self._makes_jobs = makes_jobs
        self._deadline = deadline
        self._patience_seconds = session.settings.claim_patience_seconds
        self._queue_missing_since: float | None = None
        self._is_near = False
        """True if the search has a job for us, or is making one: its ticket is waited for beyond the deadline."""
        self._wait_seconds = 0.0 if makes_jobs else math.inf
        """Longest wait for a ticket before the search is asked."""

    def granted(self) -> Granted:
        """Return the first job whose claim is granted. Raises NoJobError."""
        while True:
            try:
                taken = self._take()
            except QueueMissingError:
                self._wait_for_queue()
                continue
            except TakingStoppedError:
                end_if_stopped()
                raise
            if isinstance(taken, Granted):
                return taken
            if taken is None:
                self._ask_search()
            else:
                self._check_still_there(taken)

    def _take(self) -> Taken | None:
        """Wait for a job as long as is right now; None if there is none. Raises BrokerError and what a claim raises."""
        wait_seconds = self._wait_seconds
        if not self._is_near:
            wait_seconds = min(wait_seconds, max(0.0, self._deadline - time.monotonic()))
        patience_ends = time.monotonic() + self._patience_seconds
        if not self._session.calls.connection.is_alive:
            raise closed_error()
        ask = self._taker.ask(waits=wait_seconds > 0)
        if wait_seconds > 0:
            with contextlib.suppress(FutureTimeoutError):
                return self._heard(ask.result.result(None if math.isinf(wait_seconds) else wait_seconds))
            self._taker.end_wait(ask)
        is_cut = self._session.calls.last_error is not None and not self._taker.is_claiming()
        patience_seconds = max(0.0, patience_ends - time.monotonic()) if is_cut else self._patience_seconds
        try:
            return self._heard(ask.result.result(patience_seconds))
        except FutureTimeoutError:
            raise self._why_silent() from None

    def _heard(self, taken: Taken | None) -> Taken | None:
        self._queue_missing_since = None
        return taken

    def _why_silent(self) -> Exception:
        calls = self._session.calls
        if calls.last_error is not None or self._taker.is_claiming():
            return calls.why_silent()
        return BrokerUnreachableError("RabbitMQ does not answer. Is it overloaded or out of memory?")

    def _wait_for_queue(self) -> None:
        """Leave the service time to make the queue. Raises NoJobError if the experiment is done or deleted."""
        self._queue_missing_since = self._queue_missing_since or time.monotonic()
        record = self._session.experiment_record(uid=self._taker.experiment_uid)
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
                Demand(
                    experiment_uid=self._taker.experiment_uid,
                    worker=self._session.worker,
                    wait_id=self._taker.wait_id,
                ),
                patience_seconds=self._patience_seconds,
                resend_seconds=self._session.settings.claim_retry_seconds,
            )
        except NotFoundError:
            raise ExperimentRemovedError from None
        except (ServiceUnavailableError, BrokerError):
            if time.monotonic() >= self._deadline:
                raise
            return _NO_SEARCH

    def _check_still_there(self, foreign: Foreign) -> None:
        """Raise ExperimentRemovedError if another experiment has the name and queue of ours now.

        Else the ticket is one of an experiment before ours, and is of no use any more.
        """
        if self._session.experiment_record(uid=self._taker.experiment_uid) is None:
            raise ExperimentRemovedError
        foreign.ticket.ack()
        self._taker.given = None
