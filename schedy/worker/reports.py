"""Reports on a held job: its results so far, and its end."""

from collections.abc import Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from typing import Any

from schedy.errors import MessageTooLargeError
from schedy.wire.answers import ReportAnswer, expected
from schedy.wire.base import Answer, FinalStatus
from schedy.wire.reports import Curve, Finish, Progress
from schedy.worker.call import Call
from schedy.worker.calls import Calls
from schedy.worker.holds import Hold
from schedy.worker.leases import Leases
from schedy.worker.outputs import Outputs

_ANSWER_SECONDS = 5.0
_SMALL_BYTES = 16_384
"""Size of an end that need not be waited for: a broker that refuses even this costs the job its lease."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A report that the broker has, or is to get, and the points that were sent before it."""

    hold: Hold
    report: Progress | Finish
    call: Call
    curves: list[Call]


class Reports:
    """Sends reports, and waits until they are durable. Any thread may use it.

    The service has a few seconds to refuse a report; while it is down, no report waits for its answer.
    """

    def __init__(self, calls: Calls, leases: Leases, outputs: Outputs) -> None:
        self._calls = calls
        self._leases = leases
        self._outputs = outputs

    def progress(self, hold: Hold, *, results: Mapping[str, Any], quality: float) -> ReportAnswer | None:
        """Report results and quality so far; return the answer if there is one in a few seconds.

        Raises UnsafeUpdateError if the service refuses them.
        """
        with hold.lock:  # reports leave in the order of their numbers
            curves = self._send_points(hold)
            report = Progress(**hold.report_fields(), points=hold.take_points(), results=results, quality=quality)
            call = self._calls.call(report)
        sent = Sent(hold, report, call, curves)
        self._await_stored(sent)
        return self.answer(sent)

    def finish(
        self,
        hold: Hold,
        *,
        status: FinalStatus,
        results: Mapping[str, Any],
        quality: float,
        error: str | None,
        traceback: str | None,
    ) -> Sent:
        """Report the end of a job, behind its output, durably. Its lease is kept until the broker has the report.

        `answer` has the answer. Raises MessageTooLargeError if the broker does not take it: the job is held as before.
        """
        with hold.lock:
            self._outputs.flush(hold)
            curves = self._send_points(hold)
            following = None if hold.next_claims is None else hold.next_claims.claim_next(hold)
            report = Finish(
                **hold.report_fields(),
                points=hold.take_points(),
                status=status,
                results=results,
                quality=quality,
                error=error,
                traceback=traceback,
                then=None if following is None else following.claim,
            )
            call = self._calls.call(report, on_answer=None if following is None else following.on_answer)
        hold.ack_ticket()  # the lease guards the job until the report is stored
        hold.finishing = True
        sent = Sent(hold, report, call, curves)
        if self._goes_on(hold, sent):
            call.stored.add_done_callback(lambda _stored: self._leases.forget(hold))
            return sent
        call.stored.add_done_callback(lambda stored: self._finished(hold, stored))
        try:
            self._await_stored(sent)
        except MessageTooLargeError:
            hold.finishing = False
            raise
        return sent

    def _goes_on(self, hold: Hold, sent: Sent) -> bool:
        """Return True if the next job does not wait for the broker: ends of short jobs leave together."""
        has_several = hold.next_claims is not None and hold.next_claims.has_several
        return has_several and not sent.curves and len(sent.call.outgoing.body) < _SMALL_BYTES

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

    def _await_stored(self, sent: Sent) -> None:
        try:
            for each in (*sent.curves, sent.call):
                each.stored.result()
        except MessageTooLargeError:
            with sent.hold.lock:
                sent.hold.put_back(sent.report.points)
            raise

    def answer(self, sent: Sent) -> ReportAnswer | None:
        """Wait a few seconds for the answer to a report, not at all while the service is silent; None if none came.

        Raises UnsafeUpdateError if the service refuses the report.
        """
        try:
            answer = sent.call.answer.result(self.answer_seconds)
        except FutureTimeoutError:
            self._calls.note_silence()
            return None
        finally:
            self._calls.cancel(sent.call)
        return self.judged(sent, answer)

    @property
    def answer_seconds(self) -> float:
        """Time to wait for an answer: none while the service is silent."""
        return 0.0 if self._calls.service_is_silent else _ANSWER_SECONDS

    def judged(self, sent: Sent, answer: Answer) -> ReportAnswer:
        """Return what the service says of a report. Raises UnsafeUpdateError if it refuses it."""
        report_answer = expected(sent.report, answer)
        if not report_answer.accepted:
            sent.hold.lost = report_answer.reason
            sent.hold.check_not_lost()
        sent.hold.stop = report_answer.stop or sent.hold.stop
        sent.hold.prune = sent.hold.prune or report_answer.prune
        return report_answer
