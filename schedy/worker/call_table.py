"""The calls under way, over a connection that comes and goes.

A call is kept until the broker has confirmed it and, where one is wanted, the answer has come. After a reconnect
whatever is not over is sent again: everything the service applies is idempotent, by token or request id.
"""

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from schedy.amqp.channel import Channel, Incoming, Outgoing, PublishOutcome
from schedy.amqp.connection import Connection
from schedy.amqp.errors import MessageSizeError
from schedy.errors import (
    AuthenticationError,
    BrokerError,
    BrokerFaultError,
    MessageTooLargeError,
)
from schedy.settings import Settings
from schedy.wire import names
from schedy.wire.base import Answer
from schedy.wire.bundles import AnswerBundle
from schedy.wire.codec import decode_answer, read_answer
from schedy.wire.versions import UndecodableError
from schedy.worker.call import TOPOLOGY_PAUSE_SECONDS, Call, queues_missing
from schedy.worker.outbox import Outbox

_log = logging.getLogger(__name__)

_NACK_PAUSE_SECONDS = 1.0
_FAULT_SECONDS = 30.0
"""Time within which a second fault of RabbitMQ is worth a warning."""


class Submissions:
    """The calls that the I/O thread has not taken yet. Any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: dict[str, Call] = {}
        self._closed = False

    def add(self, call: Call) -> bool:
        """Add a call; return False once the connection is closed, since none is taken then."""
        with self._lock:
            if not self._closed:
                self._calls[call.id] = call
            return not self._closed

    def take(self, call: Call) -> None:
        with self._lock:
            self._calls.pop(call.id, None)

    def close(self) -> None:
        """Let no more calls in."""
        with self._lock:
            self._closed = True

    def take_all(self) -> list[Call]:
        with self._lock:
            calls, self._calls = list(self._calls.values()), {}
            return calls


@dataclass(slots=True, eq=False)
class Reachability:
    """The state of the way to the service. Written in the I/O thread (the last field in any), read in any thread."""

    ready: threading.Event = field(default_factory=threading.Event)
    """Set while calls can go out."""
    was_ever_ready: bool = False
    last_error: BrokerError | None = None
    """The reason why the connection was lost, or could not be made."""
    unreadable: str = ""
    """What is wrong with the last answer, if it could not be read."""
    service_is_silent: bool = False
    """True if an answer was waited for in vain, and none has come since. Any thread may set it."""


class CallTable:
    """The calls that are not over, on their channel. Lives in the I/O thread, but for `__init__` and `listen`."""

    def __init__(self, settings: Settings, *, connection_name: str) -> None:
        self.reachability = Reachability()
        self.submissions = Submissions()
        self.connection = Connection(
            settings,
            name=connection_name,
            on_connected=self._connected,
            on_lost=self._lost,
            on_ended=self._ended,
            on_unblocked=self._unblocked,
        )
        self._calls: dict[str, Call] = {}
        self._held: dict[str, Call] = {}
        """Calls that wait for the broker to take messages again."""
        self._outbox = Outbox(self._confirmed)
        self._fault_at = -math.inf
        """Time of the latest fault of RabbitMQ, by `time.monotonic`."""
        self._has_warned = False
        """True if the loss of the connection was worth a warning."""
        self._on_ready: list[Callable[[], None]] = []
        self._on_lost: list[Callable[[BrokerError], None]] = []
        self._on_ended: list[Callable[[], None]] = []

    def listen(
        self,
        *,
        on_ready: Callable[[], None] | None = None,
        on_lost: Callable[[BrokerError], None] | None = None,
        on_ended: Callable[[], None] | None = None,
    ) -> None:
        """Add what the I/O thread calls when calls can go out, and on the connection's loss and end."""
        self._on_ready += [on_ready] if on_ready else []
        self._on_lost += [on_lost] if on_lost else []
        self._on_ended += [on_ended] if on_ended else []

    def unfinished(self) -> list[Call]:
        """Return the calls that are not over."""
        self.connection.assert_io_thread()
        return list(self._calls.values())

    def submit(self, call: Call) -> None:
        """Take a call and publish it, now or once there is a connection."""
        self.connection.assert_io_thread()
        self.submissions.take(call)
        self._calls[call.id] = call
        error = self._lasting_error()
        if error is not None:
            self._fail(call, error)
        else:
            self._publish(call)

    def send_waiting(self) -> None:
        """Publish all that waits for other reports, if there is a connection: nothing may wait when it is closed."""
        self.connection.assert_io_thread()
        self._outbox.send_waiting()

    def forget(self, call: Call) -> None:
        """Neither send a call again nor wait for its answer."""
        self.connection.assert_io_thread()
        self._calls.pop(call.id, None)
        self._held.pop(call.id, None)
        if call.timer is not None:
            self.connection.cancel_timer(call.timer)
            call.timer = None

    def _fail(self, call: Call, error: BrokerError) -> None:
        self.forget(call)
        if isinstance(error, MessageSizeError):
            call.fail(MessageTooLargeError(str(error), error.limit_bytes))
        else:
            call.fail(error)

    def _publish(self, call: Call) -> None:
        if not self._outbox.is_open or call.id not in self._calls:
            return
        if self.connection.blocked is not None:
            self._held[call.id] = call  # published again and again, it would pile up in the socket
            return
        call.times_sent += 1
        self._outbox.send(call)
        if call.resend_seconds is not None:
            if call.timer is not None:
                self.connection.cancel_timer(call.timer)
            call.timer = self.connection.later(call.resend_seconds, lambda: self._send_again(call))

    def _send_again(self, call: Call) -> None:
        if call.on_silence is not None:
            call.on_silence()
        self._publish(call)

    def _confirmed(self, call: Call, outcome: PublishOutcome) -> None:
        if outcome.returned and call.may_wait():
            self.connection.later(TOPOLOGY_PAUSE_SECONDS, lambda: self._publish(call))
        elif outcome.returned:
            self._fail(call, queues_missing())
        elif not outcome.stored:
            self.connection.later(_NACK_PAUSE_SECONDS, lambda: self._publish(call))
        else:
            if not call.stored.done():
                call.stored.set_result(None)
            if not call.wants_answer:
                self.forget(call)

    def _answered(self, incoming: Incoming) -> None:
        call = self._calls.get(incoming.correlation_id or "")
        is_bundle = incoming.correlation_id == names.ANSWER_BUNDLE_ID
        if call is None and not is_bundle:
            return
        try:
            answer = decode_answer(incoming.body)
            if isinstance(answer, AnswerBundle):
                for each in answer.answers:
                    call = self._calls.get(each.id)
                    if call is not None:
                        self._end(call, read_answer(each.answer))
            elif call is not None:
                self._end(call, answer)
        except UndecodableError as error:
            self.reachability.unreadable = str(error)
            _log.warning("An answer of the results service was ignored: %s. Is it of another version?", error)

    def _end(self, call: Call, answer: Answer) -> None:
        """Give a call its answer."""
        self.forget(call)
        self.reachability.unreadable = ""
        self.reachability.service_is_silent = False
        if not call.stored.done():
            call.stored.set_result(None)
        call.answer.set_result(answer)

    def _connected(self) -> None:
        self.connection.assert_io_thread()
        self.connection.open_channel(self._channel_opened, self._channel_closed)

    def _channel_opened(self, channel: Channel) -> None:
        channel.consume(names.REPLY_QUEUE, self._answered, tag="schedy answers", auto_ack=True)
        channel.confirm(lambda: self._channel_ready(channel))

    def _channel_ready(self, channel: Channel) -> None:
        """Publish everything that is not over."""
        known = self.reachability
        if self._has_warned and not known.ready.is_set():
            _log.warning("Connected to RabbitMQ again.")
        self._outbox.open(channel)
        known.was_ever_ready = True
        known.last_error = None
        known.ready.set()
        self._held.clear()
        for call in list(self._calls.values()):
            self._publish(call)
        for listener in self._on_ready:
            listener()

    def _channel_closed(self, channel: Channel, error: BrokerError) -> None:
        """Open a new channel: the broker closed this one over something published, and the connection is still there.

        What was not confirmed is published again, but for the calls to blame.
        """
        unconfirmed = self._outbox.refused(channel.unconfirmed())
        self._outbox.close()
        for outgoing in _blamed(unconfirmed, error):
            call = self._calls.get(outgoing.correlation_id)
            if call is not None and call.would_fail_again(error):
                level = logging.WARNING if call.is_report else logging.DEBUG  # who asked gets the error
                _log.log(level, "The broker refused a message (%s): %s", outgoing.routing_key, error)
                self._fail(call, error)
        self.connection.later(TOPOLOGY_PAUSE_SECONDS, self._connected)

    def _unblocked(self) -> None:
        self.connection.assert_io_thread()
        held, self._held = self._held, {}
        for call in held.values():
            self._publish(call)

    def _lasting_error(self) -> BrokerError | None:
        """The last error, if waiting cannot help: the login is refused, nothing has ever worked, no URL is left."""
        known = self.reachability
        lasts = isinstance(known.last_error, AuthenticationError) and self.connection.has_tried_all
        return known.last_error if lasts and not known.was_ever_ready else None

    def _lost(self, error: BrokerError) -> None:
        self.connection.assert_io_thread()
        if self.reachability.ready.is_set():
            self._has_warned = not self._passes(error)
            _log.log(
                logging.WARNING if self._has_warned else logging.INFO, "%s Trying again; running jobs go on.", error
            )
        self._outbox.close()
        self.reachability.last_error = error
        self.reachability.ready.clear()
        lasting = self._lasting_error()
        if lasting is not None:
            for call in self.unfinished():
                self._fail(call, lasting)
        for listener in self._on_lost:
            listener(error)

    def _passes(self, error: BrokerError) -> bool:
        """Return True for a fault of RabbitMQ that no other preceded.

        It ends the connection of a worker that looks into a queue at the moment in which that is deleted, as happens
        at the end of a search. If a queue is dead instead, the next look ends it again.
        """
        if not isinstance(error, BrokerFaultError):
            return False
        fault_before, self._fault_at = self._fault_at, time.monotonic()
        return self._fault_at - fault_before > _FAULT_SECONDS

    def _ended(self) -> None:
        """Fail all calls: this connection does not come back."""
        self.connection.assert_io_thread()
        self.reachability.ready.clear()
        self.submissions.close()
        for call in [*self.submissions.take_all(), *self._calls.values()]:
            call.fail(closed_error())
        self._calls.clear()
        for listener in self._on_ended:
            listener()


def _blamed(unconfirmed: list[Outgoing], error: BrokerError) -> list[Outgoing]:
    """Return the messages that may be to blame for an error: those over the limit on sizes, or those that it names.

    All if it names none.
    """
    if isinstance(error, MessageSizeError):
        return [outgoing for outgoing in unconfirmed if len(outgoing.body) > error.limit_bytes]
    return [outgoing for outgoing in unconfirmed if f"'{outgoing.routing_key}'" in str(error)] or unconfirmed


def closed_error() -> BrokerError:
    """Return the error for the use of a connection after its end."""
    return BrokerError("This connection to Schedy was closed. Make a new SchedyDB.")
