"""A job that this process holds, and the reports that end it."""

import contextlib
import logging
import math
import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from schedy.errors import InvalidValueError, MessageTooLargeError, UnsafeUpdateError
from schedy.job_endings import ending_of
from schedy.job_values import checked_quality, sendable_quality, sendable_results, storable_error, unobserved_result
from schedy.stored_job import StoredJob
from schedy.tracebacks import traceback_text
from schedy.wire.answers import ReportAnswer
from schedy.wire.base import CRASHED, DONE, QUEUED, FinalStatus
from schedy.wire.output import LONGEST_TRACEBACK, end_of
from schedy.wire.records import JobRecord
from schedy.wire.values import checked_values
from schedy.worker.holds import Hold
from schedy.worker.reports import Sent
from schedy.worker.session import Session
from schedy.worker.signals import stop_signal_since

if TYPE_CHECKING:
    from schedy.experiments import Experiment

_log = logging.getLogger(__name__)


class HeldJob(StoredJob):
    """A job with the hold that this process has on it, None if it has none. Its ends, in the job's thread."""

    def __init__(
        self, experiment: "Experiment", record: JobRecord, *, session: Session, hold: Hold | None = None
    ) -> None:
        super().__init__(experiment, record)
        self._session = session
        self._hold: Hold | None = None
        self._entered = math.inf
        self._has_bad_points = False
        self._drop_finaliser: weakref.finalize[..., Any] | None = None
        if hold is not None:
            self._take_hold(hold)

    def _take_hold(self, hold: Hold) -> None:
        hold.begin()
        self._hold = hold
        self._drop_finaliser = weakref.finalize(self, self._session.release_soon, hold)
        self._drop_finaliser.atexit = False

    def _let_go(self) -> None:
        """Forget the hold, which has ended: an interruption before this leaves it to the finaliser."""
        self._hold = None
        if self._drop_finaliser is not None:
            self._drop_finaliser.detach()

    @contextlib.contextmanager
    def _ending(self, hold: Hold) -> Iterator[None]:
        """Let go of the job; give it back if its end cannot be reported."""
        try:
            yield
        except BaseException:
            if not hold.finishing:
                self._session.release_soon(hold)
            raise
        finally:
            self._let_go()

    def _end(self, hold: Hold, error: BaseException | None) -> bool:
        """End the job as its block has ended; return True if the exception ends here."""
        stop_signal = stop_signal_since(self._entered)
        ending = ending_of(error, must_stop=hold.stop is not None, stop_signal=stop_signal)
        if ending.status is None:
            self._give_back(hold, ending.warning)
        elif ending.status == CRASHED:
            self._crash(hold, ending.error, None if error is None else traceback_text(error))
        else:
            self._finish_counted(hold, ending.status)
        return ending.swallows

    def _finish_counted(self, hold: Hold, status: FinalStatus) -> None:
        try:
            self._finish(hold, status, None)
        except InvalidValueError as fault:
            self._session.count_end(hold, error=str(fault))
            raise
        self._session.count_end(hold, error=None)

    def _give_back(self, hold: Hold, warning: str | None) -> None:
        if warning is not None:
            _log.warning("Job %s is given back: %s", self.job_id, warning)
        if hold.stop is not None:  # else the attempt is forgotten, and its output
            with hold.lock:
                self._session.outputs.flush(hold)
        self._session.release(hold)
        self._update_record(status=QUEUED)

    def _crash(self, hold: Hold, text: str | None, traceback: str | None) -> None:
        """End as CRASHED; the user's exception goes on, so a refusal is only logged."""
        if hold.lost is not None:
            self._session.leases.drop(hold)
            return
        self._session.count_end(hold, error=text)
        try:
            self._finish(hold, CRASHED, text, traceback)
        except (UnsafeUpdateError, InvalidValueError) as refused:
            _log.warning("%s", refused)

    def _finish(self, hold: Hold, status: FinalStatus, error_text: str | None, traceback: str | None = None) -> None:
        """Report the end. Results that cannot be sent make the job CRASHED; what can be sent is, then this raises."""
        try:
            hold.check_not_lost()
        except UnsafeUpdateError:
            self._session.leases.drop(hold)
            raise
        try:
            values, quality = self._checked()
        except InvalidValueError as fault:
            self._report_unsendable(hold, error_text, traceback, fault)
            raise
        try:
            self._report_end(hold, status, error_text, traceback, results=values, quality=quality)
        except MessageTooLargeError as fault:
            self._report_unsendable(hold, error_text, traceback, fault)
            raise
        if status == DONE:
            self._warn_of_unobserved(values)

    def _warn_of_unobserved(self, results: dict[str, Any]) -> None:
        """Warn, once for each experiment, that a search learns nothing from this worker's results."""
        try:
            lack = unobserved_result(self._experiment.objectives, results)
        except InvalidValueError:  # a newer Schedy has stored the definition
            return
        if lack is not None and self._experiment_uid not in self._session.warned_of_unobserved:
            self._session.warned_of_unobserved.add(self._experiment_uid)
            name = self._experiment.name
            _log.warning("Job %s of %s is DONE, and the search learns nothing from it: %s", self.job_id, name, lack)

    def _report_unsendable(
        self, hold: Hold, error_text: str | None, traceback: str | None, fault: InvalidValueError
    ) -> None:
        """End as CRASHED, with those of the results that can be sent."""
        error_text = "\n".join(filter(None, [error_text, f"The results could not be sent: {fault}"]))
        limit = self._session.settings.max_message_bytes
        while True:
            if isinstance(fault, MessageTooLargeError):
                limit = min(limit, fault.limit_bytes) // 2
            values, quality = sendable_results(self.results, limit_bytes=limit), sendable_quality(self.quality)
            try:
                self._report_end(hold, CRASHED, error_text, traceback, results=values, quality=quality)
            except MessageTooLargeError as too_large:
                if not values and traceback is None:
                    raise
                traceback = traceback if values else None
                fault = too_large
            else:
                return

    def _report_end(
        self,
        hold: Hold,
        status: FinalStatus,
        error_text: str | None,
        traceback: str | None,
        *,
        results: dict[str, Any],
        quality: float,
    ) -> None:
        sent = self._session.reports.finish(
            hold,
            status=status,
            results=results,
            quality=quality,
            error=storable_error(error_text),
            traceback=None if traceback is None else end_of(traceback, LONGEST_TRACEBACK),
        )
        self._end_sent(sent, status, error_text)

    def _end_sent(self, sent: Sent, status: FinalStatus, error_text: str | None) -> None:
        """Take note of the end, which the broker has."""
        self._take_end(self._session.reports.answer(sent), status, error_text)

    def _take_end(self, answer: ReportAnswer | None, status: FinalStatus, error_text: str | None) -> None:
        known: dict[str, Any] = {"status": status, "error": error_text}
        if answer is not None and answer.revision is not None:
            known |= {"revision": answer.revision, "finished_at": answer.at, "status": answer.status or status}
        self._update_record(**known)

    def _checked(self) -> tuple[dict[str, Any], float]:
        limit = self._session.settings.max_message_bytes
        values, _size = checked_values(self.results, limit_bytes=limit, what="results")
        return values, checked_quality(self.quality)
