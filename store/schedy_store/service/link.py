"""The results service's side of the broker: what arrives is handed over, what goes out is queued to the I/O thread.

The broker makes one instance the consumer of the reports. Unacknowledged reports are never cancelled or closed in
good order, since the next instance would then see later ones first: `Link.drop` and `Link.end` cut the connection,
and the broker puts them back in their old order.
"""

import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field

from schedy.amqp.channel import Channel, Incoming, Outgoing, PublishOutcome
from schedy.amqp.connection import Connection
from schedy.errors import BrokerError, BrokerFaultError
from schedy.settings import Settings
from schedy.wire import names
from schedy.wire.answers import Refusal
from schedy.wire.base import Answer
from schedy.wire.codec import encode, routing_key
from schedy.wire.service import Tick
from schedy_store.lifecycle.effects import QueueChange
from schedy_store.lifecycle.tickets import TicketKey, WantedTicket
from schedy_store.search.wire import SearchAnswer
from schedy_store.service.jobs_queues import JobsQueues
from schedy_store.service.queue_probe import QueueProbe

_log = logging.getLogger(__name__)

_TICK_SECONDS = 1.0
_CONFIRM_SECONDS = 10.0
"""How long a ticket may wait for its confirm while others get theirs."""
_STALLED_SECONDS = 60.0
"""How long the service may be busy with one batch before it counts as stalled."""
_REPLY_SECONDS = 4.0
_REPLY_PREFIX = names.REPLY_QUEUE + "."
_GATHER_SECONDS = 0.25
_BEATS_AT_ONCE = 100
_HEARTBEAT_KEY = names.REPORT_KEY_PREFIX + "heartbeat"
_PREFETCH_READS = 20
_PREFETCH_REPORTS = 200
"""Messages held at once, each of up to a megabyte or so."""
_LARGEST_REPLY_BYTES = 15_000_000
"""RabbitMQ 4 takes 16 MiB."""


@dataclass(slots=True)
class Arrivals:
    """What has come since the last look."""

    deliveries: list[Incoming] = field(default_factory=list)
    landed: list[TicketKey] = field(default_factory=list)
    failed: list[TicketKey] = field(default_factory=list)
    ready_counts: dict[int, int] = field(default_factory=dict)
    remade: set[str] = field(default_factory=set)
    """Experiments whose queue was made anew: the tickets in it are gone."""
    answers: list[SearchAnswer] = field(default_factory=list)
    """What the search process has said."""
    connection: int = 0
    """Which connection this belongs to; grows with each one."""


@dataclass(slots=True, eq=False)
class PendingReply:
    """An answer that goes out, once, when nothing it waits for is left."""

    send: Callable[[], None]
    waiting_for: set[int]
    _sent: bool = False

    def done(self, jobs: Iterable[int]) -> None:
        self.waiting_for.difference_update(jobs)
        if not self.waiting_for and not self._sent:
            self._sent = True
            self.send()


def _nothing() -> None:
    """What is done where nobody waits."""


def _explained(error: BrokerError, *, has_delivered: bool) -> BrokerError:
    """A connection that RabbitMQ ends over its own fault before a report came is ended over our own queues."""
    if has_delivered or not isinstance(error, BrokerFaultError):
        return error
    return BrokerFaultError(
        f"{error} If this goes on, RabbitMQ has lost {names.REPORTS_QUEUE} or {names.REQUESTS_QUEUE}: `schedy doctor`"
        " says which, and what to do."
    )


class Link:
    """One subscription to reports and requests, renewed after each reconnect until `end`.

    Methods may be called from the service's threads; what they ask for happens in the I/O thread, in order.
    """

    def __init__(self, settings: Settings, *, instance: str, on_read: Callable[[Incoming], None]) -> None:
        self._settings = settings
        self._instance = instance
        self._on_read = on_read
        self._arrived = threading.Condition()
        self._deliveries: deque[Incoming] = deque()
        self._rest = Arrivals()
        self._error: BrokerError | None = None
        self._connection = 0
        self._connection_told = 0
        self._reports: Channel | None = None
        self._subscribed_for = 0
        """For which connection the service wants the reports: not before it has looked who was active last."""
        self._replies: Channel | None = None
        self._publishing: Channel | None = None
        self._unconfirmed: dict[TicketKey, tuple[str, float]] = {}
        """Of a ticket that the broker has not confirmed yet, the experiment and since when; oldest first."""
        self._tick_confirmed = 0.0
        self._has_delivered = False
        self._pending: dict[int, PendingReply] = {}
        self._broker = Connection(
            settings,
            name=f"schedy service {instance}",
            on_connected=self._connected,
            on_lost=self._lost,
        )
        self._taken_at = time.monotonic()
        self._queues = JobsQueues(self._broker, on_remade=self._remade)
        self._probe: QueueProbe | None = None

    def start(self) -> None:
        self._broker.start()

    def end(self) -> None:
        """Cut the connection; what is unacknowledged goes back."""
        self._broker.abandon()
        if self._probe is not None:
            self._probe.end()

    def drop(self) -> None:
        """Cut the connection and make a new one."""
        self._broker.drop()

    def take(self, *, wait_seconds: float, most: int, most_bytes: int) -> Arrivals:
        """Return what has arrived, waiting for something if there is nothing; bounded in number and bytes.

        Raises BrokerError if the I/O thread has ended.
        """
        if not self._broker.is_alive:
            raise BrokerError("The connection's thread has ended.")
        self._taken_at = time.monotonic()
        with self._arrived:
            self._arrived.wait_for(self._has_news, wait_seconds)
            if self._has_news() and not self._has_urgent_news():
                self._arrived.wait_for(self._has_urgent_news, _GATHER_SECONDS)
            arrivals, self._rest = self._rest, Arrivals()
            arrivals.connection = self._connection_told = self._connection
            size = 0
            while self._deliveries and len(arrivals.deliveries) < most and size <= most_bytes:
                arrivals.deliveries.append(self._deliveries.popleft())
                size += len(arrivals.deliveries[-1].body)
            return arrivals

    def bring(self, answer: SearchAnswer) -> None:
        """Hand something over that `take` then returns; from any thread."""
        with self._arrived:
            self._rest.answers.append(answer)
            self._arrived.notify_all()

    def subscribe(self, connection: int) -> None:
        """Take reports over this connection: become the active instance, or the next one in line."""

        def _subscribe() -> None:
            self._subscribed_for = connection
            self._consume_reports()

        self._broker.run(_subscribe)

    def _has_urgent_news(self) -> bool:
        """Whether something must not wait; signs of life may, and are cheaper together."""
        beats = len(self._deliveries)
        return (
            self._has_told()
            or self._connection != self._connection_told
            or beats >= _BEATS_AT_ONCE
            or any(delivery.routing_key != _HEARTBEAT_KEY for delivery in self._deliveries)
        )

    def _has_news(self) -> bool:
        return bool(self._deliveries) or self._has_told() or self._connection != self._connection_told

    def _has_told(self) -> bool:
        """Whether the broker has told something about what was published, or the search process has answered."""
        rest = self._rest
        return bool(rest.landed or rest.failed or rest.ready_counts or rest.remade or rest.answers)

    @property
    def error(self) -> BrokerError | None:
        """Why there is no connection, if there is none."""
        return self._error

    def reply(self, incoming: Incoming, answer: Answer) -> None:
        """Answer a message, if it wants one; replies go to RabbitMQ's direct reply queues only."""
        address = incoming.reply_to or ""
        if not address.startswith(_REPLY_PREFIX):
            return
        body = encode(answer)
        if len(body) > _LARGEST_REPLY_BYTES:
            answer = Refusal(
                code="invalid", reason="The answer is too large for a message. Ask for less, with --limit."
            )
            body = encode(answer)
        outgoing = Outgoing(
            "",
            address,
            body,
            answer.kind,
            incoming.correlation_id or "",
            mandatory=False,
        )
        self._broker.run(lambda: self._replies.publish(outgoing) if self._replies else None)

    def reply_after(self, jobs: set[int], send: Callable[[], None]) -> None:
        """Call `send` once the tickets of these jobs are out; before those are published.

        A ticket that does not go out soon (a full window, an experiment paused meanwhile) is not waited for: the
        jobs are stored.
        """
        pending = PendingReply(send, jobs)

        def _register() -> None:
            self._pending.update(dict.fromkeys(jobs, pending))
            self._broker.later(_REPLY_SECONDS, _give_up)
            with self._arrived:
                landed = [job for job, _number in self._rest.landed if job in jobs]
            pending.done(landed)

        def _give_up() -> None:
            for job in pending.waiting_for:
                self._pending.pop(job, None)
            pending.done(list(pending.waiting_for))

        self._broker.run(_register)

    def ack(self, last: Incoming) -> None:
        """Acknowledge this report and all before it."""
        self._broker.run(lambda: last.channel.ack(last.tag, multiple=True))

    def ack_one(self, read: Incoming) -> None:
        self._broker.run(lambda: read.channel.ack(read.tag))

    def publish_tickets(self, tickets: Iterable[WantedTicket]) -> None:
        """Publish tickets; they arrive in `take` as landed or failed."""
        for wanted in tickets:
            self._broker.run(lambda wanted=wanted: self._publish_ticket(wanted))  # type: ignore[misc]

    def publish_dead(self, incoming: Incoming, reason: str) -> "Future[None]":
        """Put a message that cannot be handled among the dead letters; done when the broker has it there."""
        done: Future[None] = Future()
        outgoing = Outgoing(
            names.DEAD_EXCHANGE,
            incoming.routing_key,
            incoming.body,
            "dead",
            uuid.uuid4().hex,
            headers={
                names.DEAD_REASON_HEADER: reason[:1000],
                names.DEAD_SOURCE_HEADER: incoming.routing_key,
                **({names.DEAD_USER_HEADER: incoming.user} if incoming.user else {}),
            },
        )

        def _outcome(outcome: PublishOutcome) -> None:
            if outcome.stored:
                done.set_result(None)
            else:
                done.set_exception(BrokerError("The broker did not take a dead letter. Run `schedy broker setup`."))

        self._broker.run(lambda: self._publishing.publish(outgoing, _outcome) if self._publishing else None)
        return done

    def change_queue(self, change: QueueChange, experiment: str, then: Callable[[], None]) -> None:
        """Make, empty or delete the queue of an experiment, then call back (in the I/O thread)."""
        self._broker.run(lambda: self._queues.change(change, experiment, then))

    def open_queues(self, experiments: Iterable[str]) -> None:
        """Make the queues of these, and make anew those that the broker has lost. Waits for nothing; one thread."""
        wanted = list(experiments)
        for name in wanted:
            self.change_queue("wanted", name, _nothing)
        if self._probe is not None:
            self._probe.leave()
        self._probe = None
        if wanted:
            self._probe = QueueProbe(
                self._settings, instance=self._instance, experiments=wanted, on_dead=self._found_dead
            )
            self._probe.start()

    def _found_dead(self, experiment: str) -> None:
        """Called by the probe, in its thread."""

        def _mend() -> None:
            self._queues.suspect([experiment])
            self._queues.want(experiment, _nothing, _nothing)

        self._broker.run(_mend)

    def count_ready(self, experiments: dict[int, str]) -> None:
        """Look how many tickets are ready; the counts arrive in `take`. A missing queue counts as empty."""
        for number, name in experiments.items():
            self._broker.run(lambda number=number, name=name: self._count_ready(number, name))  # type: ignore[misc]

    # The rest runs in the I/O thread.

    def _connected(self) -> None:
        self._queues.lost()
        with self._arrived:
            self._connection += 1
            self._error = None
            self._arrived.notify_all()
        self._broker.open_channel(self._publishing_opened, self._channel_failed)

    def _publishing_opened(self, channel: Channel) -> None:
        def _ready() -> None:
            self._publishing = channel
            self._broker.open_channel(self._replies_opened, self._replies_closed)
            self._broker.open_channel(self._reads_opened, self._channel_failed)
            self._broker.open_channel(self._reports_opened, self._channel_failed)
            self._broker.open_channel(self._ticking_opened, self._channel_failed)

        channel.confirm(_ready)

    def _ticking_opened(self, channel: Channel) -> None:
        """Ticks have a channel of their own: one that waits for a dead queue must not hold them up."""
        self._tick_confirmed = time.monotonic()
        channel.confirm(lambda: self._tick(channel))

    def _replies_opened(self, channel: Channel) -> None:
        self._replies = channel

    def _replies_closed(self, _channel: Channel, error: BrokerError) -> None:
        """A reply address was unusable: its asker gets nothing, the others go on."""
        _log.warning("Answers could not be sent: %s", error)
        self._replies = None
        self._broker.open_channel(self._replies_opened, self._replies_closed)

    def _reads_opened(self, channel: Channel) -> None:
        channel.consume(
            names.REQUESTS_QUEUE, self._on_read, tag=f"schedy service {self._instance} reads", prefetch=_PREFETCH_READS
        )

    def _reports_opened(self, channel: Channel) -> None:
        self._reports = channel
        self._consume_reports()

    def _consume_reports(self) -> None:
        """Once the channel is open and the service wants them: a service that stalls does not ask for them."""
        if self._reports is None or self._subscribed_for != self._connection:
            return
        channel, self._reports = self._reports, None
        channel.consume(
            names.REPORTS_QUEUE,
            self._delivered,
            tag=f"schedy service {self._instance}",
            prefetch=min(self._settings.batch_messages, _PREFETCH_REPORTS),
            on_cancelled=self.drop,
        )

    def _delivered(self, incoming: Incoming) -> None:
        with self._arrived:
            self._has_delivered = True
            self._deliveries.append(incoming)
            self._arrived.notify_all()

    def _tick(self, channel: Channel) -> None:
        if not channel.is_open:
            return
        if self._has_delivered and self._is_stalled():
            _log.error(
                "The results service has not come round for %.0f s (is the disk of the store stalled?). Letting go of"
                " the reports, so that another instance can go on.",
                _STALLED_SECONDS,
            )
            self._broker.drop()
        self._look_for_dead_queue()
        if self._broker.blocked is None:  # else ticks would pile up, and come all at once
            tick = Tick(instance=self._instance)
            channel.publish(
                Outgoing(names.INBOX_EXCHANGE, routing_key(tick), encode(tick), tick.kind, uuid.uuid4().hex),
                self._tick_told,
            )
        self._broker.later(_TICK_SECONDS, lambda: self._tick(channel))

    def _is_stalled(self) -> bool:
        return time.monotonic() - self._taken_at > _STALLED_SECONDS

    def _tick_told(self, _outcome: PublishOutcome) -> None:
        self._tick_confirmed = time.monotonic()

    def _look_for_dead_queue(self) -> None:
        """A queue that keeps a ticket waiting while ticks pass holds up its channel: begin anew, and look at it."""
        now = time.monotonic()
        experiment, since = next(iter(self._unconfirmed.values()), ("", now))
        if now - since > _CONFIRM_SECONDS and now - self._tick_confirmed < _CONFIRM_SECONDS / 2:
            _log.warning("The queue %s does not take a ticket.", names.jobs_queue(experiment))
            self._queues.suspect([experiment])
            self._unconfirmed.clear()
            self._broker.drop()

    def _remade(self, experiment: str) -> None:
        with self._arrived:
            self._rest.remade.add(experiment)
            self._arrived.notify_all()

    def _channel_failed(self, _channel: Channel, error: BrokerError) -> None:
        """A channel with state has gone: begin anew with a new connection."""
        _log.warning("%s", error)
        self._error = error
        self._broker.drop()

    def _lost(self, error: BrokerError) -> None:
        with self._arrived:
            self._deliveries.clear()
            self._rest = Arrivals(remade=self._rest.remade, answers=self._rest.answers)
            self._connection += 1
            self._error = self._error or _explained(error, has_delivered=self._has_delivered)
            self._has_delivered = False
            self._arrived.notify_all()
        self._publishing = self._replies = self._reports = None
        self._queues.lost()
        self._unconfirmed.clear()
        self._pending.clear()

    def _publish_ticket(self, wanted: WantedTicket) -> None:
        ticket = wanted.ticket
        outgoing = Outgoing(
            names.JOBS_EXCHANGE,
            ticket.experiment,
            encode(ticket),
            ticket.kind,
            f"{wanted.key[0]}.{wanted.key[1]}",
            message_id=ticket.job_id,
        )

        def _publish() -> None:
            if self._publishing is not None:
                self._unconfirmed[wanted.key] = (ticket.experiment, time.monotonic())
                self._publishing.publish(outgoing, lambda outcome: self._ticket_told(wanted, outcome))

        self._queues.want(ticket.experiment, _publish, lambda: self._ticket_failed(wanted.key))

    def _ticket_failed(self, key: TicketKey) -> None:
        with self._arrived:
            self._rest.failed.append(key)
            self._arrived.notify_all()

    def _ticket_told(self, wanted: WantedTicket, outcome: PublishOutcome) -> None:
        self._unconfirmed.pop(wanted.key, None)
        if not outcome.stored:
            if outcome.returned:
                self._queues.forget(wanted.ticket.experiment)
            else:
                self._queues.suspect([wanted.ticket.experiment])
            self._ticket_failed(wanted.key)
            return
        with self._arrived:
            self._rest.landed.append(wanted.key)
            self._arrived.notify_all()
        pending = self._pending.pop(wanted.key[0], None)
        if pending is not None:
            pending.done([wanted.key[0]])

    def _count_ready(self, number: int, experiment: str) -> None:
        def _told(count: int) -> None:
            with self._arrived:
                self._rest.ready_counts[number] = count
                self._arrived.notify_all()

        def _missing(_channel: Channel, _error: BrokerError) -> None:
            self._queues.forget(experiment)
            _told(0)

        def _opened(channel: Channel) -> None:
            def _counted(ready: int, _consumers: int) -> None:
                _told(ready)
                channel.close()

            channel.count(names.jobs_queue(experiment), _counted)

        self._broker.open_channel(_opened, _missing)
