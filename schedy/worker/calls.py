"""Messages to the results service and its answers, over a connection that comes and goes.

A call is kept until the broker has confirmed it and, where one is wanted, the answer has come. After a reconnect
whatever is not over is sent again: everything the service applies is idempotent, by token or request id.
"""

import logging
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field

from schedy.amqp.channel import Channel, Incoming, Outgoing, PublishOutcome
from schedy.amqp.connection import Connection, Timer
from schedy.errors import (
    AuthenticationError,
    BrokerError,
    PermissionDeniedError,
    SchedyError,
    ServiceUnavailableError,
    TopologyMissingError,
)
from schedy.settings import Settings
from schedy.urls import without_password
from schedy.wire import names
from schedy.wire.answers import expected
from schedy.wire.base import A, Answer, Question, Sendable
from schedy.wire.codec import UndecodableError, decode_answer, encode, routing_key
from schedy.wire.reports import Report

_log = logging.getLogger(__name__)

_NACK_PAUSE_SECONDS = 1.0
_SAY_AFTER_SECONDS = 2.0
_TOPOLOGY_SECONDS = 3.0
_TOPOLOGY_PAUSE_SECONDS = 0.3


@dataclass(slots=True, eq=False)
class Call:
    """A message on its way. `stored` is done when the broker has it, `answer` when the service has answered."""

    outgoing: Outgoing
    wants_answer: bool
    resend_seconds: float | None
    stored: "Future[None]" = field(default_factory=Future)
    answer: "Future[Answer]" = field(default_factory=Future)
    timer: Timer | None = None
    times_sent: int = 0
    waits_for_topology: bool = False
    """Whether it is kept until exchanges and queues are there: a report is never thrown away."""
    missed_since: float | None = None
    """When exchanges and queues were first found missing."""

    def may_wait(self) -> bool:
        """Whether exchanges and queues that are missing may just be being made."""
        self.missed_since = self.missed_since or time.monotonic()
        return self.waits_for_topology or time.monotonic() - self.missed_since < _TOPOLOGY_SECONDS

    def fail(self, error: BrokerError) -> None:
        for future in (self.stored, self.answer):
            if not future.done():
                future.set_exception(error)


class Client:
    """Calls over one connection of this process. Thread-safe, except where a method says otherwise."""

    def __init__(self, settings: Settings, *, connection_name: str) -> None:
        self._settings = settings
        self._submitted: dict[str, Call] = {}
        """Calls that the I/O thread has not taken yet."""
        self._calls: dict[str, Call] = {}
        self._held: dict[str, Call] = {}
        """Those that wait for the broker to take messages again."""
        self._channel: Channel | None = None
        self._ready = threading.Event()
        self._ever_ready = False
        self._last_error: BrokerError | None = None
        self._on_ready: list[Callable[[], None]] = []
        self._on_lost: list[Callable[[BrokerError], None]] = []
        self._on_ended: list[Callable[[], None]] = []
        self._closed = False
        self.service_is_silent = False
        self.connection = Connection(
            settings,
            name=connection_name,
            on_connected=self._connected,
            on_lost=self._lost,
            on_ended=self._ended,
            on_unblocked=self._unblocked,
        )

    def start(self) -> None:
        self.connection.start()

    def listen(
        self,
        *,
        on_ready: Callable[[], None],
        on_lost: Callable[[BrokerError], None],
        on_ended: Callable[[], None],
    ) -> None:
        """Be told, in the I/O thread, when calls can go out, and of the connection's loss and end. Before `start`."""
        self._on_ready.append(on_ready)
        self._on_lost.append(on_lost)
        self._on_ended.append(on_ended)

    @property
    def last_error(self) -> BrokerError | None:
        """Why nothing goes through, if so: there is no connection, or the broker takes no messages over it."""
        return self.connection.blocked if self._ready.is_set() else self._last_error

    def call(self, message: Sendable, *, wants_answer: bool = True, resend_seconds: float | None = None) -> Call:
        """Send a message. It leaves in the order of the calls and survives reconnects."""
        call_id = uuid.uuid4().hex
        outgoing = Outgoing(
            names.INBOX_EXCHANGE,
            routing_key(message),
            encode(message),
            message.kind,
            call_id,
            message_id=getattr(message, "job_id", None),
            reply_to=names.REPLY_QUEUE if wants_answer else None,
        )
        call = Call(outgoing, wants_answer, resend_seconds, waits_for_topology=isinstance(message, Report))
        if self._closed:
            call.fail(closed_error())
        else:
            self._submitted[call.outgoing.correlation_id] = call
            self.connection.run(lambda: self._submit(call))
        return call

    def cancel(self, call: Call) -> None:
        """Neither send the call again nor wait for its answer."""
        self.connection.run(lambda: self._forget(call))

    def ask(self, message: Question[A], *, patience_seconds: float, resend_seconds: float | None = None) -> A:
        """Send a message and wait for its answer.

        Raises ServiceUnavailableError or BrokerError when none came in time, and what `expected` raises.
        """
        call = self.call(message, resend_seconds=resend_seconds)
        try:
            return self.wait(message, call, patience_seconds=patience_seconds)
        finally:
            self.cancel(call)

    def wait(self, message: Question[A], call: Call, *, patience_seconds: float | None) -> A:
        """Wait for the answer to a call, None for ever; raises as `ask` does. Says once when it takes long."""
        try:
            answer = self._patient_wait(call, patience_seconds)
        except FutureTimeoutError:
            raise self.why_silent() from None
        return expected(message, answer)

    def _patient_wait(self, call: Call, patience_seconds: float | None) -> Answer:
        if patience_seconds is not None and patience_seconds <= _SAY_AFTER_SECONDS:
            return call.answer.result(patience_seconds)
        try:
            return call.answer.result(_SAY_AFTER_SECONDS)
        except FutureTimeoutError:
            self.service_is_silent = True
            limit = "" if patience_seconds is None else f" up to {patience_seconds:.0f} s"
            _log.warning("Waiting%s. %s", limit, self.why_silent())
        return call.answer.result(None if patience_seconds is None else patience_seconds - _SAY_AFTER_SECONDS)

    def why_silent(self) -> SchedyError:
        """Return the error that explains a missing answer."""
        if self.last_error is not None:
            return self.last_error
        place = without_password(self._settings.broker_url)
        if not self._ready.is_set():
            return BrokerError(f"RabbitMQ at {place} has not answered yet.")
        return ServiceUnavailableError(
            f"RabbitMQ at {place} is reachable, but no results service answers."
            " Start one with `schedy serve` (or `schedy up`); `schedy doctor` looks for the cause."
        )

    def close(self, timeout_seconds: float) -> None:
        """Wait for the broker to take what was not sent yet, then close."""
        deadline = time.monotonic() + timeout_seconds
        self._closed = True
        snapshot: Future[list[Call]] = Future()
        self.connection.run(lambda: snapshot.set_result(list(self._calls.values())))
        try:
            for call in snapshot.result(timeout_seconds) if self._ready.is_set() else []:
                call.stored.exception(max(0.0, deadline - time.monotonic()))
        except FutureTimeoutError:
            _log.warning("Closed before the broker had taken everything; what was not sent is given up.")
        self.connection.close(max(0.5, deadline - time.monotonic()))

    # The rest runs in the I/O thread.

    def _ended(self) -> None:
        """Nobody waits for a connection that will not come back."""
        self._closed = True
        for call in [*self._submitted.values(), *self._calls.values()]:
            call.fail(closed_error())
        self._submitted.clear()
        self._calls.clear()
        for listener in self._on_ended:
            listener()

    def _submit(self, call: Call) -> None:
        self._submitted.pop(call.outgoing.correlation_id, None)
        self._calls[call.outgoing.correlation_id] = call
        hopeless = self._hopeless_error()
        if hopeless is not None:
            self._forget(call)
            call.fail(hopeless)
        else:
            self._publish(call)

    def _publish(self, call: Call) -> None:
        if self._channel is None or call.outgoing.correlation_id not in self._calls:
            return
        if self.connection.blocked is not None:
            self._held[call.outgoing.correlation_id] = call  # sent again and again, it would pile up in the socket
            return
        call.times_sent += 1
        self._channel.publish(call.outgoing, lambda outcome: self._told(call, outcome))
        if call.resend_seconds is not None:
            if call.timer is not None:
                self.connection.cancel_timer(call.timer)
            call.timer = self.connection.later(call.resend_seconds, lambda: self._publish(call))

    def _unblocked(self) -> None:
        held, self._held = self._held, {}
        for call in held.values():
            self._publish(call)

    def _told(self, call: Call, outcome: PublishOutcome) -> None:
        if outcome.returned and call.may_wait():
            self.connection.later(_TOPOLOGY_PAUSE_SECONDS, lambda: self._publish(call))
        elif outcome.returned:
            self._forget(call)
            call.fail(TopologyMissingError("Schedy's queues are missing on the broker. Run `schedy broker setup`."))
        elif not outcome.stored:
            self.connection.later(_NACK_PAUSE_SECONDS, lambda: self._publish(call))
        else:
            if not call.stored.done():
                call.stored.set_result(None)
            if not call.wants_answer:
                self._forget(call)

    def _answered(self, incoming: Incoming) -> None:
        call = self._calls.get(incoming.correlation_id or "")
        if call is None:
            return
        try:
            answer = decode_answer(incoming.body)
        except UndecodableError as error:
            _log.warning("An answer of the results service was ignored: %s. Is it of another version?", error)
            return
        self._forget(call)
        self.service_is_silent = False
        if not call.stored.done():
            call.stored.set_result(None)
        call.answer.set_result(answer)

    def _forget(self, call: Call) -> None:
        self._calls.pop(call.outgoing.correlation_id, None)
        self._held.pop(call.outgoing.correlation_id, None)
        if call.timer is not None:
            self.connection.cancel_timer(call.timer)
            call.timer = None

    def _connected(self) -> None:
        self.connection.open_channel(self._channel_opened, self._channel_closed)

    def _channel_opened(self, channel: Channel) -> None:
        channel.consume(names.REPLY_QUEUE, self._answered, tag="schedy answers", auto_ack=True)
        channel.confirm(lambda: self._channel_ready(channel))

    def _channel_ready(self, channel: Channel) -> None:
        if self._ever_ready and not self._ready.is_set():
            _log.warning("Connected to RabbitMQ again.")
        self._channel = channel
        self._ever_ready = True
        self._last_error = None
        self._ready.set()
        self._held.clear()
        for call in list(self._calls.values()):
            self._publish(call)
        for listener in self._on_ready:
            listener()

    def _channel_closed(self, channel: Channel, error: BrokerError) -> None:
        """The broker closed the channel over something we published; the connection is still there."""
        self._channel = None
        blamed = channel.unconfirmed()
        named = [outgoing for outgoing in blamed if f"'{outgoing.routing_key}'" in str(error)] or blamed
        for outgoing in named:
            call = self._calls.get(outgoing.correlation_id)
            if call is not None and _is_blamed(call, error):
                self._forget(call)
                call.fail(error)
        self.connection.later(_TOPOLOGY_PAUSE_SECONDS, self._connected)

    def _hopeless_error(self) -> BrokerError | None:
        """The last error, if waiting cannot help: nothing has ever worked, nor would another URL."""
        hopeless = isinstance(self._last_error, AuthenticationError) and self.connection.has_tried_all
        return self._last_error if hopeless and not self._ever_ready else None

    def _lost(self, error: BrokerError) -> None:
        if self._ready.is_set():
            _log.warning("%s Trying again; running jobs go on.", error)
        self._channel = None
        self._last_error = error
        self._ready.clear()
        hopeless = self._hopeless_error()
        if hopeless is not None:
            for call in list(self._calls.values()):
                self._forget(call)
                call.fail(hopeless)
        for listener in self._on_lost:
            listener(error)


def closed_error() -> BrokerError:
    """Return what is raised to whoever uses a connection after its end."""
    return BrokerError("This connection to Schedy was closed. Make a new SchedyDB.")


def _is_blamed(call: Call, error: BrokerError) -> bool:
    """Whether sending the call again would end as it did now."""
    if isinstance(error, TopologyMissingError):
        return not call.may_wait()
    return isinstance(error, PermissionDeniedError)
