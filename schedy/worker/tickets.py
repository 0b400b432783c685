"""Taking tickets from an experiment's queue.

A ticket is taken on a channel of its own and stays unacknowledged while its job runs. No ticket stays in a process
that is not asking for one: a consumer has room for one message and is cancelled with the first.
"""

import itertools
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field

from schedy.amqp.channel import Channel, Incoming
from schedy.amqp.connection import Connection, Timer
from schedy.errors import BrokerError, BrokerFaultError, BrokerUnreachableError, TopologyMissingError
from schedy.worker.call_table import closed_error
from schedy.worker.calls import Calls

_FAULT_PAUSE_SECONDS = 1.0
_SPARE_CHANNELS = 1
"""Left to the calls, which need a new channel when the broker has closed theirs."""


class QueueMissingError(Exception):
    """The experiment has no queue: it is done, deleted, or about to be made."""


class ConnectionLostError(Exception):
    """The connection went while a ticket was waited for; ask again."""


class BrokerBrokenError(ConnectionLostError):
    """The broker failed over what it was asked, perhaps because of a dead queue, which the service makes again."""


class TakingStoppedError(Exception):
    """This process takes no more tickets."""


class HeldTicket:
    """A ticket taken and not yet acknowledged. Any thread may use it; acknowledging twice does nothing."""

    def __init__(self, delivered: "_DeliveredTicket", calls: Calls) -> None:
        self.body = delivered.incoming.body
        self._delivered = delivered
        self._connection = calls.connection

    def ack(self) -> None:
        """Acknowledge; does nothing if the broker has taken the ticket back."""
        self._connection.run(self._delivered.ack)

    def ack_later(self, seconds: float) -> None:
        """Acknowledge when the job has run for this time, so that no timeout of the broker matters."""
        self._connection.run(lambda: self._delivered.ack_later(seconds))

    def discard(self) -> None:
        """Reject a ticket that cannot be read: the broker sends it to the dead letters."""
        self._connection.run(self._delivered.discard)


@dataclass(slots=True)
class Taking:
    """The latest attempt of a thread to take a ticket: known from before it starts, so that it can always be ended."""

    attempt: "_Attempt | None" = None


class TicketSource:
    """Takes tickets over the connection of this process. Any thread may use it."""

    def __init__(self, calls: Calls, *, consumer_tag: str) -> None:
        self._calls = calls
        self._connection = calls.connection
        self._channels = TicketChannels(calls.connection, consumer_tag=consumer_tag)
        calls.listen(on_ready=self._channels.connected, on_lost=self._channels.lost, on_ended=self._channels.ended)

    def stop(self) -> None:
        """Take no more tickets: those who wait for one get TakingStoppedError, and all who want one later."""
        self._connection.run(self._channels.stop)

    def stop_sometime(self) -> None:
        """Stop as `stop` does, within a second; from anywhere, also from a signal handler."""
        self._connection.run_sometime(self._channels.stop)

    def take(
        self, queue: str, taking: Taking, *, wait_seconds: float | None, patience_seconds: float
    ) -> HeldTicket | None:
        """Take the next ticket, waiting `wait_seconds` for one (None: for ever); None if none came.

        If anything is raised, here or before the ticket is over, the caller abandons `taking`.

        Without a connection it waits at least `patience_seconds` for one, then raises BrokerError. Raises
        QueueMissingError, TakingStoppedError and PermissionDeniedError.
        """
        deadline = None if wait_seconds is None else time.monotonic() + wait_seconds
        patience_ends = time.monotonic() + patience_seconds
        while True:
            try:
                return self._take_once(queue, taking, deadline, patience_ends)
            except BrokerBrokenError:
                time.sleep(_FAULT_PAUSE_SECONDS)
            except ConnectionLostError:
                continue

    def abandon(self, taking: Taking) -> None:
        """End the latest attempt; a ticket that it has got goes back to its queue, unless it is over."""
        attempt = taking.attempt
        if attempt is not None:
            self._connection.run(lambda: self._channels.abandon(attempt))

    def _take_once(self, queue: str, taking: Taking, deadline: float | None, patience_ends: float) -> HeldTicket | None:
        patience = None if deadline is None else max(deadline, patience_ends) - time.monotonic()
        delivered = self._attempt(_Attempt(queue, waits=False), taking, patience)
        if delivered is None:
            remaining = None if deadline is None else deadline - time.monotonic()
            if remaining is not None and remaining <= 0:
                return None
            delivered = self._attempt(_Attempt(queue, waits=True), taking, remaining)
        return None if delivered is None else HeldTicket(delivered, self._calls)

    def _attempt(self, attempt: "_Attempt", taking: Taking, timeout_seconds: float | None) -> "_DeliveredTicket | None":
        taking.attempt = attempt
        taken: _DeliveredTicket | None = None
        try:
            if not self._connection.is_alive:
                raise closed_error()
            self._connection.run(lambda: self._channels.start(attempt))
            taken = attempt.result.result(timeout_seconds if timeout_seconds is None else max(0.0, timeout_seconds))
            return taken
        except FutureTimeoutError:
            error = self._calls.last_error
            if error is not None:
                raise error from None
            if not attempt.waits:
                raise BrokerUnreachableError("RabbitMQ does not answer. Is it overloaded or out of memory?") from None
            return None
        finally:
            if taken is None:
                self.abandon(taking)
            else:
                self._connection.run(lambda: self._channels.end(attempt))


@dataclass(slots=True, eq=False)
class _Attempt:
    """One attempt to take a ticket. Any thread waits for `result`; all else lives in the I/O thread."""

    queue: str
    waits: bool
    """True to consume until a ticket comes, False to look once."""
    result: "Future[_DeliveredTicket | None]" = field(default_factory=Future)
    channel: Channel | None = None
    opening: bool = False
    tag: str = ""

    def resolve(self, ticket: "_DeliveredTicket | None") -> None:
        if not self.result.done():
            self.result.set_result(ticket)

    def fail(self, error: Exception) -> None:
        if not self.result.done():
            self.result.set_exception(error)

    @property
    def delivered(self) -> "_DeliveredTicket | None":
        """The ticket that has come."""
        has_ended_well = self.result.done() and self.result.exception() is None
        return self.result.result() if has_ended_well else None


class TicketChannels:
    """The attempts under way, and channels between two of them. Lives in the I/O thread, but for `__init__`."""

    def __init__(self, connection: Connection, *, consumer_tag: str) -> None:
        self.connection = connection
        self._consumer_tag = consumer_tag
        self._tag_numbers = itertools.count(1)
        self._connected = False
        self._stopped = False
        self._idle: list[Channel] = []
        self._attempts: set[_Attempt] = set()

    def connected(self) -> None:
        """Go on with the attempts that waited for a connection."""
        self.connection.assert_io_thread()
        self._connected = True
        for attempt in list(self._attempts):
            if attempt.channel is None and not attempt.opening and not attempt.result.done():
                self.start(attempt)

    def lost(self, error: BrokerError) -> None:
        """Fail the attempts that had a channel: each may be made again."""
        self.connection.assert_io_thread()
        self._connected = False
        self._idle.clear()
        reason = BrokerBrokenError() if isinstance(error, BrokerFaultError) else ConnectionLostError()
        for attempt in list(self._attempts):
            attempt.opening = False
            if attempt.channel is not None:
                attempt.fail(reason)

    def ended(self) -> None:
        """Fail all attempts: this connection does not come back."""
        self.connection.assert_io_thread()
        self._connected = False
        for attempt in list(self._attempts):
            attempt.fail(closed_error())

    def stop(self) -> None:
        """Fail all attempts that have no ticket, now and from now on."""
        self.connection.assert_io_thread()
        self._stopped = True
        for attempt in list(self._attempts):
            attempt.fail(TakingStoppedError())

    def start(self, attempt: _Attempt) -> None:
        """Start an attempt, now or once there is a connection."""
        self.connection.assert_io_thread()
        if self._stopped:
            attempt.fail(TakingStoppedError())
            return
        self._attempts.add(attempt)
        if not self._connected:
            return
        while self._idle:
            channel = self._idle.pop()
            if channel.is_open:
                self._look(attempt, channel)
                return
        if self.connection.free_channels <= _SPARE_CHANNELS:
            attempt.fail(_no_channel_error(self.connection.most_channels))
            return
        attempt.opening = True
        self.connection.open_channel(lambda opened: self._look(attempt, opened), self._channel_closed)

    def end(self, attempt: _Attempt) -> None:
        """End an attempt whose thread has its ticket."""
        self.connection.assert_io_thread()
        self._attempts.discard(attempt)

    def abandon(self, attempt: _Attempt) -> None:
        """End an attempt whose thread has left; a ticket that is not over goes back to the queue."""
        self.end(attempt)
        ticket = attempt.delivered
        if ticket is not None:
            ticket.give_up()
        elif attempt.channel is not None:
            attempt.channel.close()

    def give_back(self, channel: Channel) -> None:
        """Keep an open channel, with nothing unacknowledged, for the next attempt."""
        self.connection.assert_io_thread()
        if channel.is_open:
            self._idle.append(channel)

    def _look(self, attempt: _Attempt, channel: Channel) -> None:
        if attempt not in self._attempts:
            self.give_back(channel)
            return
        attempt.opening = False
        attempt.channel = channel
        if attempt.waits:
            attempt.tag = f"{self._consumer_tag} {next(self._tag_numbers)}"
            channel.consume(
                attempt.queue,
                lambda incoming: self._delivered(attempt, incoming),
                tag=attempt.tag,
                prefetch=1,
                on_cancelled=lambda: attempt.fail(QueueMissingError()),
            )
        else:
            channel.get(attempt.queue, lambda incoming: self._got(attempt, incoming))

    def _got(self, attempt: _Attempt, incoming: Incoming | None) -> None:
        if incoming is None and attempt.channel is not None:
            self.give_back(attempt.channel)
            attempt.channel = None
        attempt.resolve(None if incoming is None else _DeliveredTicket(incoming, self))

    def _delivered(self, attempt: _Attempt, incoming: Incoming) -> None:
        if attempt in self._attempts and not attempt.result.done():
            incoming.channel.cancel(attempt.tag, lambda: None)
            attempt.resolve(_DeliveredTicket(incoming, self))

    def _channel_closed(self, channel: Channel, error: BrokerError) -> None:
        for attempt in list(self._attempts):
            if attempt.channel is channel:
                attempt.fail(QueueMissingError() if isinstance(error, TopologyMissingError) else error)


def _no_channel_error(most_channels: int) -> BrokerError:
    return BrokerError(
        f"This process holds too many jobs to take another: RabbitMQ allows it {most_channels} channels"
        " (channel_max), and each job needs one in its first minutes (ticket_hold_seconds).",
        remedy="End some of its jobs first, or use several processes.",
    )


@dataclass(slots=True, eq=False)
class _DeliveredTicket:
    """A ticket on its channel, not acknowledged yet. Lives in the I/O thread; ending it twice does nothing."""

    incoming: Incoming
    _channels: TicketChannels
    _timer: Timer | None = None
    _over: bool = False

    def ack(self) -> None:
        """Acknowledge; does nothing if the broker has taken the ticket back."""
        if self._end():
            self.incoming.channel.ack(self.incoming.tag)
            self._channels.give_back(self.incoming.channel)

    def ack_later(self, seconds: float) -> None:
        """Acknowledge after this time."""
        self._channels.connection.assert_io_thread()
        if not self._over:
            self._timer = self._channels.connection.later(seconds, self.ack)

    def discard(self) -> None:
        """Reject: the broker sends the ticket to the dead letters."""
        if self._end():
            self.incoming.channel.reject(self.incoming.tag)
            self._channels.give_back(self.incoming.channel)

    def give_up(self) -> None:
        """Give the ticket back to its queue."""
        if self._end():
            self.incoming.channel.close()

    def _end(self) -> bool:
        """Note that the ticket is over; False if it was already."""
        self._channels.connection.assert_io_thread()
        was_over, self._over = self._over, True
        if not was_over and self._timer is not None:
            self._channels.connection.cancel_timer(self._timer)
        return not was_over
