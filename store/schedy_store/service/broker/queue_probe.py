"""The probe for jobs queues that are dead on the broker (`jobs_queues` explains how that happens).

A dead queue looks like an empty one until a message is asked of it. That hangs, or ends the whole connection with an
internal error: so the probe has a connection of its own, for as long as there is something to look at.
"""

from collections import deque
from collections.abc import Callable, Iterable

from schedy.amqp.channel import Channel, Incoming
from schedy.amqp.connection import Connection, Timer
from schedy.errors import BrokerError, BrokerFaultError
from schedy.settings import Settings
from schedy.wire import names

_PATIENCE_SECONDS = 5.0


class QueueProbe:
    """Looks at queues one after the other, once, then closes its connection. Lives in the I/O thread of `connection`.

    Its owner starts the connection, and may cut it before that. `on_dead` is called in the I/O thread, too.
    """

    def __init__(
        self, settings: Settings, *, instance: str, experiments: Iterable[str], on_dead: Callable[[str], None]
    ) -> None:
        self._on_dead = on_dead
        self._left = deque(experiments)
        self._asked: str | None = None
        """The experiment whose queue was asked for a message and has not answered yet."""
        self._timer: Timer | None = None
        self.connection = Connection(
            settings,
            name=f"schedy service {instance} looking for dead queues",
            on_connected=self._next,
            on_lost=self._lost,
        )

    def _next(self) -> None:
        self._stop_waiting()
        if not self._left:
            self.connection.begin_close()
            return
        self.connection.open_channel(self._look, lambda _channel, _error: self._missing())

    def _look(self, channel: Channel) -> None:
        queue = names.jobs_queue(self._left[0])

        def _counted(messages: int, consumers: int) -> None:
            if messages or consumers:
                self._lives(channel)
                return
            self._asked = self._left[0]
            self._timer = self.connection.later(_PATIENCE_SECONDS, self._hangs)
            channel.get(queue, lambda incoming: self._got(channel, incoming))

        channel.count(queue, _counted)

    def _got(self, channel: Channel, _incoming: Incoming | None) -> None:
        """Go on: the queue lives. A ticket that has come this very moment goes back with its channel."""
        self._lives(channel)

    def _lives(self, channel: Channel) -> None:
        self._left.popleft()
        channel.close()
        self._next()

    def _missing(self) -> None:
        """Go on after a queue that does not exist any more, or that must not be looked at."""
        if self._left:
            self._left.popleft()
        self._next()

    def _hangs(self) -> None:
        self._timer = None
        self._dead()
        self.connection.drop()

    def _lost(self, error: BrokerError) -> None:
        if self._asked is not None and isinstance(error, BrokerFaultError):
            self._dead()
        self._stop_waiting()

    def _dead(self) -> None:
        if self._asked is not None:
            self._on_dead(self._asked)
            self._asked = None
            self._left.popleft()

    def _stop_waiting(self) -> None:
        self._asked = None
        if self._timer is not None:
            self.connection.cancel_timer(self._timer)
            self._timer = None
