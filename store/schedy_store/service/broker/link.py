"""The results service's side of the broker, as the service thread sees it.

The broker makes one instance the consumer of the reports. Unacknowledged reports are never cancelled or closed in
good order, since the next instance would then see later ones first: `Link.end` and the watchdogs of the I/O thread
cut the connection, and the broker puts them back in their old order.
"""

import logging
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from functools import partial

from schedy.amqp.channel import Incoming
from schedy.errors import BrokerError
from schedy.settings import Settings
from schedy.wire.answers import Refusal
from schedy.wire.base import Answer
from schedy_store.lifecycle.effects import QueueChange
from schedy_store.lifecycle.tickets import WantedTicket
from schedy_store.service.broker.channels import Channels
from schedy_store.service.broker.queue_probe import QueueProbe
from schedy_store.service.broker.replies import reply_message
from schedy_store.service.inbox import Arrivals, Inbox

_log = logging.getLogger(__name__)

_DEAD_LETTER_SECONDS = 10.0
_LAST_TICK_SECONDS = 1.0


class Link:
    """One subscription to reports and requests, renewed after each reconnect until `end`.

    Lives in the service thread; `reply` and `ack_one` may be called from any. What they ask for happens in the I/O
    thread (`Channels`), in order. What arrives is in `inbox`.
    """

    def __init__(self, settings: Settings, *, instance: str, on_request: Callable[[Incoming], None]) -> None:
        """`on_request` is called in the I/O thread."""
        self._settings = settings
        self._instance = instance
        self.inbox = Inbox()
        self._channels = Channels(settings, self.inbox, instance=instance, on_request=on_request)
        self._connection = self._channels.connection
        self._probe: QueueProbe | None = None

    def start(self) -> None:
        self._connection.start()

    def end(self) -> None:
        """Cut the connection; what is unacknowledged goes back."""
        self._connection.abandon()
        if self._probe is not None:
            self._probe.connection.abandon()

    def take(self, *, wait_seconds: float, most: int, most_bytes: int) -> Arrivals:
        """Return what has arrived, as `Inbox.take` does. Raises BrokerError if the I/O thread has ended."""
        if not self._connection.is_alive:
            raise BrokerError("The connection's thread has ended.")
        return self.inbox.take(wait_seconds=wait_seconds, most=most, most_bytes=most_bytes)

    def subscribe(self, connection: int) -> None:
        """Take reports over this connection: become the active instance, or the next one in line."""
        self._connection.run(lambda: self._channels.subscription.want_reports(connection))

    def ack(self, last: Incoming) -> None:
        """Acknowledge this report and all before it."""
        self._connection.run(lambda: last.channel.ack(last.tag, multiple=True))

    def ack_one(self, request: Incoming) -> None:
        self._connection.run(lambda: request.channel.ack(request.tag))

    def reply(self, incoming: Incoming, answer: Answer) -> None:
        """Answer a message, if its sender wants an answer."""
        reply = reply_message(incoming, answer)
        if reply is not None:
            self._connection.run(lambda: self._channels.replies.send(reply))

    def reply_after(self, jobs: set[int], send: Callable[[], None]) -> None:
        """Call `send` (in the I/O thread) once the tickets of these jobs are published; before they are."""
        self._connection.run(lambda: self._channels.replies.hold(jobs, send))

    def publish_tickets(self, tickets: Iterable[WantedTicket]) -> None:
        """Publish tickets; they arrive in the inbox as confirmed or returned."""
        for wanted in tickets:
            self._connection.run(partial(self._channels.tickets.publish, wanted))

    def change_queue(self, change: QueueChange, experiment: str, then: Callable[[], None]) -> None:
        """Create, empty or delete the queue of an experiment, then call `then` (in the I/O thread)."""
        self._connection.run(lambda: self._channels.queues.change(change, experiment, then))

    def count_ready(self, experiments: dict[int, str]) -> None:
        """Count the tickets in the queues of experiments (names by key); the inbox gets the numbers."""
        for pk, name in experiments.items():
            count = partial(self._channels.queues.count_ready, name, partial(self.inbox.put_queue_length, pk))
            self._connection.run(count)

    def open_queues(self, experiments: Iterable[str]) -> None:
        """Create the queues of these, and create those again that the broker has lost; waits for neither."""
        wanted = list(experiments)
        for name in wanted:
            self._connection.run(partial(self._channels.queues.create, name))
        if self._probe is not None:
            self._probe.connection.run(self._probe.connection.begin_abandon)
        self._probe = None
        if wanted:
            self._probe = QueueProbe(
                self._settings,
                instance=self._instance,
                experiments=wanted,
                on_dead=lambda name: self._connection.run(partial(self._channels.queues.recover, name)),
            )
            self._probe.connection.start()

    def leave_tick(self, name: str) -> bool:
        """Leave a last tick with this name behind all that was received. Waits a second; false if it may be missing."""
        done: Future[bool] = Future()
        self._connection.run(lambda: self._channels.ticker.send(name=name, then=done.set_result))
        try:
            return done.result(_LAST_TICK_SECONDS)
        except FutureTimeoutError:
            return False

    def send_tick(self, *, behind: str) -> None:
        """Send a tick that must come after the one with this name."""
        self._connection.run(lambda: self._channels.ticker.send(behind=behind, then=_nothing))

    def bury(self, incoming: Incoming, reason: str) -> None:
        """Put a message among the dead letters and refuse it to its sender. Blocks until the broker has it.

        Raises BrokerError if the broker does not take it.
        """
        _log.error("A message (%s) goes to the dead letters: %s", incoming.routing_key, reason)
        done: Future[None] = Future()
        self._connection.run(lambda: self._channels.dead_letters.publish(incoming, reason, done))
        try:
            done.result(_DEAD_LETTER_SECONDS)
        except FutureTimeoutError:
            raise BrokerError("The broker does not take a dead letter.") from None
        self.reply(incoming, Refusal(code="invalid", reason=f"The results service cannot handle this: {reason}"))


def _nothing(_stored: bool) -> None:
    """Do nothing: a tick that is lost with its connection is sent again over the next one."""
