"""Taking tickets from an experiment's queue.

A ticket is taken on a channel of its own and stays unacknowledged while its job runs. No ticket stays in a process
that is not asking for one: a consumer has room for one message and is cancelled with the first.
"""

import itertools
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field

from schedy.amqp.channel import Channel, Incoming
from schedy.amqp.connection import Connection, Timer
from schedy.errors import BrokerError, BrokerFaultError, BrokerUnreachableError, TopologyMissingError
from schedy.worker.calls import closed_error

_FAULT_PAUSE_SECONDS = 1.0


class QueueMissingError(Exception):
    """The experiment has no queue: it is done, deleted, or about to be made."""


class ConnectionLostError(Exception):
    """The connection went while a ticket was waited for; ask again."""


class BrokerBrokenError(ConnectionLostError):
    """The broker failed over what it was asked, perhaps because of a dead queue, which the service makes anew."""


@dataclass(slots=True, eq=False)
class HeldTicket:
    """A ticket taken and not yet acknowledged. Thread-safe; acknowledging twice does nothing."""

    incoming: Incoming
    _source: "TicketSource"
    _timer: Timer | None = None
    _acked: bool = False

    @property
    def body(self) -> bytes:
        return self.incoming.body

    def ack(self) -> None:
        """Acknowledge. If the broker has taken the ticket back meanwhile, nothing happens."""
        self._source.connection.run(self._ack)

    def ack_later(self, seconds: float) -> None:
        """Acknowledge when the job has run for so long, so that no timeout of the broker matters."""
        self._source.connection.run(lambda: self._start_timer(seconds))

    def give_up(self) -> None:
        """Give the ticket back to its queue, for another."""
        self._source.connection.run(self._give_up)

    def _give_up(self) -> None:
        if not self._acked:
            self._acked = True
            self.incoming.channel.close()

    def discard(self) -> None:
        """Refuse a ticket that cannot be read: the broker sends it to the dead letters."""
        self._source.connection.run(self._discard)

    def _start_timer(self, seconds: float) -> None:
        if not self._acked:
            self._timer = self._source.connection.later(seconds, self._ack)

    def _ack(self) -> None:
        if self._acked:
            return
        self._acked = True
        if self._timer is not None:
            self._source.connection.cancel_timer(self._timer)
        self.incoming.channel.ack(self.incoming.tag)
        self._source.give_back(self.incoming.channel)

    def _discard(self) -> None:
        if not self._acked:
            self._acked = True
            self.incoming.channel.reject(self.incoming.tag)
            self._source.give_back(self.incoming.channel)


@dataclass(slots=True, eq=False)
class _Pull:
    """One attempt to take a ticket."""

    queue: str
    waits: bool
    result: "Future[Incoming | None]" = field(default_factory=Future)
    channel: Channel | None = None
    opening: bool = False
    taken: bool = False
    tag: str = ""

    def resolve(self, incoming: Incoming | None) -> None:
        if not self.result.done():
            self.result.set_result(incoming)

    def fail(self, error: Exception) -> None:
        if not self.result.done():
            self.result.set_exception(error)


class TicketSource:
    """Takes tickets over a broker's connection; `take` from any thread, the rest in the I/O thread."""

    def __init__(
        self, connection: Connection, *, consumer_tag: str, last_error: Callable[[], BrokerError | None]
    ) -> None:
        self.connection = connection
        self._consumer_tag = consumer_tag
        self._tag_numbers = itertools.count(1)
        self._last_error = last_error
        self._connected = False
        self._idle: list[Channel] = []
        self._pulls: set[_Pull] = set()

    def take(self, queue: str, *, wait_seconds: float | None, patience_seconds: float) -> HeldTicket | None:
        """Take the next ticket, waiting `wait_seconds` for one (None: for ever); None if none came.

        Without a connection it waits at least `patience_seconds` for one, then raises BrokerError. Raises
        QueueMissingError and PermissionDeniedError.
        """
        deadline = None if wait_seconds is None else time.monotonic() + wait_seconds
        patience_ends = time.monotonic() + patience_seconds
        while True:
            try:
                return self._take_once(queue, deadline, patience_ends)
            except BrokerBrokenError:
                time.sleep(_FAULT_PAUSE_SECONDS)
            except ConnectionLostError:
                continue

    def _take_once(self, queue: str, deadline: float | None, patience_ends: float) -> HeldTicket | None:
        patience = None if deadline is None else max(deadline, patience_ends) - time.monotonic()
        incoming = self._pull(queue, patience, waits=False)
        if incoming is None:
            remaining = None if deadline is None else deadline - time.monotonic()
            if remaining is not None and remaining <= 0:
                return None
            incoming = self._pull(queue, remaining, waits=True)
        return None if incoming is None else HeldTicket(incoming, self)

    def _pull(self, queue: str, timeout_seconds: float | None, *, waits: bool) -> Incoming | None:
        pull = _Pull(queue, waits)
        try:
            if not self.connection.is_alive:
                raise closed_error()
            self.connection.run(lambda: self._begin(pull))
            incoming = pull.result.result(timeout_seconds if timeout_seconds is None else max(0.0, timeout_seconds))
            pull.taken = incoming is not None
            return incoming
        except FutureTimeoutError:
            error = self._last_error()
            if error is not None:
                raise error from None
            if not waits:
                raise BrokerUnreachableError("RabbitMQ does not answer. Is it overloaded or out of memory?") from None
            return None
        finally:
            self.connection.run(lambda: self._end(pull))

    def connected(self) -> None:
        self._connected = True
        for pull in list(self._pulls):
            if pull.channel is None and not pull.opening and not pull.result.done():
                self._begin(pull)

    def lost(self, error: BrokerError) -> None:
        self._connected = False
        self._idle.clear()
        reason = BrokerBrokenError() if isinstance(error, BrokerFaultError) else ConnectionLostError()
        for pull in list(self._pulls):
            pull.opening = False
            if pull.channel is not None:
                pull.fail(reason)

    def ended(self) -> None:
        """Nobody waits for a connection that will not come back."""
        self._connected = False
        for pull in list(self._pulls):
            pull.fail(closed_error())

    def give_back(self, channel: Channel) -> None:
        """Keep an open channel, with nothing unacknowledged, for the next pull."""
        if channel.is_open:
            self._idle.append(channel)

    def _begin(self, pull: _Pull) -> None:
        self._pulls.add(pull)
        if not self._connected:
            return
        while self._idle:
            channel = self._idle.pop()
            if channel.is_open:
                self._start(pull, channel)
                return
        pull.opening = True
        self.connection.open_channel(lambda opened: self._start(pull, opened), self._channel_closed)

    def _start(self, pull: _Pull, channel: Channel) -> None:
        if pull not in self._pulls:
            self.give_back(channel)
            return
        pull.opening = False
        pull.channel = channel
        if pull.waits:
            pull.tag = f"{self._consumer_tag} {next(self._tag_numbers)}"
            channel.consume(
                pull.queue,
                lambda incoming: self._delivered(pull, incoming),
                tag=pull.tag,
                prefetch=1,
                on_cancelled=lambda: pull.fail(QueueMissingError()),
            )
        else:
            channel.get(pull.queue, lambda incoming: self._got(pull, incoming))

    def _got(self, pull: _Pull, incoming: Incoming | None) -> None:
        if incoming is None and pull.channel is not None:
            self.give_back(pull.channel)
            pull.channel = None
        pull.resolve(incoming)

    def _delivered(self, pull: _Pull, incoming: Incoming) -> None:
        if pull in self._pulls and not pull.result.done():
            incoming.channel.cancel(pull.tag, lambda: None)
            pull.resolve(incoming)

    def _end(self, pull: _Pull) -> None:
        """The asking thread has left: whatever it did not take goes back."""
        self._pulls.discard(pull)
        if pull.channel is not None and not pull.taken:
            pull.channel.close()

    def _channel_closed(self, channel: Channel, error: BrokerError) -> None:
        for pull in list(self._pulls):
            if pull.channel is channel:
                pull.fail(QueueMissingError() if isinstance(error, TopologyMissingError) else error)
