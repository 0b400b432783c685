"""The experiments' queues on the broker: made, emptied, deleted, and made anew when they are dead.

All of it happens on a channel of its own, one step after the other, because a refusal closes the channel. A queue that
cannot be used is the trouble of its experiment alone.

RabbitMQ (seen in 3.10) leaves a quorum queue dead whose node is killed within about a second of its declaration: it can
be declared and looks empty, but takes no message and gives none. Only deleting it helps, and nothing is lost with it,
because a ticket is only a permission to ask.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from schedy.amqp.channel import Channel
from schedy.amqp.connection import Connection
from schedy.errors import BrokerError, TopologyMissingError
from schedy.wire import names, topology
from schedy_store.lifecycle.effects import QueueChange

_log = logging.getLogger(__name__)

Action = Callable[[], None]


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Who waits for a queue: what to do once it is there, and when it cannot be had."""

    go_on: Action
    give_up: Action


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """One thing to do on the channel; `step` calls back when the broker has done it."""

    step: Callable[[Channel, Action], None]
    done: Action
    refused: Callable[[BrokerError], None]


class JobsQueues:
    """Everything in the I/O thread. `lost` says that the connection, and all that was under way, is gone."""

    def __init__(self, connection: Connection, *, on_remade: Callable[[str], None]) -> None:
        self._connection = connection
        self._on_remade = on_remade
        self._known: set[str] = set()
        self._suspects: set[str] = set()
        """Those that did not take a ticket; they are looked at before they are used again."""
        self._complained: set[str] = set()
        self._in_work: dict[str, list[_Waiting]] = {}
        self._todo: deque[_Work] = deque()
        self._current: _Work | None = None
        self._channel: Channel | None = None

    def lost(self) -> None:
        self._known.clear()
        self._in_work.clear()
        self._todo.clear()
        self._current = self._channel = None

    def change(self, change: QueueChange, experiment: str, then: Action) -> None:
        """Make, empty or delete a queue. While that goes on tickets for it wait: one would overtake the purge."""
        queue = names.jobs_queue(experiment)
        if change == "wanted":
            self.want(experiment, then, then)
        elif experiment in self._in_work:
            again = partial(self.change, change, experiment, then)
            self._in_work[experiment].append(_Waiting(again, again))
        elif change == "purged":
            self._begin(experiment, [_Waiting(then, then)])
            self._do(lambda channel, done: channel.purge(queue, done), experiment)
        else:
            self._begin(experiment, [])
            gone = partial(self._gone, experiment, then)
            self._put(_Work(lambda channel, done: channel.delete_queue(queue, done), gone, lambda _error: gone()))

    def want(self, experiment: str, go_on: Action, give_up: Action) -> None:
        """Call `go_on` once the experiment's queue is there, or `give_up` when it cannot be used."""
        if experiment in self._known:
            go_on()
        elif experiment in self._in_work:
            self._in_work[experiment].append(_Waiting(go_on, give_up))
        else:
            self._begin(experiment, [_Waiting(go_on, give_up)])
            make = self._mend if experiment in self._suspects else _declare
            self._do(lambda channel, done: make(channel, experiment, done), experiment)

    def forget(self, experiment: str) -> None:
        """The queue is not there any more: it is made before it is used again."""
        self._known.discard(experiment)

    def suspect(self, experiments: Iterable[str]) -> None:
        """These took no ticket: they are looked at, and made anew if they are dead, before they are used again."""
        self._suspects.update(experiments)
        self._known.difference_update(experiments)

    def _begin(self, experiment: str, waiting: list[_Waiting]) -> None:
        self._known.discard(experiment)
        self._in_work[experiment] = waiting

    def _do(self, step: Callable[[Channel, Action], None], experiment: str) -> None:
        self._put(_Work(step, lambda: self._there(experiment), lambda error: self._refused(experiment, error)))

    def _there(self, experiment: str) -> None:
        """A queue was made or emptied: go on with what waited for it."""
        waiting = self._in_work.pop(experiment, [])
        if experiment in self._suspects:  # it has become suspect meanwhile
            for each in waiting:
                self.want(experiment, each.go_on, each.give_up)
            return
        self._known.add(experiment)
        self._complained.discard(experiment)
        for each in waiting:
            each.go_on()

    def _gone(self, experiment: str, then: Action) -> None:
        """A queue was deleted: who has come to want it meanwhile gets a new one."""
        self._suspects.discard(experiment)
        then()
        for each in self._in_work.pop(experiment, []):
            self.want(experiment, each.go_on, each.give_up)

    def _refused(self, experiment: str, error: BrokerError) -> None:
        self._suspects.discard(experiment)
        if experiment not in self._complained:
            self._complained.add(experiment)
            _log.error("%s", _complaint(names.jobs_queue(experiment), error))
        for each in self._in_work.pop(experiment, []):
            each.give_up()

    def _mend(self, channel: Channel, experiment: str, done: Action) -> None:
        """Make a suspect anew, unless it shows that it lives: one with messages or consumers does."""
        queue = names.jobs_queue(experiment)

        def _looked(messages: int, consumers: int) -> None:
            self._suspects.discard(experiment)
            if messages or consumers:
                _declare(channel, experiment, done)
                return
            _log.warning("The queue %s takes no tickets and is empty: RabbitMQ has lost it. Making it anew.", queue)
            channel.delete_queue(queue, lambda: _declare(channel, experiment, _remade))

        def _remade() -> None:
            self._on_remade(experiment)
            done()

        channel.count(queue, _looked)

    # The channel: one step at a time.

    def _put(self, work: _Work) -> None:
        self._todo.append(work)
        self._next()

    def _next(self) -> None:
        if self._current is not None or not self._todo:
            return
        self._current = self._todo.popleft()
        if self._channel is not None and self._channel.is_open:
            self._start(self._channel)
        else:
            self._connection.open_channel(self._start, self._closed)

    def _start(self, channel: Channel) -> None:
        self._channel = channel
        work = self._current
        if work is not None:
            work.step(channel, lambda: self._finished(work))

    def _finished(self, work: _Work) -> None:
        if work is self._current:
            self._current = None
            work.done()
            self._next()

    def _closed(self, channel: Channel, error: BrokerError) -> None:
        if channel is not self._channel:
            return
        work, self._current, self._channel = self._current, None, None
        if work is not None:
            work.refused(error)
        self._next()


def _complaint(queue: str, error: BrokerError) -> str:
    if isinstance(error, TopologyMissingError):
        return f"The queue {queue} cannot be used: {error}"
    return (
        f"The queue {queue} cannot be used: {error.what} No job of this experiment starts until it is deleted, in the"
        f" management UI (Queues > {queue}) or with `rabbitmqctl delete_queue {queue}`; then a new one is made. Other"
        " experiments go on."
    )


def _declare(channel: Channel, experiment: str, done: Action) -> None:
    channel.declare_queue(topology.jobs_queue(experiment), done, binding=topology.jobs_binding(experiment))
