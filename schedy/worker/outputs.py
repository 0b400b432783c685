"""Sending the output of jobs, as it is written."""

import logging
from concurrent.futures import Future

from schedy.errors import MessageTooLargeError
from schedy.wire.output import Tail
from schedy.wire.reports import Output
from schedy.worker.calls import Calls
from schedy.worker.holds import Hold

_log = logging.getLogger(__name__)

_PAUSE_SECONDS = 1.0
"""Time between the broker's confirm of an output and the next one."""


class Outputs:
    """Sends the output of each job, at most one message per second and none before the broker has the one before.

    What is added meanwhile is joined, and only its end is kept. `add` runs in any thread; confirms arrive in the I/O
    thread, which then sends what was added since. `Hold.lock` keeps the two apart.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._connection = calls.connection

    def add(self, hold: Hold, tail: Tail, path: str | None) -> None:
        """Send the latest part of an output now or soon. Does not wait."""
        with hold.lock:
            hold.output = tail if hold.output is None else hold.output.joined(tail)
            hold.output_path = path
            is_due = not hold.output_under_way
            hold.output_under_way = True
        if is_due:
            self._send_next(hold)

    def flush(self, hold: Hold) -> None:
        """Send what waits, before the end of the job; under `Hold.lock`. Does not wait."""
        self._send(hold)

    def _send(self, hold: Hold) -> "Future[None] | None":
        tail, hold.output = hold.output, None
        if tail is None:
            return None
        report = Output(**hold.report_fields(), text=tail.text, end=tail.end, path=hold.output_path)
        return self._calls.call(report, wants_answer=False).stored

    def _send_next(self, hold: Hold) -> None:
        with hold.lock:
            stored = None if hold.finishing or hold.lost is not None else self._send(hold)
            hold.output_under_way = stored is not None
        if stored is not None:
            stored.add_done_callback(lambda stored: self._confirmed(hold, stored))

    def _confirmed(self, hold: Hold, stored: "Future[None]") -> None:
        """Look for more after a while, unless the connection has ended."""
        error = stored.exception()
        if isinstance(error, MessageTooLargeError):
            _log.warning("Output of job %s was not stored: %s", hold.job_id, error)
        if error is None or isinstance(error, MessageTooLargeError):
            self._connection.run(lambda: self._look_later(hold))

    def _look_later(self, hold: Hold) -> None:
        self._connection.later(_PAUSE_SECONDS, lambda: self._send_next(hold))
