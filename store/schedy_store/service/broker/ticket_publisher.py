"""Publishing tickets into the queues of experiments."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from schedy.amqp.channel import Channel, Outgoing, PublishOutcome
from schedy.amqp.connection import Connection
from schedy.wire import names
from schedy.wire.codec import encode
from schedy_store.lifecycle.tickets import TicketKey, WantedTicket
from schedy_store.service.broker.jobs_queues import JobsQueues
from schedy_store.service.inbox import Inbox


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """A ticket that the broker has not confirmed yet, by its experiment, and when it was published."""

    experiment: str
    published_at: float


class TicketPublisher:
    """Publishes tickets, and puts into the inbox which of them the broker has. Lives in the I/O thread."""

    def __init__(
        self,
        connection: Connection,
        queues: JobsQueues,
        inbox: Inbox,
        *,
        on_published: Callable[[int], None],
    ) -> None:
        self._connection = connection
        self._queues = queues
        self._inbox = inbox
        self._on_published = on_published
        self._channel: Channel | None = None
        self._unconfirmed: dict[TicketKey, Unconfirmed] = {}
        """Oldest first."""

    def opened(self, channel: Channel) -> None:
        """Publish over this channel, on which confirms are on."""
        self._connection.assert_io_thread()
        self._channel = channel

    def lost(self) -> None:
        self._connection.assert_io_thread()
        self._channel = None
        self._unconfirmed.clear()

    def publish(self, wanted: WantedTicket) -> None:
        """Publish a ticket once its queue is there."""
        self._connection.assert_io_thread()
        self._queues.want(
            wanted.ticket.experiment, lambda: self._publish(wanted), lambda: self._inbox.put_returned(wanted.key)
        )

    @property
    def oldest_unconfirmed(self) -> Unconfirmed | None:
        return next(iter(self._unconfirmed.values()), None)

    def give_up_waiting(self, experiment: str) -> None:
        """Wait for no confirm any more, since the queue of this experiment gives none."""
        self._connection.assert_io_thread()
        self._queues.suspect([experiment])
        self._unconfirmed.clear()

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
        self._unconfirmed[wanted.key] = Unconfirmed(ticket.experiment, time.monotonic())
        self._channel.publish(outgoing, lambda outcome: self._answered(wanted, outcome))

    def _answered(self, wanted: WantedTicket, outcome: PublishOutcome) -> None:
        self._unconfirmed.pop(wanted.key, None)
        if outcome.stored:
            self._inbox.put_confirmed(wanted.key)
            self._on_published(wanted.key[0])
            return
        if outcome.returned:
            self._queues.forget(wanted.ticket.experiment)
        else:
            self._queues.suspect([wanted.ticket.experiment])
        self._inbox.put_returned(wanted.key)
