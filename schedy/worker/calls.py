"""Messages to the results service and its answers, for any thread."""

import contextlib
import logging
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError

from schedy.amqp.channel import Outgoing
from schedy.errors import BrokerError, SchedyError, ServiceUnavailableError
from schedy.settings import Settings
from schedy.urls import without_password
from schedy.wire import names
from schedy.wire.answers import expected
from schedy.wire.base import A, Answer, Question, Sendable
from schedy.wire.codec import encode, routing_key
from schedy.wire.reports import Report
from schedy.worker.call import Call
from schedy.worker.call_table import CallTable, closed_error

_log = logging.getLogger(__name__)

_LONG_WAIT_SECONDS = 2.0
"""A wait that takes longer is logged."""


class Calls:
    """Calls of the results service over one connection of this process. Any thread may use it."""

    def __init__(self, settings: Settings, *, connection_name: str) -> None:
        self._settings = settings
        self._table = CallTable(settings, connection_name=connection_name)
        self._known = self._table.reachability
        self.connection = self._table.connection
        self._said = ""  # why an answer is waited for

    def start(self) -> None:
        self.connection.start()

    def listen(
        self,
        *,
        on_ready: Callable[[], None] | None = None,
        on_lost: Callable[[BrokerError], None] | None = None,
        on_ended: Callable[[], None] | None = None,
    ) -> None:
        """Add what the I/O thread calls when calls can go out, and on the connection's loss and end. Before `start`."""
        self._table.listen(on_ready=on_ready, on_lost=on_lost, on_ended=on_ended)

    @property
    def last_error(self) -> BrokerError | None:
        """The reason why nothing goes through: no connection, or a broker that takes no messages over it."""
        return self.connection.blocked if self._known.ready.is_set() else self._known.last_error

    @property
    def could_send(self) -> bool:
        """True if messages could go out at some time: the broker, or the service, may have some."""
        return self._known.was_ever_ready

    @property
    def service_is_silent(self) -> bool:
        """True if an answer was waited for in vain, and none has come since."""
        return self._known.service_is_silent

    def call(
        self,
        message: Sendable,
        *,
        wants_answer: bool = True,
        resend_seconds: float | None = None,
        on_silence: Callable[[], None] | None = None,
        on_answer: "Callable[[Future[Answer]], None] | None" = None,
        patience_seconds: float | None = None,
    ) -> Call:
        """Send a message. It leaves in the order of the calls and survives reconnects.

        Without an answer it is sent again after `resend_seconds`, each time, and the I/O thread calls `on_silence`.
        `on_answer` is called with the answer, or what was raised instead: in the I/O thread, or in this one if the
        connection is closed. Queues that are missing are waited for as long as the caller waits for the service that
        makes them, `patience_seconds`, or 3 s.
        """
        outgoing = Outgoing(
            names.INBOX_EXCHANGE,
            routing_key(message),
            encode(message),
            message.kind,
            uuid.uuid4().hex,
            message_id=getattr(message, "job_id", None),
            reply_to=names.REPLY_QUEUE if wants_answer else None,
        )
        call = Call(
            outgoing,
            wants_answer,
            resend_seconds,
            on_silence=on_silence,
            is_report=isinstance(message, Report),
            patience_seconds=patience_seconds,
        )
        if on_answer is not None:
            call.answer.add_done_callback(on_answer)
        if self._table.submissions.add(call):
            self.connection.run(lambda: self._table.submit(call))
        else:
            call.fail(closed_error())
        return call

    def cancel(self, call: Call) -> None:
        """Neither send the call again nor wait for its answer."""
        self.connection.run(lambda: self._table.forget(call))

    def ask(self, message: Question[A], *, patience_seconds: float, resend_seconds: float | None = None) -> A:
        """Send a message and wait for its answer.

        Raises ServiceUnavailableError or BrokerError when none came in time, and what `expected` raises.
        """
        call = self.call(message, resend_seconds=resend_seconds, patience_seconds=patience_seconds)
        try:
            return self.wait(message, call, patience_seconds=patience_seconds)
        finally:
            self.cancel(call)

    def wait(self, message: Question[A], call: Call, *, patience_seconds: float | None) -> A:
        """Wait for the answer to a call, None for ever; logs once that it takes long. Raises as `ask` does."""
        try:
            answer = self._patient_wait(call, patience_seconds, _LONG_WAIT_SECONDS + message.answer_seconds)
        except FutureTimeoutError:
            raise self.why_unanswered(call) from None
        return expected(message, answer)

    def _patient_wait(self, call: Call, patience_seconds: float | None, quiet_seconds: float) -> Answer:
        if patience_seconds is not None and patience_seconds <= quiet_seconds:
            return call.answer.result(patience_seconds)
        try:
            return call.answer.result(quiet_seconds)
        except FutureTimeoutError:
            self.say_waiting(patience_seconds)
        return call.answer.result(None if patience_seconds is None else patience_seconds - quiet_seconds)

    def say_waiting(self, patience_seconds: float | None = None) -> None:
        """Log once that an answer does not come, and how long it is waited for; note the silence."""
        why = str(self.why_silent())
        if why != self._said or not self._known.service_is_silent:
            limit = "" if patience_seconds is None else f" up to {patience_seconds:.0f} s"
            _log.warning("Waiting%s. %s", limit, why)
        self._said = why
        self.note_silence()

    def note_silence(self) -> None:
        """Note that an answer did not come in time: reports do not wait for the service until it answers again."""
        self._known.service_is_silent = True

    def why_unanswered(self, call: Call) -> SchedyError:
        """Return why a call has no answer: what it ran into before counts only while the broker is there."""
        return self.last_error or call.missing_error() or self.why_silent()

    def why_silent(self) -> SchedyError:
        """Return the error that explains a missing answer."""
        if self.last_error is not None:
            return self.last_error
        place = without_password(self._settings.broker_url)
        if not self._known.ready.is_set():
            return BrokerError(f"RabbitMQ at {place} has not answered yet.")
        if self._known.unreadable:
            return ServiceUnavailableError(
                "The results service answers, but this program cannot read its answer"
                f" ({self._known.unreadable}). Install the same version of Schedy here as where `schedy serve` runs."
            )
        return ServiceUnavailableError(
            f"RabbitMQ at {place} is reachable, but no results service answers."
            " Start one with `schedy serve` (or `schedy up`); `schedy doctor` looks for the cause."
        )

    def close(self, timeout_seconds: float, *, on_left: Callable[[list[Outgoing]], None] | None = None) -> None:
        """Wait for the broker to take what was not sent yet, call `on_left` with what it did not take, then close."""
        deadline = time.monotonic() + timeout_seconds
        self._table.submissions.close()
        with contextlib.suppress(FutureTimeoutError):
            unfinished = self._unfinished(timeout_seconds)
            self._wait_for_broker(unfinished, deadline)
            if on_left is not None:
                on_left(_unconfirmed(unfinished))
        self.connection.close(max(0.5, deadline - time.monotonic()))

    def _wait_for_broker(self, unfinished: list[Call], deadline: float) -> None:
        """Wait until the broker has taken the calls; not at all while it is away."""
        try:
            for call in unfinished if self._known.ready.is_set() else []:
                call.stored.exception(max(0.0, deadline - time.monotonic()))
        except FutureTimeoutError:
            _log.warning("Closed before the broker had taken everything.")

    def _unfinished(self, timeout_seconds: float) -> list[Call]:
        if not self.connection.is_alive:
            return []
        unfinished: Future[list[Call]] = Future()
        self.connection.run(lambda: unfinished.set_result(self._table.unfinished()))
        return unfinished.result(timeout_seconds)

    def send_waiting(self) -> None:
        """Publish all that waits for other reports (I/O thread only)."""
        self._table.send_waiting()

    def left_by_broker(self) -> list[Outgoing]:
        """Return what waits for a broker that is away (I/O thread only)."""
        return [] if self._known.ready.is_set() else _unconfirmed(self._table.unfinished())


def _unconfirmed(calls: list[Call]) -> list[Outgoing]:
    return [call.outgoing for call in calls if not call.stored.done()]
