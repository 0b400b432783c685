"""The results service's channels, opened again after each connect."""

from collections.abc import Callable

from schedy.amqp.channel import Channel, Incoming
from schedy.amqp.connection import Connection
from schedy.errors import BrokerError, BrokerFaultError
from schedy.settings import Settings
from schedy.wire import names
from schedy_store.service.broker.dead_letters import DeadLetters
from schedy_store.service.broker.jobs_queues import JobsQueues
from schedy_store.service.broker.replies import Replies
from schedy_store.service.broker.subscription import Subscription
from schedy_store.service.broker.ticker import Ticker
from schedy_store.service.broker.ticket_publisher import TicketPublisher
from schedy_store.service.broker.tickets_under_way import TicketsUnderWay
from schedy_store.service.inbox import Inbox


class Channels:
    """The service's connection with all that lives in its I/O thread, as this class does.

    Each part gets its channel when there is a connection, and forgets it when that is lost.
    """

    def __init__(
        self, settings: Settings, inbox: Inbox, *, instance: str, on_request: Callable[[Incoming], None]
    ) -> None:
        self._inbox = inbox
        self.connection = Connection(
            settings,
            name=f"schedy service {instance}",
            on_connected=self._connected,
            on_lost=self._lost,
        )
        under_way = TicketsUnderWay()
        self.queues = JobsQueues(self.connection, under_way, on_recreated=inbox.put_recreated)
        self.replies = Replies(self.connection, inbox)
        self.tickets = TicketPublisher(
            self.connection, self.queues, under_way, inbox, on_published=self.replies.ticket_published
        )
        self.dead_letters = DeadLetters(self.connection)
        self.subscription = Subscription(
            self.connection,
            inbox,
            instance=instance,
            batch_messages=settings.batch_messages,
            on_request=on_request,
            on_failed=self._failed,
        )
        self.ticker = Ticker(self.connection, inbox, self.tickets, instance=instance, on_failed=self._failed)

    def _connected(self) -> None:
        self.queues.lost()
        self._inbox.connected()
        self.connection.open_channel(self._publishing_opened, self._failed)

    def _publishing_opened(self, channel: Channel) -> None:
        """Open the others once there is a channel with confirms for tickets and dead letters.

        One after the other, the reports last: no report is handled before all else has been seen to work.
        """

        def _ready() -> None:
            self.tickets.opened(channel)
            self.dead_letters.opened(channel)
            self.replies.open()
            self.connection.open_channel(lambda ticks: self.ticker.opened(ticks, self._ticking), self._failed)

        channel.confirm(_ready)

    def _ticking(self) -> None:
        self.connection.open_channel(lambda reads: self.subscription.reads_opened(reads, self._reading), self._failed)

    def _reading(self) -> None:
        self.connection.open_channel(self.subscription.reports_opened, self._failed)

    def _failed(self, _channel: Channel, error: BrokerError) -> None:
        """Start again with a new connection when a channel with state has closed; the service thread says why."""
        self._inbox.channel_failed(error)
        self.connection.drop()

    def _lost(self, error: BrokerError) -> None:
        self._inbox.lost(_explained(error, has_delivered=self._inbox.has_delivered))
        for part in (self.tickets, self.dead_letters, self.replies, self.subscription, self.queues):
            part.lost()


def _explained(error: BrokerError, *, has_delivered: bool) -> BrokerError:
    """Say so if RabbitMQ has ended the connection over its own fault before a report came: our queues are lost."""
    if has_delivered or not isinstance(error, BrokerFaultError):
        return error
    return BrokerFaultError(
        f"{error} If this goes on, RabbitMQ has lost {names.REPORTS_QUEUE} or {names.REQUESTS_QUEUE}: `schedy doctor`"
        " says which, and what to do."
    )
