"""Publishing tickets into the queues of experiments."""

import time
from collections.abc import Callable

from schedy.amqp.channel import Channel, Outgoing, PublishOutcome
from schedy.amqp.connection import Connection
from schedy.wire import names
from schedy.wire.codec import encode
from schedy_store.lifecycle.tickets import WantedTicket
from schedy_store.service.broker.jobs_queues import JobsQueues
from schedy_store.service.broker.tickets_under_way import TicketsUnderWay
from schedy_store.service.inbox import Inbox

CONFIRM_SECONDS = 10.0
"""The longest wait of a ticket for its confirm: what keeps it waiting for longer, its queue or all, is started anew."""


class TicketPublisher:
    """Publishes tickets, and puts into the inbox which of them the broker has. Lives in the I/O thread."""

    def __init__(
        self,
        connection: Connection,
        queues: JobsQueues,
        under_way: TicketsUnderWay,
        inbox: Inbox,
        *,
        on_published: Callable[[int], None],
    ) -> None:
        self._connection = connection
        self._queues = queues
        self._inbox = inbox
        self._on_published = on_published
        self._channel: Channel | None = None
        self._under_way = under_way

    def opened(self, channel: Channel) -> None:
        """Publish over this channel, on which confirms are on."""
        self._connection.assert_io_thread()
        self._channel = channel

    def lost(self) -> None:
        self._connection.assert_io_thread()
        self._channel = None
        late = self.late_for
        if late is not None:
            self._queues.suspect([late])
        self._under_way.clear()

    def publish(self, wanted: WantedTicket) -> None:
        """Publish a ticket once its queue is there."""
        self._connection.assert_io_thread()
        self._queues.want(
            wanted.ticket.experiment, lambda: self._publish(wanted), lambda: self._inbox.put_returned(wanted.key)
        )

    @property
    def late_for(self) -> str | None:
        """The experiment whose queue keeps the oldest ticket waiting for too long, if one does."""
        oldest = self._under_way.oldest
        is_late = oldest is not None and time.monotonic() - oldest.published_at > CONFIRM_SECONDS
        return oldest.experiment if oldest is not None and is_late else None

    def _publish(self, wanted: WantedTicket) -> None:
        if self._channel is None:
            return
        job, number = wanted.key
        ticket = wanted.ticket
        outgoing = Outgoing(
            names.JOBS_EXCHANGE,
            ticket.experiment,
            encode(ticket),
            ticket.kind,
            f"{job}.{number}",
            message_id=ticket.job_id,
        )
        self._under_way.add(wanted.key, ticket.experiment)
        self._channel.publish(outgoing, lambda outcome: self._answered(wanted, outcome))

    def _answered(self, wanted: WantedTicket, outcome: PublishOutcome) -> None:
        self._under_way.discard(wanted.key)
        if outcome.stored:
            self._inbox.put_confirmed(wanted.key)
            self._on_published(wanted.key[0])
            return
        if outcome.returned:
            self._queues.forget(wanted.ticket.experiment)
        else:
            self._queues.suspect([wanted.ticket.experiment])
        self._inbox.put_returned(wanted.key)
