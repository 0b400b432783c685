"""The subscription to reports, of which RabbitMQ makes one instance the consumer, and to requests."""

from collections.abc import Callable

from schedy.amqp.channel import Channel, Incoming
from schedy.amqp.connection import Connection
from schedy.errors import BrokerError, TopologyMissingError
from schedy.wire import names
from schedy_store.service.inbox import Inbox

_PREFETCH_READS = 20
_PREFETCH_REPORTS = 200
"""Messages held at once, each of up to a megabyte or so."""


class Subscription:
    """Consumes reports into the inbox, and requests. Lives in the I/O thread."""

    def __init__(
        self,
        connection: Connection,
        inbox: Inbox,
        *,
        instance: str,
        batch_messages: int,
        on_request: Callable[[Incoming], None],
        on_failed: Callable[[Channel, BrokerError], None],
    ) -> None:
        """`on_failed` is called when a queue was deleted."""
        self._connection = connection
        self._inbox = inbox
        self._tag = f"schedy service {instance}"
        self._prefetch = min(batch_messages, _PREFETCH_REPORTS)
        self._on_request = on_request
        self._on_failed = on_failed
        self._reports: Channel | None = None
        """The open channel for the reports, until it is used."""
        self._wanted_for = 0
        """Number of the connection over which the service wants the reports."""

    def reads_opened(self, channel: Channel, then: Callable[[], None]) -> None:
        """Consume the requests; call `then` once the broker has agreed."""
        self._connection.assert_io_thread()
        channel.consume(
            names.REQUESTS_QUEUE,
            self._on_request,
            tag=f"{self._tag} reads",
            prefetch=_PREFETCH_READS,
            on_cancelled=lambda: self._deleted(channel, names.REQUESTS_QUEUE),
            on_ready=then,
        )

    def reports_opened(self, channel: Channel) -> None:
        self._connection.assert_io_thread()
        self._reports = channel
        self._consume_reports()

    def lost(self) -> None:
        self._connection.assert_io_thread()
        self._reports = None

    def want_reports(self, connection: int) -> None:
        """Consume the reports as soon as their channel is open, if this is still the connection.

        Not before the service asks: it first looks who was active last, and one that stalls does not ask.
        """
        self._connection.assert_io_thread()
        self._wanted_for = connection
        self._consume_reports()

    def _consume_reports(self) -> None:
        if self._reports is None or self._wanted_for != self._inbox.connection:
            return
        channel, self._reports = self._reports, None
        channel.consume(
            names.REPORTS_QUEUE,
            self._inbox.put_delivery,
            tag=self._tag,
            prefetch=self._prefetch,
            on_cancelled=lambda: self._deleted(channel, names.REPORTS_QUEUE),
        )

    def _deleted(self, channel: Channel, queue: str) -> None:
        self._on_failed(channel, TopologyMissingError(f"The queue {queue} was deleted."))
