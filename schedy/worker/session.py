"""The session of one process: its connection, calls, leases and tickets."""

import atexit
import contextlib
import logging
import os
import threading
import time
from concurrent.futures import Future, wait
from concurrent.futures import TimeoutError as FutureTimeoutError

from schedy.amqp.channel import Outgoing
from schedy.errors import BrokerError, NotFoundError, NotStoredYetError, SchedyError, ServiceUnavailableError
from schedy.settings import Settings
from schedy.wire.base import A
from schedy.wire.changes import Change
from schedy.wire.records import ExperimentRecord
from schedy.wire.requests import GetExperiments, Request
from schedy.worker.calls import Calls
from schedy.worker.claims import Claims
from schedy.worker.crash_loop import CrashLoop
from schedy.worker.curves import Curves
from schedy.worker.holds import Hold
from schedy.worker.leases import Leases
from schedy.worker.outputs import Outputs
from schedy.worker.reports import Reports
from schedy.worker.signals import call_at_stop, close_in_children
from schedy.worker.taker import Taker
from schedy.worker.ticket_claims import Taking
from schedy.worker.tickets import TicketChannels
from schedy.worker.undelivered import deliver, keep
from schedy.worker.worker_name import this_worker

_log = logging.getLogger(__name__)

CHANGE_RESEND_SECONDS = 4.0
"""A change without an answer is sent again: the answer may have been lost with a connection of the service."""


class Session:
    """All that one process has with the broker and the results service. Any thread may use it; no forked child."""

    def __init__(self, settings: Settings, *, role: str = "worker", started: float | None = None) -> None:
        """Connect in the background, until `close` or the end of the program.

        `started` is when the worker was started, by `time.monotonic`; default: now.
        """
        self.settings = settings
        self.started = time.monotonic() if started is None else started
        self.pid = os.getpid()
        self.worker = this_worker()
        name = f"schedy {role} {self.worker}"
        self.calls = Calls(settings, connection_name=name)
        self.tickets = TicketChannels(self.calls.connection, consumer_tag=f"{name} waiting"[:240])
        self.calls.listen(on_ready=self.tickets.connected, on_lost=self.tickets.lost, on_ended=self.tickets.ended)
        self.leases = Leases(self.calls, self.worker, lease_seconds=settings.lease_seconds)
        self.claims = Claims(self.calls, self.leases, self.worker, settings)
        self.curves = Curves(self.calls, self.leases)
        self.outputs = Outputs(self.calls)
        self.reports = Reports(self.calls, self.leases, self.outputs)
        self.warned_of_unobserved: set[str] = set()
        """Experiments, by uid, with a DONE job from here that lacked an objective."""
        self._has_delivered = False
        self.crash_loop = CrashLoop(limit=settings.crash_limit, within_seconds=settings.crash_seconds)
        close_in_children(self.calls.connection)
        call_at_stop(self.stop_taking)
        atexit.register(self.close)
        self.calls.listen(on_ended=lambda: atexit.unregister(self.close))
        self.calls.start()

    @property
    def is_ours(self) -> bool:
        """True in the process that made the session, False in a fork of it."""
        return os.getpid() == self.pid

    def read(self, request: Request[A], *, patience_seconds: float | None = None) -> A:
        """Ask the results service for something; asked again while nothing comes, since reads expire."""
        patience = self.settings.service_wait_seconds if patience_seconds is None else patience_seconds
        return self.calls.ask(request, patience_seconds=patience, resend_seconds=self.settings.claim_retry_seconds)

    def change(self, change: Change[A], *, patience_seconds: float | None = None) -> A:
        """Send a change and wait until it is stored. Raises NotStoredYetError if only the broker has it in time."""
        patience = self.settings.service_wait_seconds if patience_seconds is None else patience_seconds
        call = self.calls.call(change, resend_seconds=CHANGE_RESEND_SECONDS, patience_seconds=patience)
        try:
            return self.calls.wait(change, call, patience_seconds=patience)
        except (ServiceUnavailableError, BrokerError) as silent:
            if not call.answer.done() and call.is_stored:
                raise NotStoredYetError(f"The broker has the change, the store will have it later. {silent}") from None
            raise
        finally:
            self.calls.cancel(call)

    def experiment_record(self, *, uid: str) -> ExperimentRecord | None:
        """Return the experiment, or None if it is gone."""
        try:
            return self.read(GetExperiments(uid=uid)).experiments[0]
        except NotFoundError:
            return None

    def deliver_kept(self, *, patience_seconds: float = 0.0) -> None:
        """Send, at the first call, the reports that earlier processes could not deliver.

        What is sent later, a claim of one of their jobs above all, is applied after them. Waits for the answers if
        there is patience.
        """
        if self._has_delivered:
            return
        self._has_delivered = True
        answers = [call.answer for call in deliver(self.calls, self.settings)]
        wait(answers, timeout=patience_seconds)

    def count_end(self, hold: Hold, *, error: str | None) -> None:
        """Count a job that was run to its end here, with an error if it crashed: a crash loop stops the worker."""
        after = time.monotonic() - (hold.begun_at or 0.0)
        self.crash_loop.count_end(crashed=error is not None, after_seconds=after, error=error or "")
        finding = self.crash_loop.finding
        if finding is not None:
            if threading.current_thread() is not threading.main_thread():  # where UnhealthyWorkerError prints nothing
                _log.error("This worker takes no more jobs: %s", finding)
            self.leases.show("unhealthy", finding)

    def stop_taking(self) -> None:
        """Let threads that wait for a job end with TakingStoppedError; one that is claiming a job still gets it.

        From anywhere, also from a signal handler.
        """
        self.calls.connection.run(self.tickets.stop)

    def taker(
        self, *, experiment_name: str, experiment_uid: str, prefetch: int = 1, stays: bool = False, ahead: bool = False
    ) -> Taker:
        """Return what takes the jobs of an experiment for one thread."""
        taking = Taking(self.calls, self.leases, self.tickets, self.worker, self.settings)
        return Taker(
            taking,
            experiment_name=experiment_name,
            experiment_uid=experiment_uid,
            prefetch=prefetch,
            stays=stays,
            ahead=ahead,
        )

    def release(self, hold: Hold) -> None:
        """Give a job back; waits a little for the broker to have that."""
        call = self.leases.release(hold)
        with contextlib.suppress(FutureTimeoutError, SchedyError):
            call.stored.result(self.settings.close_seconds)

    def release_soon(self, hold: Hold) -> None:
        """Give a job back without waiting, as a finaliser must."""
        if self.is_ours:
            self.leases.release_soon(hold)

    def close_sometime(self) -> None:
        """Close without waiting, for a SchedyDB that is no longer referenced; `close` may still be called."""
        if self.is_ours:
            self.calls.connection.run(self._begin_close)

    def _begin_close(self) -> None:
        """Give back what is held, and then close. Runs in the I/O thread."""
        self.tickets.end()
        self.leases.release_all()
        self.leases.leave()
        self.calls.connection.run(self._keep_and_close)

    def _keep_and_close(self) -> None:
        self._keep(self.calls.left_by_broker())
        self.calls.send_waiting()
        self.calls.connection.begin_close()

    def _keep(self, left: list[Outgoing]) -> None:
        """Keep the reports among the messages that the broker has not got."""
        keep(self.settings, left)

    def _end_takers(self) -> None:
        ended: Future[None] = Future()

        def _end() -> None:
            self.tickets.end()
            ended.set_result(None)

        if self.calls.connection.is_alive:
            self.calls.connection.run(_end)
            with contextlib.suppress(FutureTimeoutError):
                ended.result(self.settings.close_seconds)

    def close(self) -> None:
        """Give back what is held and close the connection, within `close_seconds`; keep reports that were not sent."""
        if self.is_ours:
            self._end_takers()
            self.leases.release_all()
            self.leases.leave()
            self.calls.close(self.settings.close_seconds, on_left=self._keep)
