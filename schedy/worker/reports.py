"""Reports on a held job: its results so far, and its end."""

from collections.abc import Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any

from schedy.errors import MessageTooLargeError
from schedy.wire.answers import ReportAnswer, expected
from schedy.wire.base import FinalStatus
from schedy.wire.reports import Curve, Finish, Progress
from schedy.worker.call_table import Call
from schedy.worker.calls import Calls
from schedy.worker.holds import Hold
from schedy.worker.leases import Leases
from schedy.worker.outputs import Outputs

_ANSWER_SECONDS = 5.0


class Reports:
    """Sends reports, and waits until they are durable. Any thread may use it.

    The service has a few seconds to refuse a report; while it is down, no report waits for its answer.
    """

    def __init__(self, calls: Calls, leases: Leases, outputs: Outputs) -> None:
        self._calls = calls
        self._leases = leases
        self._outputs = outputs

    def progress(self, hold: Hold, *, results: Mapping[str, Any], quality: float) -> ReportAnswer | None:
        """Report results and quality so far; return the answer if there is one already.

        Raises UnsafeUpdateError if the service refuses them.
        """
        with hold.lock:  # reports leave in the order of their numbers
            curves = self._send_points(hold)
            report = Progress(**hold.report_fields(), points=hold.take_points(), results=results, quality=quality)
            call = self._calls.call(report)
        return self._wait(hold, report, call, curves)

    def finish(
        self,
        hold: Hold,
        *,
        status: FinalStatus,
        results: Mapping[str, Any],
        quality: float,
        error: str | None,
        traceback: str | None,
    ) -> ReportAnswer | None:
        """Report the end of a job, behind its output. Its lease is kept until the broker has the report.

        Else as `progress`. Raises MessageTooLargeError if the broker does not take it: the job is held as before.
        """
        with hold.lock:
            self._outputs.flush(hold)
            curves = self._send_points(hold)
            report = Finish(
                **hold.report_fields(),
                points=hold.take_points(),
                status=status,
                results=results,
                quality=quality,
                error=error,
                traceback=traceback,
            )
            call = self._calls.call(report)
        hold.finishing = True
        call.stored.add_done_callback(lambda stored: self._finished(hold, stored))
        try:
            return self._wait(hold, report, call, curves)
        except MessageTooLargeError:
            hold.finishing = False
            raise

    def _send_points(self, hold: Hold) -> list[Call]:
        """Send the points that do not go into the report that follows; under `Hold.lock`."""
        calls: list[Call] = []
        while hold.has_many_points:
            curve = Curve(**hold.report_fields(), points=hold.take_points())
            calls.append(self._calls.call(curve, wants_answer=False))
        return calls

    def _finished(self, hold: Hold, stored: "Future[None]") -> None:
        """The broker has the finish, or never will: there is no lease to keep any more. Runs in the I/O thread."""
        error = stored.exception()
        if isinstance(error, MessageTooLargeError):
            return
        self._leases.forget(hold)
        if error is None:
            hold.ack_ticket()

    def _wait(self, hold: Hold, report: Progress | Finish, call: Call, curves: list[Call]) -> ReportAnswer | None:
        try:
            for each in (*curves, call):
                each.stored.result()
            patience_seconds = 0.0 if self._calls.service_is_silent else _ANSWER_SECONDS
            answer = expected(report, call.answer.result(patience_seconds))
        except FutureTimeoutError:
            self._calls.note_silence()
            return None
        except MessageTooLargeError:
            with hold.lock:
                hold.put_back(report.points)
            raise
        finally:
            if call.stored.done():
                self._calls.cancel(call)
        if not answer.accepted:
            hold.lost = answer.reason
            hold.check_not_lost()
        hold.stop = answer.stop or hold.stop
        return answer
