"""Steps on a channel, one at a time, each of which the broker may refuse by closing the channel."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from schedy.amqp.channel import Channel
from schedy.amqp.connection import Connection
from schedy.errors import BrokerError

Action = Callable[[], None]


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """A step: `act` does it and calls back when the broker has done it; then `done` follows, or else `refused`."""

    act: Callable[[Channel, Action], None]
    done: Action
    refused: Callable[[BrokerError], None]


class ChannelSteps:
    """Takes steps in order on a channel of its own, opened again after each refusal. Lives in the I/O thread."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._todo: deque[Step] = deque()
        self._current: Step | None = None
        self._channel: Channel | None = None

    def lost(self) -> None:
        """Forget all steps: the connection is gone."""
        self._connection.assert_io_thread()
        self._todo.clear()
        self._current = self._channel = None

    def put(self, step: Step) -> None:
        """Take this step after those that were put before."""
        self._connection.assert_io_thread()
        self._todo.append(step)
        self._next()

    def _next(self) -> None:
        if self._current is not None or not self._todo:
            return
        self._current = self._todo.popleft()
        if self._channel is not None and self._channel.is_open:
            self._act(self._channel)
        else:
            self._connection.open_channel(self._act, self._closed)

    def _act(self, channel: Channel) -> None:
        self._channel = channel
        step = self._current
        if step is not None:
            step.act(channel, lambda: self._finished(step))

    def _finished(self, step: Step) -> None:
        if step is self._current:
            self._current = None
            step.done()
            self._next()

    def _closed(self, channel: Channel, error: BrokerError) -> None:
        if channel is not self._channel:
            return
        step, self._current, self._channel = self._current, None, None
        if step is not None:
            step.refused(error)
        self._next()
