"""The heartbeats of this process, which keep the leases of its jobs.

A beat names all jobs held, in one heartbeat or, for very many jobs, in several. There is one every third of a lease,
and one at once after a reconnect. The answers name the jobs that are lost, and those that must stop. A process that
asks for jobs sends heartbeats also while it has none, so that `schedy workers` shows it.

An answer may get lost, so an unanswered beat is followed by another at the usual time. While the service stays silent,
every second beat is left out: the heartbeats of all workers wait for it in one queue.
"""

import logging
from concurrent.futures import Future
from functools import partial

from schedy.amqp.connection import Timer
from schedy.errors import SchedyError
from schedy.wire.answers import JobNotice, expected
from schedy.wire.base import Answer
from schedy.wire.reports import Heartbeat
from schedy.worker.call import Call
from schedy.worker.calls import Calls
from schedy.worker.holds import Presence

_log = logging.getLogger(__name__)

_BEATS_PER_LEASE = 3


class Heartbeats:
    """Sends the heartbeats. Lives in the I/O thread, but for `__init__`."""

    def __init__(self, calls: Calls, presence: Presence, *, lease_seconds: float) -> None:
        """`lease_seconds` sets the pace until a claim is granted, whose answer names the service's lease."""
        self._calls = calls
        self._connection = calls.connection
        self._presence = presence
        self._lease_seconds = lease_seconds
        self._timer: Timer | None = None
        self._unanswered: list[set[Call]] = [set()]
        """The heartbeats that have no answer yet, of each of the latest beats."""
        self._silent_beats = 0
        """Beats in a row that were due while the one before had no answer."""

    def connected(self) -> None:
        """Beat at once after a reconnect."""
        self.beat_now()

    def start(self) -> None:
        """Beat now, and regularly from now on."""
        self._connection.assert_io_thread()
        self._cancel_timer()
        self._schedule()
        if not self._waits_for_answer():
            self._send()

    def beat_now(self) -> None:
        """Beat at once, also while another beat is unanswered."""
        self._connection.assert_io_thread()
        self._send()

    def keep(self, lease_seconds: float) -> None:
        """Beat often enough for this lease; the next beat moves only if the lease is another than before."""
        self._connection.assert_io_thread()
        if lease_seconds != self._lease_seconds:
            self._cancel_timer()
        self._lease_seconds = lease_seconds
        self._schedule()

    def _schedule(self) -> None:
        if self._timer is None and self._presence.works:
            self._timer = self._connection.later(self._lease_seconds / _BEATS_PER_LEASE, self.start)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._connection.cancel_timer(self._timer)
            self._timer = None

    def _send(self) -> None:
        """Send a beat. Answers to those before it still count, but not for ever: they may be lost."""
        while len(self._unanswered) >= _BEATS_PER_LEASE:
            for given_up in self._unanswered.pop(0):
                self._calls.cancel(given_up)
        self._unanswered.append(set())
        for beat in self._presence.heartbeats() if self._presence.works else []:
            call = self._calls.call(beat)
            self._unanswered[-1].add(call)
            call.answer.add_done_callback(partial(self._answered, beat, call))

    def _waits_for_answer(self) -> bool:
        """Return True if no beat goes out now: the broker has not got the latest, or the service is silent."""
        latest = self._unanswered[-1]
        if not latest:
            self._silent_beats = 0
            return False
        self._silent_beats += 1
        not_sent = not all(call.stored.done() for call in latest)
        return not_sent or self._silent_beats % 2 == 0

    def _answered(self, beat: Heartbeat, call: Call, answer: "Future[Answer]") -> None:
        self._connection.assert_io_thread()
        for calls in self._unanswered:
            calls.discard(call)
        try:
            notices = expected(beat, answer.result())
        except SchedyError as error:
            if self._presence.works:  # else this process has left before the answer came
                _log.warning("A heartbeat failed: %s", error)
            return
        for notice in notices.lost:
            self._lost(notice)
        for notice in notices.stopped:
            self._stopped(notice)

    def _lost(self, notice: JobNotice) -> None:
        hold = self._presence.holds.get(notice.token)
        if hold is not None and hold.lost is None:
            hold.lost = notice.reason
            hold.ack_ticket()
            _log.warning("Job %s is no longer ours: %s", hold.job_id, notice.reason)

    def _stopped(self, notice: JobNotice) -> None:
        hold = self._presence.holds.get(notice.token)
        if hold is not None and hold.stop is None:
            hold.stop = notice.reason
            _log.warning("Job %s must stop: %s", hold.job_id, notice.reason)
