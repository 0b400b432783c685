"""The heartbeats of this process, which keep the leases of its jobs.

One heartbeat names all jobs held; it is sent every third of a lease, at most one is unanswered at a time, and one goes
out at once after a reconnect. Its answer names the jobs that are lost, and those that must stop. A process that asks
for jobs sends them also while it has none, so that `schedy workers` shows it.
"""

import logging
from concurrent.futures import Future

from schedy.amqp.connection import Timer
from schedy.errors import SchedyError
from schedy.wire.answers import JobNotice, expected
from schedy.wire.base import Answer
from schedy.wire.reports import Heartbeat
from schedy.worker.call_table import Call
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
        self._unanswered: Call | None = None
        self._unanswered_beats = 0

    def connected(self) -> None:
        """Beat at once after a reconnect."""
        self.beat_now()

    def start(self) -> None:
        """Beat now, and regularly from now on."""
        self._connection.assert_io_thread()
        self._cancel_timer()
        self._beat()
        self._schedule()

    def beat_now(self) -> None:
        """Beat at once, also while another heartbeat is unanswered."""
        self._connection.assert_io_thread()
        if self._unanswered is not None:
            self._calls.cancel(self._unanswered)
            self._unanswered = None
        self._beat()

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

    def _beat(self) -> None:
        if not self._presence.works or self._waits_for_answer():
            return
        beat = self._presence.heartbeat()
        self._unanswered = self._calls.call(beat)
        self._unanswered_beats = 0
        self._unanswered.answer.add_done_callback(lambda answer: self._answered(beat, answer))

    def _waits_for_answer(self) -> bool:
        """Return True if a heartbeat is unanswered; one whose answer got lost is given up after a lease."""
        if self._unanswered is None:
            return False
        self._unanswered_beats += 1
        if self._unanswered_beats <= _BEATS_PER_LEASE or not self._unanswered.stored.done():
            return True
        self._calls.cancel(self._unanswered)
        return False

    def _answered(self, beat: Heartbeat, answer: "Future[Answer]") -> None:
        self._connection.assert_io_thread()
        self._unanswered = None
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
