"""The service's ticks, and two watchdogs that run with each: for a stalled service thread and for a dead queue."""

import logging
import time
import uuid
from collections.abc import Callable

from schedy.amqp.channel import Channel, Outgoing, PublishOutcome
from schedy.amqp.connection import Connection
from schedy.errors import BrokerError, TopologyMissingError
from schedy.wire import names
from schedy.wire.codec import encode, routing_key
from schedy.wire.service import Tick
from schedy_store.service.broker.ticket_publisher import CONFIRM_SECONDS, TicketPublisher
from schedy_store.service.inbox import Inbox

_log = logging.getLogger(__name__)

_TICK_SECONDS = 1.0
_STALLED_SECONDS = 60.0
"""The longest time that a batch may take before the service counts as stalled."""


class Ticker:
    """Publishes a tick each second, and cuts the connection over a stall or a dead queue. Lives in the I/O thread.

    Ticks have a channel of their own: one that waits for a dead queue must not hold them up.
    """

    def __init__(
        self,
        connection: Connection,
        inbox: Inbox,
        tickets: TicketPublisher,
        *,
        instance: str,
        on_failed: Callable[[Channel, BrokerError], None],
    ) -> None:
        """`on_failed` is called when a tick finds no queue."""
        self._connection = connection
        self._inbox = inbox
        self._tickets = tickets
        self._instance = instance
        self._on_failed = on_failed
        self._confirmed_at = 0.0
        self._channel: Channel | None = None
        self._series = ""
        self._confirmed = 0
        """Ticks of this series that the broker has confirmed."""

    def opened(self, channel: Channel, then: Callable[[], None]) -> None:
        """Tick over this channel until it closes; call `then` once the broker has taken the first tick."""
        self._connection.assert_io_thread()
        self._confirmed_at = time.monotonic()
        self._channel, self._series, self._confirmed = channel, uuid.uuid4().hex, 0

        def _ready() -> None:
            self._tick(channel)
            channel.flush(then)

        channel.confirm(_ready)

    def send(self, *, name: str = "", behind: str = "", then: Callable[[bool], None]) -> None:
        """Publish a tick now, and call `then` with whether the broker has taken it; never if the connection is lost."""
        self._connection.assert_io_thread()
        if self._channel is not None:
            self._publish(self._channel, name=name, behind=behind, then=then)

    def _tick(self, channel: Channel) -> None:
        if not channel.is_open:
            return
        self._look_for_stall()
        self._look_for_dead_queue()
        if self._connection.blocked is None:  # else ticks would pile up, and come all at once
            self._publish(channel)
        self._connection.later(_TICK_SECONDS, lambda: self._tick(channel))

    def _publish(
        self, channel: Channel, *, name: str = "", behind: str = "", then: Callable[[bool], None] | None = None
    ) -> None:
        tick = Tick(instance=self._instance, series=self._series, confirmed=self._confirmed, name=name, behind=behind)

        def _outcome(outcome: PublishOutcome) -> None:
            self._answered(channel, outcome)
            if then is not None:
                then(outcome.stored)

        outgoing = Outgoing(names.INBOX_EXCHANGE, routing_key(tick), encode(tick), tick.kind, uuid.uuid4().hex)
        channel.publish(outgoing, _outcome)

    def _answered(self, channel: Channel, outcome: PublishOutcome) -> None:
        self._confirmed_at = time.monotonic()
        self._confirmed += outcome.stored and channel.is_open
        if outcome.returned:
            self._on_failed(
                channel, TopologyMissingError(f"The queue {names.REPORTS_QUEUE} or its binding is missing.")
            )

    def _look_for_stall(self) -> None:
        """Let go of reports that the service thread does not come to."""
        if self._inbox.has_delivered and self._inbox.seconds_since_taken > _STALLED_SECONDS:
            _log.error(
                "The results service has been busy with one batch for %.0f s (is the disk of the store stalled?)."
                " Letting go of the reports, so that another instance can go on.",
                _STALLED_SECONDS,
            )
            self._connection.drop()

    def _look_for_dead_queue(self) -> None:
        """Start again when a queue keeps a ticket waiting while ticks pass: it holds up all tickets behind it.

        Ticks do not pass either once RabbitMQ reads nothing more from us over such a queue; then `Connection` does it.
        """
        late = self._tickets.late_for
        if late is not None and time.monotonic() - self._confirmed_at < CONFIRM_SECONDS / 2:
            _log.warning("The queue %s does not take a ticket.", names.jobs_queue(late))
            self._connection.drop()
