"""Sending the points of learning curves."""

import logging
import time
from concurrent.futures import Future

from schedy.errors import BrokerError, SchedyError
from schedy.wire.answers import expected
from schedy.wire.base import Answer
from schedy.wire.records import Point
from schedy.wire.reports import Curve
from schedy.worker.call import Call
from schedy.worker.calls import Calls
from schedy.worker.holds import Hold
from schedy.worker.leases import Leases

_log = logging.getLogger(__name__)

_ANSWER_SECONDS = 5.0
"""Points wait for the answer to those before them, but not longer than this."""


class Curves:
    """Sends points in the order in which they were added, one message at a time. Any thread may use it.

    `add` runs in the job's thread. Answers arrive in the I/O thread, which then sends the points added since:
    the next `add` may come in an hour. `Hold.lock` keeps the two apart.
    """

    def __init__(self, calls: Calls, leases: Leases) -> None:
        self._calls = calls
        self._leases = leases

    def add(self, hold: Hold, point: Point) -> None:
        """Send a point, together with others while an answer is outstanding. Does not wait."""
        with hold.lock:
            is_full = hold.add_point(point)
            if time.monotonic() < hold.curve_due and not is_full:
                return
            sent = self._send(hold)
        self._await_answer(hold, *sent)

    def _send(self, hold: Hold) -> tuple[Curve, Call]:
        """Send the points that wait, or as many as go into one message; under `Hold.lock`."""
        hold.curve_due = time.monotonic() + _ANSWER_SECONDS
        curve = Curve(**hold.report_fields(), points=hold.take_points())
        return curve, self._calls.call(curve)

    def _await_answer(self, hold: Hold, curve: Curve, call: Call) -> None:
        """Have the answer handled; without `Hold.lock`, since it may be there already."""
        call.answer.add_done_callback(lambda answer: self._answered(hold, curve, call, answer))

    def _answered(self, hold: Hold, curve: Curve, call: Call, answer: "Future[Answer]") -> None:
        hold.curve_due = 0.0
        self._calls.cancel(call)
        try:
            report = expected(curve, answer.result())
        except BrokerError:  # the connection was closed
            return
        except SchedyError as error:
            _log.warning("Points of job %s were not stored: %s", hold.job_id, error)
            return
        hold.prune = hold.prune or report.prune  # a later answer may be about a rung that the job should not reach
        hold.stop = report.stop or hold.stop
        if report.accepted:
            self._send_rest(hold)
        else:
            hold.lost = hold.lost or report.reason

    def _send_rest(self, hold: Hold) -> None:
        """Send the points that were added while an answer was outstanding."""
        with hold.lock:
            if not hold.points or not self._leases.keeps(hold):
                return
            sent = self._send(hold)
        self._await_answer(hold, *sent)
