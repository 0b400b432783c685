"""Tickets, each on a channel on which it stays unacknowledged while its job runs."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from schedy.amqp.channel import Channel, Incoming
from schedy.amqp.connection import Connection, Timer
from schedy.errors import BrokerError, BrokerFaultError

_FAULT_PAUSE_SECONDS = 1.0
_SPARE_CHANNELS = 1
"""Left to the calls, which need a new channel when the broker has closed theirs."""


class QueueMissingError(Exception):
    """The experiment has no queue: it is done, deleted, or about to be made."""


class TakingStoppedError(Exception):
    """This process takes no more tickets."""


class ChannelUser(Protocol):
    """A user of a channel for tickets. Its methods are called in the I/O thread."""

    channel: Channel | None

    def go_on(self) -> None:
        """Go on: there is a connection."""

    def lost(self) -> None:
        """Forget the channel, which is gone with the connection."""

    def failed(self, error: BrokerError) -> None:
        """Forget the channel, which the broker has closed."""

    def ended(self) -> None:
        """End: this connection does not come back."""

    def stop(self) -> None:
        """Take no more tickets."""

    def end(self) -> None:
        """Give back what is not used, and take no more."""


class TicketChannels:
    """Channels for tickets, their users, and channels between two of them. Lives in the I/O thread, but for `__init__`.

    It has channels open that are not in use, so that the next user gets one without asking the broker.
    """

    def __init__(self, connection: Connection, *, consumer_tag: str) -> None:
        self.connection = connection
        self.stopped = False
        self.users: set[ChannelUser] = set()
        self._consumer_tag = consumer_tag
        self._tag_numbers = itertools.count(1)
        self._connected = False
        self._failed = False
        """True if the connection was lost by a fault of RabbitMQ, perhaps because of a dead queue."""
        self._idle: list[Channel] = []

    def connected(self) -> None:
        """Let all go on; only after a while if what they do may have broken the broker."""
        self.connection.assert_io_thread()
        self._connected = True
        pause, self._failed = _FAULT_PAUSE_SECONDS if self._failed else 0.0, False
        for user in list(self.users):
            if pause:
                self.connection.later(pause, user.go_on)
            else:
                user.go_on()

    def lost(self, error: BrokerError) -> None:
        self.connection.assert_io_thread()
        self._connected = False
        self._failed = isinstance(error, BrokerFaultError)
        self._idle.clear()
        for user in list(self.users):
            user.lost()

    def ended(self) -> None:
        self.connection.assert_io_thread()
        self._connected = False
        for user in list(self.users):
            user.ended()

    def stop(self) -> None:
        """Take no more tickets, now and from now on."""
        self.connection.assert_io_thread()
        self.stopped = True
        for user in list(self.users):
            user.stop()

    def end(self) -> None:
        """End all users."""
        self.connection.assert_io_thread()
        for user in list(self.users):
            user.end()

    def new_tag(self) -> str:
        """Return the tag of the next consumer."""
        self.connection.assert_io_thread()
        return f"{self._consumer_tag} {next(self._tag_numbers)}"

    def lend(self, on_channel: Callable[[Channel], None]) -> bool:
        """Give a channel now or soon; return False without a connection. Raises BrokerError if there is none left."""
        self.connection.assert_io_thread()
        if not self._connected:
            return False
        while self._idle:
            channel = self._idle.pop()
            if channel.is_open:
                on_channel(channel)
                return True
        if self.connection.free_channels <= _SPARE_CHANNELS:
            raise _no_channel_error(self.connection.most_channels)
        self.connection.open_channel(on_channel, self._channel_closed)
        return True

    def give_back(self, channel: Channel) -> None:
        """Keep an open channel, with nothing unacknowledged and no consumer, for the next user."""
        self.connection.assert_io_thread()
        if channel.is_open:
            self._idle.append(channel)

    def _channel_closed(self, channel: Channel, error: BrokerError) -> None:
        for user in list(self.users):
            if user.channel is channel:
                user.failed(error)


def _no_channel_error(most_channels: int) -> BrokerError:
    return BrokerError(
        f"This process holds too many jobs to take another: RabbitMQ allows it {most_channels} channels"
        " (channel_max), and each job needs one in its first minutes (ticket_hold_seconds).",
        remedy="End some of its jobs first, or use several processes.",
    )


@dataclass(slots=True, eq=False)
class Ticket:
    """A ticket on its channel. Lives in the I/O thread, but for `ack`; ending it twice does nothing."""

    incoming: Incoming
    connection: Connection
    on_over: Callable[["Ticket"], None]
    """Called when the ticket is over."""
    is_over: bool = False
    _timer: Timer | None = None

    def ack(self) -> None:
        """Acknowledge; does nothing if the broker has taken the ticket back. From any thread."""
        self.connection.run(self._ack)

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Call after this time, unless the ticket is over by then."""
        self.connection.assert_io_thread()
        self._timer = self.connection.later(seconds, action)

    def discard(self) -> None:
        """Reject a ticket that cannot be read: the broker sends it to the dead letters."""
        if self.end():
            self.incoming.channel.reject(self.incoming.tag)
            self.on_over(self)

    def give_back(self) -> None:
        """Give the ticket back to its queue."""
        if self.end():
            self.incoming.channel.give_back(self.incoming.tag)
            self.on_over(self)

    def end(self) -> bool:
        """Note that the ticket is over; False if it was already."""
        self.connection.assert_io_thread()
        was_over, self.is_over = self.is_over, True
        if not was_over and self._timer is not None:
            self.connection.cancel_timer(self._timer)
        return not was_over

    def _ack(self) -> None:
        if self.end():
            self.incoming.channel.ack(self.incoming.tag)
            self.on_over(self)
