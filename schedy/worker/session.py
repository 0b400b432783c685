"""What one process has with the broker: the connection, the jobs held, the tickets taken."""

import contextlib
import logging
import math
import os
import signal
import socket
import sys
import threading
import time
import uuid
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from pathlib import Path
from types import FrameType
from typing import Any

from schedy.errors import (
    BrokerError,
    NoJobError,
    NotFoundError,
    NotStoredYetError,
    SchedyError,
    ServiceUnavailableError,
    StopTimeError,
    UnsafeUpdateError,
)
from schedy.settings import Settings
from schedy.wire import names
from schedy.wire.answers import ClaimAnswer, DemandAnswer, ReportAnswer, expected
from schedy.wire.base import A, Answer, Worker
from schedy.wire.changes import Change
from schedy.wire.codec import UndecodableError, decode_ticket
from schedy.wire.records import MOST_POINTS, ExperimentRecord, JobRecord, Point
from schedy.wire.reports import Claim, Curve, Demand, Finish, Progress
from schedy.wire.requests import GetExperiments, Request
from schedy.wire.service import Ticket
from schedy.worker.calls import Call, Client
from schedy.worker.crash_loop import CrashLoop
from schedy.worker.leases import Hold, LeaseKeeper
from schedy.worker.tickets import HeldTicket, QueueMissingError, TicketSource

_log = logging.getLogger(__name__)

_ANSWER_SECONDS = 5.0
CHANGE_RESEND_SECONDS = 4.0
"""A change without an answer is sent again: the answer may have been lost with a connection of the service."""
_DEMAND_SECONDS = 10.0
"""A worker that waits for a job says so again after this."""
_NEAR_SECONDS = 0.2
"""A job that is there, and whose ticket did not come at once, is asked for again after this."""
_CURVE_SECONDS = 5.0
_NOTHING = DemandAnswer(there=False)
_QUEUE_PAUSE_SECONDS = 0.2
_QUEUE_PATIENCE_SECONDS = 3.0

_sessions: "weakref.WeakSet[Session]" = weakref.WeakSet()


def this_worker() -> Worker:
    """Return who this process is."""
    program = Path(sys.argv[0]).name if sys.argv and sys.argv[0] else "python"
    printable = "".join(character if character.isprintable() else "?" for character in program[:300])
    host = socket.gethostname()[:300]
    return Worker(host=host, pid=os.getpid(), program=printable or "python", uid=uuid.uuid4().hex)


class Session:
    """One process's dealings with the broker and the results service. Thread-safe; useless in a forked child."""

    def __init__(self, settings: Settings, *, role: str = "worker", began: float | None = None) -> None:
        """`began`: when the worker was started, by `time.monotonic`, for its stop time."""
        self.settings = settings
        self._began = time.monotonic() if began is None else began
        self._crash_loop = CrashLoop(limit=settings.crash_limit, within_seconds=settings.crash_seconds)
        self.pid = os.getpid()
        self.worker = this_worker()
        name = f"schedy {role} {self.worker}"
        self.client = Client(settings, connection_name=name)
        self.leases = LeaseKeeper(self.client, self.worker, lease_seconds=settings.lease_seconds)
        self.tickets = TicketSource(
            self.client.connection, consumer_tag=f"{name} waiting"[:240], last_error=lambda: self.client.last_error
        )
        self.client.listen(on_ready=self._connected, on_lost=self._lost, on_ended=self.tickets.ended)
        self.client.start()
        _sessions.add(self)

    @property
    def is_ours(self) -> bool:
        """Whether this process made the session, rather than inherited it by fork."""
        return os.getpid() == self.pid

    def _connected(self) -> None:
        self.tickets.connected()
        self.leases.connected()

    def _lost(self, error: BrokerError) -> None:
        self.tickets.lost(error)

    def read(self, request: Request[A], *, patience_seconds: float | None = None) -> A:
        """Ask the results service for something; asked again while nothing comes, since reads expire."""
        patience = self.settings.service_wait_seconds if patience_seconds is None else patience_seconds
        return self.client.ask(request, patience_seconds=patience, resend_seconds=self.settings.claim_retry_seconds)

    def change(self, change: Change[A], *, patience_seconds: float | None = None) -> A:
        """Send a change and wait until it is stored. Raises NotStoredYetError if only the broker has it in time."""
        patience = self.settings.service_wait_seconds if patience_seconds is None else patience_seconds
        call = self.client.call(change, resend_seconds=CHANGE_RESEND_SECONDS)
        try:
            return self.client.wait(change, call, patience_seconds=patience)
        except (ServiceUnavailableError, BrokerError) as silent:
            if not call.answer.done() and call.stored.done():
                raise NotStoredYetError(f"The broker has the change, the store will have it later. {silent}") from None
            raise
        finally:
            self.client.cancel(call)

    def experiment_record(self, *, uid: str) -> ExperimentRecord | None:
        """Return the experiment, or None if it is gone."""
        try:
            return self.read(GetExperiments(uid=uid)).experiments[0]
        except NotFoundError:
            return None

    def pull(
        self, experiment_name: str, experiment_uid: str, timeout_seconds: float | None, *, makes_jobs: bool
    ) -> tuple[JobRecord, Hold]:
        """Take tickets until a claim is granted; where nothing is queued, ask an experiment that `makes_jobs` for one.

        Raises NoJobError when none is left in time, StopTimeError near the worker's stop time, and
        UnhealthyWorkerError.
        """
        self._crash_loop.check()
        self.leases.works()
        stop_at = self._stop_at(experiment_name)
        deadlines = [stop_at, None if timeout_seconds is None else time.monotonic() + timeout_seconds]
        deadline = min((found for found in deadlines if found is not None), default=None)
        try:
            return self._pull(experiment_name, experiment_uid, deadline, makes_jobs=makes_jobs)
        except NoJobError:
            self._stop_at(experiment_name)
            raise

    def _stop_at(self, experiment_name: str) -> float | None:
        """From when on no job is taken, None if there is no such time. Raises StopTimeError when it has come."""
        stop_after = self.settings.stop_after_seconds
        if not stop_after:
            return None
        stop_at = self._began + stop_after - self.settings.stop_margin_seconds
        if time.monotonic() >= stop_at:
            raise StopTimeError(experiment_name, stop_after)
        return stop_at

    def _pull(
        self, experiment_name: str, experiment_uid: str, deadline: float | None, *, makes_jobs: bool
    ) -> tuple[JobRecord, Hold]:
        queue = names.jobs_queue(experiment_name)
        queue_missing_since: float | None = None
        demand = Demand(experiment_uid=experiment_uid, worker=self.worker, wait_id=uuid.uuid4().hex)
        wait = 0.0 if makes_jobs else math.inf
        is_near = False
        patience_ends = (deadline or math.inf) + self.settings.claim_patience_seconds
        while True:
            try:
                held = self.tickets.take(
                    queue,
                    wait_seconds=wait if is_near else _remaining(deadline, wait),
                    patience_seconds=self.settings.claim_patience_seconds,
                )
            except QueueMissingError:
                queue_missing_since = queue_missing_since or time.monotonic()
                self._check_still_open(experiment_name, experiment_uid, deadline, queue_missing_since)
                continue
            queue_missing_since = None
            if held is None:
                answer = self._demand(demand, deadline) if makes_jobs else _NOTHING
                now = time.monotonic()
                was_near, is_near = is_near, (answer.there or answer.coming) and now < patience_ends
                if not is_near and deadline is not None and now >= deadline:
                    raise NoJobError(experiment_name)
                wait = (_NEAR_SECONDS if was_near else 0.0) if is_near else _DEMAND_SECONDS
                continue
            granted = self._try_ticket(held, experiment_name, experiment_uid, deadline, wait_id=demand.wait_id)
            if granted is not None:
                return granted

    def _demand(self, demand: Demand, deadline: float | None) -> DemandAnswer:
        """Ask for a job that the search of an experiment makes; while the service is away who waits goes on waiting."""
        try:
            return self.client.ask(
                demand,
                patience_seconds=self.settings.claim_patience_seconds,
                resend_seconds=self.settings.claim_retry_seconds,
            )
        except (ServiceUnavailableError, BrokerError):
            if deadline is not None and time.monotonic() >= deadline:
                raise
            return _NOTHING

    def _check_still_open(
        self, experiment_name: str, experiment_uid: str, deadline: float | None, missing_since: float
    ) -> None:
        """The experiment has no queue: end if it is done or deleted, else leave the service time to make one."""
        record = self.experiment_record(uid=experiment_uid)
        if record is None or record.status != "RUNNING":
            raise NoJobError(experiment_name)
        now = time.monotonic()
        if deadline is not None and now > max(deadline, missing_since + _QUEUE_PATIENCE_SECONDS):
            raise NoJobError(experiment_name)
        time.sleep(_QUEUE_PAUSE_SECONDS)

    def _try_ticket(
        self, held: HeldTicket, experiment_name: str, experiment_uid: str, deadline: float | None, *, wait_id: str
    ) -> tuple[JobRecord, Hold] | None:
        """Claim the job of a ticket; None if it is not to be had. Whatever ends this early gives the ticket back."""
        try:
            ticket = self._read_ticket(held)
            if ticket is None:
                return None
            if ticket.experiment_uid != experiment_uid and self.experiment_record(uid=experiment_uid) is None:
                raise NoJobError(experiment_name)  # another experiment has the name now
            patience = None
            if deadline is not None:
                patience = max(deadline - time.monotonic(), self.settings.claim_patience_seconds)
            hold = Hold(ticket.experiment_uid, ticket.job_id, uuid.uuid4().hex, 0.0, held)
            answer = self._ask_claim(hold, patience, by_ticket=True, wait_id=wait_id)
        except BaseException:
            held.give_up()
            raise
        if not answer.granted or answer.job is None:
            held.ack()
            return None
        held.ack_later(self.settings.ticket_hold_seconds)
        return answer.job, hold

    def _read_ticket(self, held: HeldTicket) -> Ticket | None:
        try:
            return decode_ticket(held.body)
        except UndecodableError as error:
            _log.warning("A ticket that cannot be read goes to %s: %s", names.DEAD_QUEUE, error)
            held.discard()
            return None

    def claim_by_id(self, experiment_uid: str, job_id: str) -> tuple[JobRecord, Hold]:
        """Claim one job. Raises UnsafeUpdateError if it cannot be ours now."""
        hold = Hold(experiment_uid, job_id, uuid.uuid4().hex, 0.0)
        answer = self._ask_claim(hold, self.settings.claim_patience_seconds, by_ticket=False)
        if not answer.granted or answer.job is None:
            raise UnsafeUpdateError(f"Job {job_id} cannot be run here: {answer.reason}")
        return answer.job, hold

    def _ask_claim(
        self, hold: Hold, patience_seconds: float | None, *, by_ticket: bool, wait_id: str | None = None
    ) -> ClaimAnswer:
        """Ask until there is an answer; whoever stops waiting gives the claim up, so that nobody waits for us."""
        claim = Claim(
            experiment_uid=hold.experiment_uid,
            job_id=hold.job_id,
            token=hold.token,
            worker=self.worker,
            by_ticket=by_ticket,
            wait_id=wait_id,
        )
        call: Call | None = None
        try:
            call = self.client.call(claim, resend_seconds=self.settings.claim_retry_seconds)
            answer = self.client.wait(claim, call, patience_seconds=patience_seconds)
            if answer.granted:
                hold.lease_seconds = answer.lease_seconds
                self.leases.hold(hold)
            elif call.times_sent > 1:
                self.leases.release(hold)  # asked again, it may have been granted since, and nobody would run the job
            return answer
        except BaseException:
            if call is not None:
                self.client.cancel(call)
            self.leases.release(hold)
            raise

    def report_point(self, hold: Hold, point: Point) -> None:
        """Send a point of a learning curve, together with others while an answer is outstanding. Does not wait."""
        with hold.lock:
            hold.points.append(point)
            is_answered = time.monotonic() >= hold.curve_due
            if not is_answered and len(hold.points) < MOST_POINTS:
                return
            call = self._send_curve(hold)
        self._await_curve(hold, call)

    def _send_curve(self, hold: Hold) -> Call:
        hold.curve_due = time.monotonic() + _CURVE_SECONDS
        return self.client.call(Curve(**hold.naming(), points=hold.take_points()))

    def _await_curve(self, hold: Hold, call: Call) -> None:
        call.answer.add_done_callback(lambda answer: self._curve_answered(hold, call, answer))

    def _curve_answered(self, hold: Hold, call: Call, answer: "Future[Answer]") -> None:
        hold.curve_due = 0.0
        self.client.cancel(call)
        said = answer.result() if answer.exception() is None else None
        if isinstance(said, ReportAnswer):
            hold.prune = said.prune
            hold.stop = said.stop or hold.stop
            if not said.accepted:
                hold.lost = hold.lost or said.reason
            else:
                self._send_rest_of_curve(hold)

    def _send_rest_of_curve(self, hold: Hold) -> None:
        """Send what was reported while an answer was outstanding: the next report may come in an hour."""
        with hold.lock:
            if not hold.points or not self.leases.keeps(hold):
                return
            call = self._send_curve(hold)
        self._await_curve(hold, call)

    def report(self, hold: Hold, kind: type[Progress] | type[Finish], **said: Any) -> ReportAnswer | None:
        """Send a report; returns when it is durable, with the answer if there is one already.

        Raises UnsafeUpdateError if the service refuses it.

        The service is given a few seconds to refuse; while it is down nobody waits for it.
        """
        with hold.lock:  # reports leave in the order of their numbers
            message = kind(**hold.naming(), points=hold.take_points(), **said)
            call = self.client.call(message)
        if kind is Finish:
            hold.finishing = True
            call.stored.add_done_callback(lambda stored: self._finished(hold, stored))
        try:
            call.stored.result()
            answer = expected(message, call.answer.result(0.0 if self.client.service_is_silent else _ANSWER_SECONDS))
        except FutureTimeoutError:
            self.client.service_is_silent = True
            return None
        finally:
            if call.stored.done():
                self.client.cancel(call)
        if not answer.accepted:
            hold.lost = answer.reason
            raise UnsafeUpdateError(lost_text(hold.job_id, answer.reason))
        hold.stop = answer.stop or hold.stop
        return answer

    def _finished(self, hold: Hold, stored: "Future[None]") -> None:
        """The broker has the finish, or never will: there is no lease to keep any more."""
        self.leases.forget(hold)
        if stored.exception() is None:
            hold.settle()

    def ended(self, hold: Hold, *, error: str | None) -> None:
        """A job was run to its end here; with an error it crashed."""
        after = time.monotonic() - hold.begun
        self._crash_loop.ended(crashed=error is not None, after_seconds=after, error=error or "")
        complaint = self._crash_loop.complaint
        if complaint is not None:
            _log.error("This worker takes no more jobs: %s", complaint)
            self.leases.say("unhealthy", complaint[:300])

    def release(self, hold: Hold) -> None:
        """Give a job back; waits a little for the broker to have that."""
        call = self.leases.release(hold)
        with contextlib.suppress(FutureTimeoutError, SchedyError):
            call.stored.result(self.settings.close_seconds)

    def release_soon(self, hold: Hold) -> None:
        """Give a job back without waiting, as a finaliser must."""
        if self.is_ours:
            self.leases.release_sometime(hold)

    def close_sometime(self) -> None:
        """Close without waiting, for a SchedyDB that nobody has any more."""
        if self.is_ours:
            self.client.connection.run_sometime(self.client.connection.begin_close)

    def close(self) -> None:
        """Give back what is held and close the connection, within `close_seconds`."""
        _sessions.discard(self)
        if self.is_ours:
            self.leases.release_all()
            self.leases.leave()
            self.client.close(self.settings.close_seconds)


def _remaining(deadline: float | None, wait_seconds: float) -> float | None:
    """How long to wait for a ticket: to the deadline, or `wait_seconds` if that is less; None for ever."""
    if deadline is None:
        return None if math.isinf(wait_seconds) else wait_seconds
    return min(max(0.0, deadline - time.monotonic()), wait_seconds)


def lost_text(job_id: str, reason: str) -> str:
    """Return what a worker is told whose job is no longer its own."""
    return (
        f"Job {job_id} is no longer this worker's: {reason} Nothing of this report was stored."
        " Drop what you have and take the next job."
    )


def _close_in_child() -> None:
    for session in list(_sessions):
        session.client.connection.close_in_child()
    _sessions.clear()


os.register_at_fork(after_in_child=_close_in_child)


def install_sigterm_handler() -> None:
    """Make SIGTERM end the process as Ctrl-C does, so that `with` gives its job back.

    Only in the main thread, and only where there is no other handler; in a forked child it acts as the default does.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _sigterm_handler(os.getpid()))


def _sigterm_handler(owner: int) -> Callable[[int, FrameType | None], None]:
    def _handle(number: int, _frame: FrameType | None) -> None:
        if os.getpid() != owner:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        raise SystemExit(128 + number)

    return _handle
