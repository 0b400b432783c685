"""Messages and AMQP channels: publishing with confirms, consuming, getting, and operations on queues.

All callbacks, and all methods of `Channel`, run in the I/O thread of the `Connection` and must not block; a method that
is called in another thread raises RuntimeError.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

import pika
from pika import spec
from pika.channel import Channel as PikaChannel

from schedy.wire import names
from schedy.wire.topology import Binding, Queue


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
    """The broker's user who sent it, checked by the broker; None if the sender did not name one."""
    redelivered: bool = False
    """True if it may have been handled before."""
    from_bundle: bool = False
    """True for a part of a message with several reports, whose sender reads several answers in one."""


@dataclass(slots=True)
class PublishOutcome:
    """The outcome of a publish: stored, returned as unroutable, or refused by a queue."""

    stored: bool
    returned: bool = False


@dataclass(slots=True)
class _Unconfirmed:
    outgoing: Outgoing
    on_outcome: Callable[[PublishOutcome], None] | None
    published_at: float = field(default_factory=time.monotonic)


@dataclass(slots=True, eq=False)
class Channel:
    """An AMQP channel of the live connection. Confirms, consuming and getting; all in the I/O thread.

    Once it is closed (by us, the broker or a lost connection) every method does nothing, and `on_outcome` is called
    no more. `Connection.open_channel` says when its `on_closed` is called.
    """

    _pika: PikaChannel
    _assert_io_thread: Callable[[], None]
    _confirmed: bool = False
    _published: int = 0
    _unconfirmed: dict[int, _Unconfirmed] = field(default_factory=dict)
    _returned: set[str] = field(default_factory=set)
    _on_empty: Callable[[], None] | None = None
    _on_cancelled: Callable[[], None] | None = None
    confirmed_at: float = field(default=0.0, init=False)
    """Time of the last confirm, by `time.monotonic`; 0 before the first."""
    closed_by_us: bool = field(default=False, init=False)
    """True once `close` was called."""

    @property
    def is_open(self) -> bool:
        return bool(self._pika.is_open)

    @property
    def _user(self) -> str | None:
        """Our user on the broker, which checks it, so that receivers of a message may trust it."""
        credentials = self._pika.connection.params.credentials
        return getattr(credentials, "username", None)

    def confirm(self, on_ready: Callable[[], None]) -> None:
        """Ask the broker to confirm what this channel publishes."""
        self._assert_io_thread()
        self._confirmed = True
        self._pika.add_on_return_callback(self._on_return)
        self._pika.confirm_delivery(self._on_confirm, callback=lambda _ok: on_ready())

    def publish(self, outgoing: Outgoing, on_outcome: Callable[[PublishOutcome], None] | None = None) -> None:
        """Publish; `on_outcome` is called once the broker has confirmed, on a channel with confirms."""
        self._assert_io_thread()
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
        self._assert_io_thread()
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
        self._assert_io_thread()
        if self.is_open:
            self._pika.basic_cancel(tag, callback=lambda _ok: on_done())

    def get(self, queue: str, on_result: Callable[[Incoming | None], None]) -> None:
        """Take one message if there is one."""
        self._assert_io_thread()
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
        self._assert_io_thread()
        if self.is_open:
            self._pika.basic_ack(tag, multiple=multiple)

    def reject(self, tag: int) -> None:
        """Refuse a message for good; its queue sends it to the dead letters."""
        self._assert_io_thread()
        if self.is_open:
            self._pika.basic_reject(tag, requeue=False)

    def give_back(self, tag: int) -> None:
        """Put a message back into its queue."""
        self._assert_io_thread()
        if self.is_open:
            self._pika.basic_reject(tag, requeue=True)

    def flush(self, on_done: Callable[[], None]) -> None:
        """Call back once the broker has handled everything sent on this channel before."""
        self._assert_io_thread()
        if self.is_open:
            self._pika.basic_qos(callback=lambda _ok: on_done())

    def declare_queue(self, queue: Queue, on_done: Callable[[], None], *, binding: Binding) -> None:
        """Declare a queue and its binding."""
        self._assert_io_thread()

        def _bind(_ok: object) -> None:
            self._pika.queue_bind(
                binding.queue, binding.exchange, binding.routing_key, callback=lambda _bound: on_done()
            )

        if self.is_open:
            self._pika.queue_declare(queue.name, durable=True, arguments=dict(queue.arguments), callback=_bind)

    def count(self, queue: str, on_counts: Callable[[int, int], None]) -> None:
        """Count a queue's ready messages and its consumers; a missing queue closes the channel."""
        self._assert_io_thread()

        def _counted(frame: Any) -> None:
            on_counts(int(frame.method.message_count), int(frame.method.consumer_count))

        if self.is_open:
            self._pika.queue_declare(queue, passive=True, callback=_counted)

    def purge(self, queue: str, on_done: Callable[[], None]) -> None:
        self._assert_io_thread()
        if self.is_open:
            self._pika.queue_purge(queue, callback=lambda _ok: on_done())

    def delete_queue(self, queue: str, on_done: Callable[[], None]) -> None:
        self._assert_io_thread()
        if self.is_open:
            self._pika.queue_delete(queue, callback=lambda _ok: on_done())

    def close(self) -> None:
        self._assert_io_thread()
        self.closed_by_us = True
        if self.is_open:
            self._pika.close()

    def unconfirmed(self) -> list[Outgoing]:
        """Return the messages published and not confirmed when the channel closed."""
        self._assert_io_thread()
        return [waiting.outgoing for waiting in self._unconfirmed.values()]

    @property
    def waits_since(self) -> float | None:
        """Time at which the oldest message without a confirm was published; None if there is none, or it is closed."""
        oldest = next(iter(self._unconfirmed.values()), None)
        return oldest.published_at if oldest is not None and self.is_open else None

    def _on_return(self, _channel: object, _method: object, properties: Any, _body: bytes) -> None:
        self._returned.add(properties.correlation_id)

    def _on_confirm(self, frame: Any) -> None:
        self.confirmed_at = time.monotonic()
        stored = isinstance(frame.method, spec.Basic.Ack)
        tag = frame.method.delivery_tag
        tags = list(takewhile(lambda number: number <= tag, self._unconfirmed)) if frame.method.multiple else [tag]
        for number in tags:
            waiting = self._unconfirmed.pop(number)
            returned = waiting.outgoing.correlation_id in self._returned
            self._returned.discard(waiting.outgoing.correlation_id)
            if waiting.on_outcome is not None:
                waiting.on_outcome(PublishOutcome(stored and not returned, returned))


def _nothing() -> None:
    """Do nothing: the default callback."""


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
    """Return a delivery. pika gives a property that is not UTF-8 as bytes; no sender of ours does that."""
    reply_to, correlation_id, user = properties.reply_to, properties.correlation_id, properties.user_id
    return Incoming(
        channel,
        method.delivery_tag,
        body,
        str(method.routing_key),
        reply_to if isinstance(reply_to, str) else None,
        correlation_id if isinstance(correlation_id, str) else None,
        user if isinstance(user, str) else None,
        bool(method.redelivered),
    )
