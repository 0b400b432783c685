"""The connection to RabbitMQ: the only module of the library that knows pika.

One background thread per `Broker` owns the connection and does all of its I/O: heartbeats, publishes, acks and
reconnecting with back-off. Only `Broker.start`, `run`, `drop` and `close` may be called from other threads. All
callbacks, and all methods of `Channel`, run in the I/O thread and must not block.
"""

import contextlib
import logging
import os
import random
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pika
from pika import spec
from pika.adapters.select_connection import IOLoop
from pika.adapters.utils.selector_ioloop_adapter import SelectorIOServicesAdapter
from pika.channel import Channel as PikaChannel

from schedy import names
from schedy.broker_errors import broker_error, place_of
from schedy.errors import BrokerError, SettingsError
from schedy.settings import Settings
from schedy.tls import tls_context

_log = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS = 0.1
_SOMETIME_SECONDS = 0.5
_FAILURE_PAUSE_SECONDS = 1.0
_PATIENCE_WITH_ONE_URL = (10.0, 15.0)
"""Seconds for TCP, and for all of a connection with its login."""
_PATIENCE_WITH_SEVERAL_URLS = (4.0, 8.0)
"""Well within a lease there must be time for another node."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to publish. `correlation_id` must be unique among those under way on a channel."""

    exchange: str
    routing_key: str
    body: bytes
    kind: str
    correlation_id: str
    message_id: str | None = None
    reply_to: str | None = None
    mandatory: bool = True
    headers: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Incoming:
    """A message that was delivered; `channel` and `tag` acknowledge it."""

    channel: "Channel"
    tag: int
    body: bytes
    routing_key: str
    reply_to: str | None
    correlation_id: str | None
    user: str | None
    """The broker's user who sent it, as the broker has checked; None if the sender did not say."""


@dataclass(slots=True)
class PublishOutcome:
    """What became of a publish: stored, returned as unroutable, or refused by a queue."""

    stored: bool
    returned: bool = False


@dataclass(slots=True)
class _Unconfirmed:
    outgoing: Outgoing
    on_outcome: Callable[[PublishOutcome], None] | None


@dataclass(slots=True, eq=False)
class Channel:
    """An AMQP channel of the live connection. Confirms, consuming and getting; all in the I/O thread.

    Once it is closed (by us, the broker or a lost connection) every method does nothing, and outcomes that have
    not been told are never told: `on_closed` says so.
    """

    _pika: PikaChannel
    _confirmed: bool = False
    _published: int = 0
    _unconfirmed: dict[int, _Unconfirmed] = field(default_factory=dict)
    _returned: set[str] = field(default_factory=set)
    _on_empty: Callable[[], None] | None = None
    _on_cancelled: Callable[[], None] | None = None

    @property
    def is_open(self) -> bool:
        return bool(self._pika.is_open)

    @property
    def _user(self) -> str | None:
        """Who we are logged in as: the broker checks it, so that whoever receives a message may trust it."""
        credentials = self._pika.connection.params.credentials
        return getattr(credentials, "username", None)

    def confirm(self, on_ready: Callable[[], None]) -> None:
        """Ask the broker to confirm what this channel publishes."""
        self._confirmed = True
        self._pika.add_on_return_callback(self._on_return)
        self._pika.confirm_delivery(self._on_confirm, callback=lambda _ok: on_ready())

    def publish(self, outgoing: Outgoing, on_outcome: Callable[[PublishOutcome], None] | None = None) -> None:
        """Publish; `on_outcome` is called once the broker has confirmed, on a channel with confirms."""
        if not self.is_open:
            return
        if self._confirmed:
            self._published += 1
            self._unconfirmed[self._published] = _Unconfirmed(outgoing, on_outcome)
        self._pika.basic_publish(
            outgoing.exchange,
            outgoing.routing_key,
            outgoing.body,
            _properties(outgoing, user=self._user),
            mandatory=outgoing.mandatory and self._confirmed,
        )

    def consume(
        self,
        queue: str,
        on_message: Callable[[Incoming], None],
        *,
        tag: str,
        prefetch: int = 0,
        auto_ack: bool = False,
        on_cancelled: Callable[[], None] | None = None,
        on_ready: Callable[[], None] | None = None,
    ) -> None:
        """Consume; `on_cancelled` is called when the broker ends it (the queue was deleted)."""
        if not self.is_open:
            return
        if prefetch:
            self._pika.basic_qos(prefetch_count=prefetch)
        if self._on_cancelled is None:
            self._pika.add_on_cancel_callback(self._cancelled)
        self._on_cancelled = on_cancelled or _nothing
        self._pika.basic_consume(
            queue,
            lambda _c, method, properties, body: on_message(_incoming(self, method, properties, body)),
            auto_ack=auto_ack,
            consumer_tag=tag,
            callback=(lambda _ok: on_ready()) if on_ready else None,
        )

    def _cancelled(self, _frame: object) -> None:
        if self._on_cancelled is not None:
            self._on_cancelled()

    def cancel(self, tag: str, on_done: Callable[[], None]) -> None:
        """End a consumer that has been started on this channel."""
        if self.is_open:
            self._pika.basic_cancel(tag, callback=lambda _ok: on_done())

    def get(self, queue: str, on_result: Callable[[Incoming | None], None]) -> None:
        """Take one message if there is one."""
        if not self.is_open:
            return
        if self._on_empty is None:
            self._pika.add_callback(self._got_nothing, [spec.Basic.GetEmpty], one_shot=False)
        self._on_empty = lambda: on_result(None)
        self._pika.basic_get(
            queue,
            lambda _c, method, properties, body: on_result(_incoming(self, method, properties, body)),
            auto_ack=False,
        )

    def _got_nothing(self, _frame: object) -> None:
        if self._on_empty is not None:
            self._on_empty()

    def ack(self, tag: int, *, multiple: bool = False) -> None:
        """Acknowledge; does nothing once the channel is closed, since the broker has taken the message back."""
        if self.is_open:
            self._pika.basic_ack(tag, multiple=multiple)

    def reject(self, tag: int) -> None:
        """Refuse a message for good; its queue sends it to the dead letters."""
        if self.is_open:
            self._pika.basic_reject(tag, requeue=False)

    def flush(self, on_done: Callable[[], None]) -> None:
        """Call back once the broker has handled everything sent on this channel before."""
        if self.is_open:
            self._pika.basic_qos(callback=lambda _ok: on_done())

    def declare_jobs_queue(self, queue: str, arguments: Mapping[str, Any], on_done: Callable[[], None]) -> None:
        """Declare an experiment's queue and bind it to the exchange of jobs."""
        key = queue.removeprefix(names.JOBS_QUEUE_PREFIX)

        def _bind(_ok: object) -> None:
            self._pika.queue_bind(queue, names.JOBS_EXCHANGE, key, callback=lambda _bound: on_done())

        if self.is_open:
            self._pika.queue_declare(queue, durable=True, arguments=dict(arguments), callback=_bind)

    def count(self, queue: str, on_counts: Callable[[int, int], None]) -> None:
        """Tell how many messages are ready in a queue, and its consumers; a missing queue closes the channel."""

        def _counted(frame: Any) -> None:
            on_counts(int(frame.method.message_count), int(frame.method.consumer_count))

        if self.is_open:
            self._pika.queue_declare(queue, passive=True, callback=_counted)

    def purge(self, queue: str, on_done: Callable[[], None]) -> None:
        if self.is_open:
            self._pika.queue_purge(queue, callback=lambda _ok: on_done())

    def delete_queue(self, queue: str, on_done: Callable[[], None]) -> None:
        if self.is_open:
            self._pika.queue_delete(queue, callback=lambda _ok: on_done())

    def close(self) -> None:
        if self.is_open:
            self._pika.close()

    def unconfirmed(self) -> list[Outgoing]:
        """What was published and not confirmed when the channel closed."""
        return [waiting.outgoing for waiting in self._unconfirmed.values()]

    def _on_return(self, _channel: object, _method: object, properties: Any, _body: bytes) -> None:
        self._returned.add(properties.correlation_id)

    def _on_confirm(self, frame: Any) -> None:
        stored = isinstance(frame.method, spec.Basic.Ack)
        tag = frame.method.delivery_tag
        tags = [number for number in self._unconfirmed if number <= tag] if frame.method.multiple else [tag]
        for number in tags:
            waiting = self._unconfirmed.pop(number)
            returned = waiting.outgoing.correlation_id in self._returned
            self._returned.discard(waiting.outgoing.correlation_id)
            if waiting.on_outcome is not None:
                waiting.on_outcome(PublishOutcome(stored and not returned, returned))


def _nothing() -> None:
    """What is done where nobody wants to know."""


def _properties(outgoing: Outgoing, *, user: str | None) -> pika.BasicProperties:
    return pika.BasicProperties(
        content_type=names.CONTENT_TYPE,
        delivery_mode=2,
        app_id=names.APP_ID,
        type=outgoing.kind,
        timestamp=int(time.time()),
        message_id=outgoing.message_id,
        correlation_id=outgoing.correlation_id,
        reply_to=outgoing.reply_to,
        user_id=user,
        headers=dict(outgoing.headers) if outgoing.headers else None,
    )


def _incoming(channel: Channel, method: Any, properties: Any, body: bytes) -> Incoming:
    """pika gives a property that is not UTF-8 as bytes; nobody we know has sent that."""
    reply_to, correlation_id, user = properties.reply_to, properties.correlation_id, properties.user_id
    return Incoming(
        channel,
        method.delivery_tag,
        body,
        str(method.routing_key),
        reply_to if isinstance(reply_to, str) else None,
        correlation_id if isinstance(correlation_id, str) else None,
        user if isinstance(user, str) else None,
    )


class _RecordingServices(SelectorIOServicesAdapter):
    """pika's I/O services, remembering the socket so that it can be dropped, and closed in a forked child."""

    def __init__(self, loop: IOLoop) -> None:
        super().__init__(loop)  # type: ignore[arg-type] # the stubs want pika's abstract loop
        self._socket: tuple[int, int] | None = None

    def create_streaming_connection(self, protocol_factory: Any, sock: Any, *rest: Any, **named: Any) -> Any:
        self._socket = (sock.fileno(), os.fstat(sock.fileno()).st_ino)
        return super().create_streaming_connection(protocol_factory, sock, *rest, **named)

    @property
    def has_socket(self) -> bool:
        """Whether TCP is connected."""
        return self._live_descriptor() is not None

    def shut_down_socket(self) -> None:
        """Drop the TCP connection without a word of AMQP."""
        descriptor = self._live_descriptor()
        if descriptor is not None:
            with socket.socket(fileno=os.dup(descriptor)) as duplicate, contextlib.suppress(OSError):
                duplicate.shutdown(socket.SHUT_RDWR)

    def close_in_child(self) -> None:
        """Close the inherited descriptor: a living child must not keep its parent's connection open."""
        descriptor = self._live_descriptor()
        if descriptor is not None:
            os.close(descriptor)

    def forget_socket(self) -> None:
        self._socket = None

    def _live_descriptor(self) -> int | None:
        """The descriptor, unless it was closed and perhaps given to another file since."""
        if self._socket is None:
            return None
        descriptor, inode = self._socket
        try:
            return descriptor if os.fstat(descriptor).st_ino == inode else None
        except OSError:
            return None


Timer = object
"""What `Broker.later` returns, for `Broker.cancel_timer`."""


class Broker:
    """A connection that is kept up until `close`.

    `on_connected` is called after each successful connect, `on_lost` with the reason after each loss and each
    failed attempt. An authentication error is reported like the others; attempts go on (a password can be mended
    on the broker), and it is for the caller to give up.

    Of several URLs the first is tried first, and the next one after each loss and each failed attempt.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        name: str,
        on_connected: Callable[[], None],
        on_lost: Callable[[BrokerError], None],
        on_ended: Callable[[], None] | None = None,
        on_unblocked: Callable[[], None] | None = None,
    ) -> None:
        self._nodes = _nodes(settings, name=name)
        self._attempts = 0
        """Since there was a connection last."""
        self._reconnect_max_seconds = settings.reconnect_max_seconds
        self._on_connected = on_connected
        self._on_lost = on_lost
        self._on_ended = on_ended
        self._on_unblocked = on_unblocked
        self._blocked: BrokerError | None = None
        self._dropped: deque[Callable[[], None]] = deque()
        _quiet_pika()
        self._loop = IOLoop()
        self._services = _RecordingServices(self._loop)
        self._connection: pika.SelectConnection | None = None
        self._pause = _FIRST_PAUSE_SECONDS
        self._was_open = False
        self._closing = False
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="schedy-io", daemon=True)

    def start(self) -> None:
        """Start the I/O thread, which connects."""
        self._thread.start()

    def run(self, action: Callable[[], None]) -> None:
        """Run `action` in the I/O thread soon, or never once it has ended; from any thread.

        Not from a finaliser or a signal handler, which may interrupt this very method: it takes a lock.
        """
        if not self._ended:
            self._loop.add_callback_threadsafe(action)

    def run_sometime(self, action: Callable[[], None]) -> None:
        """Run `action` in the I/O thread within a second; from anywhere, also from a finaliser."""
        self._dropped.append(action)

    @property
    def blocked(self) -> BrokerError | None:
        """Why RabbitMQ takes no messages over this connection, if it has said so."""
        return self._blocked

    @property
    def has_tried_all(self) -> bool:
        """Whether no URL is left that was not tried since there was a connection last."""
        return self._attempts >= len(self._nodes)

    @property
    def is_alive(self) -> bool:
        """Whether the I/O thread runs."""
        return self._thread.is_alive()

    def later(self, seconds: float, action: Callable[[], None]) -> Timer:
        """Run `action` after a while (I/O thread only)."""
        return self._loop.call_later(seconds, action)

    def cancel_timer(self, timer: Timer) -> None:
        self._loop.remove_timeout(timer)  # type: ignore[arg-type]

    def open_channel(
        self, on_open: Callable[[Channel], None], on_closed: Callable[[Channel, BrokerError], None]
    ) -> None:
        """Open a channel on the live connection. `on_closed` is not called when the whole connection goes."""
        connection = self._connection
        if connection is None or not connection.is_open:
            return
        channels: list[Channel] = []
        url = self._nodes[0].url

        def _opened(opened: PikaChannel) -> None:
            channels.append(Channel(opened))
            on_open(channels[0])

        pika_channel = connection.channel(on_open_callback=_opened)

        def _closed(_channel: object, reason: Exception) -> None:
            if connection.is_open and channels:
                on_closed(channels[0], broker_error(reason, url))

        pika_channel.add_on_close_callback(_closed)

    def drop(self) -> None:
        """Cut the connection without a closing handshake; it is made anew. From any thread.

        The broker puts everything unacknowledged back in its old order at once.
        """
        self.run(self._services.shut_down_socket)

    def close(self, timeout_seconds: float) -> None:
        """Close the connection in good order and end the thread. From any thread but the I/O thread."""
        if self._thread.is_alive():
            self.run(self.begin_close)
            self._thread.join(timeout_seconds)

    def abandon(self) -> None:
        """Cut the connection and end the thread, for a service that holds unacknowledged reports."""
        if self._thread.is_alive():
            self.run(self.begin_abandon)
            self._thread.join(5.0)

    def close_in_child(self) -> None:
        """Let go of the connection in a forked child, where its thread does not exist."""
        self._services.close_in_child()

    def begin_abandon(self) -> None:
        """Cut the connection and end the thread (I/O thread only)."""
        self._end(self._services.shut_down_socket)

    def begin_close(self) -> None:
        """Close the connection in good order (I/O thread only), unless the broker does not listen."""
        if self._blocked is not None:
            self.begin_abandon()
        else:
            self._end(lambda: self._connection.close() if self._connection is not None else None)

    def _end(self, end_open_connection: Callable[[], None]) -> None:
        """End the thread: by way of `_disconnected`, so that pika closes its socket, unless there is none."""
        self._closing = True
        connection = self._connection
        if connection is None:
            self._loop.stop()
        elif connection.is_open:
            end_open_connection()
        elif self._services.has_socket:
            self._services.shut_down_socket()  # pika 1.4 fails an assertion when told to close during the handshake
        elif not connection.is_closing:
            connection.close()

    def _run(self) -> None:
        self._loop.add_callback_threadsafe(self._connect)
        self._loop.add_callback_threadsafe(self._run_dropped)
        try:
            while not self._loop_ends():
                pass
        finally:
            self._ended = True
            self._services.shut_down_socket()
            self._loop.close()
            if self._on_ended is not None:
                self._on_ended()

    def _loop_ends(self) -> bool:
        """Run the loop; True when it has ended as asked.

        Whatever fails in it (no file descriptor left for a new socket, a fault of pika or ours) must not end the
        heartbeats: the connection is made anew.
        """
        try:
            self._loop.start()
        except Exception as error:
            _log.exception("The connection to RabbitMQ failed in an unexpected way; making a new one.")
            self._services.shut_down_socket()
            self._services.forget_socket()
            self._connection = self._blocked = None
            self._on_lost(BrokerError(f"The connection to RabbitMQ failed: {type(error).__name__}: {error}."))
            self._loop.call_later(_FAILURE_PAUSE_SECONDS, self._connect)
            return False
        return True

    def _run_dropped(self) -> None:
        self._loop.call_later(_SOMETIME_SECONDS, self._run_dropped)
        while self._dropped:
            self._dropped.popleft()()

    def _connect(self) -> None:
        if self._closing:
            self._loop.stop()
            return
        self._attempts += 1
        self._connection = pika.SelectConnection(
            self._nodes[0].parameters,
            on_open_callback=self._opened,
            on_open_error_callback=self._disconnected,
            on_close_callback=self._disconnected,
            custom_ioloop=self._services,
        )

    def _opened(self, connection: object) -> None:
        if connection is not self._connection:
            return
        self._was_open = True
        self._attempts = 0
        if self._connection is not None:
            self._connection.add_on_connection_blocked_callback(self._told_blocked)
            self._connection.add_on_connection_unblocked_callback(self._told_unblocked)
        self._pause = _FIRST_PAUSE_SECONDS
        self._on_connected()

    def _told_blocked(self, _connection: object, frame: Any) -> None:
        """Under an alarm RabbitMQ reads no more from whoever publishes; its heartbeats go on, and so do we."""
        place = place_of(self._nodes[0].url)
        self._blocked = BrokerError(
            f"RabbitMQ at {place} takes no messages now: it is {frame.method.reason}. Make room there;"
            " `rabbitmq-diagnostics alarms` says on which node."
        )
        _log.warning("%s Nothing is lost; waiting.", self._blocked)

    def _told_unblocked(self, *_told: object) -> None:
        _log.warning("RabbitMQ at %s takes messages again.", place_of(self._nodes[0].url))
        self._blocked = None
        if self._on_unblocked is not None:
            self._on_unblocked()

    def _disconnected(self, connection: object, reason: BaseException) -> None:
        if connection is not self._connection:
            return
        self._connection = None
        self._blocked = None
        self._services.forget_socket()
        if self._closing:
            self._loop.stop()
            return
        was_open, self._was_open = self._was_open, False
        error = broker_error(reason, self._nodes[0].url, was_open=was_open)
        self._loop.call_later(self._next_pause(), self._connect)
        self._nodes.rotate(-1)
        self._on_lost(error)

    def _next_pause(self) -> float:
        """How long to wait before the next attempt: longer and longer, but only once every URL was tried."""
        pause = self._pause
        if self.has_tried_all:
            self._pause = min(self._pause * 2, self._reconnect_max_seconds)
        return pause * random.uniform(0.5, 1.0)  # noqa: S311 - spreads reconnects, hides nothing


def _quiet_pika() -> None:
    """What pika logs about a lost connection, we say once and in words; a level set by the user stays."""
    logger = logging.getLogger("pika")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class _Node:
    """One of the places where the broker may be reached."""

    url: str
    parameters: pika.URLParameters


def _nodes(settings: Settings, *, name: str) -> deque[_Node]:
    urls = settings.broker_urls
    patience = _PATIENCE_WITH_ONE_URL if len(urls) == 1 else _PATIENCE_WITH_SEVERAL_URLS
    nodes = deque(_Node(url, _connection_parameters(url, settings, name=name, patience=patience)) for url in urls)
    for node in nodes:
        if node.parameters.ssl_options is not None:
            context = tls_context(settings.broker_tls)
            node.parameters.ssl_options = pika.SSLOptions(context, node.parameters.host)
    return nodes


def _connection_parameters(
    url: str, settings: Settings, *, name: str, patience: tuple[float, float]
) -> pika.URLParameters:
    """Return pika's parameters for a broker URL. Raises SettingsError if pika does not understand it."""
    try:
        parameters = pika.URLParameters(url)
    except (ValueError, TypeError) as error:
        raise SettingsError(
            f"The broker URL cannot be used: {error}. Expected amqp://user:pw@host:port/vhost."
        ) from None
    parameters.client_properties = {"connection_name": name, "product": "schedy"}
    parameters.heartbeat = settings.amqp_heartbeat_seconds
    parameters.blocked_connection_timeout = None  # what is on its way would be lost, and the next node is blocked, too
    parameters.socket_timeout, parameters.stack_timeout = patience
    return parameters
