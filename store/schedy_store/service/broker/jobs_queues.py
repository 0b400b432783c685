"""The experiments' queues on the broker: created, emptied, deleted, and created again when they are dead.

All of it happens on a channel of its own, one step after the other (`channel_steps`), because a refusal closes the
channel. A queue that cannot be used stops its own experiment alone.

RabbitMQ (seen in 3.10) leaves a quorum queue dead whose node is killed within about a second of its declaration: it can
be declared and looks empty, but takes no message and gives none. Only deleting it helps, and nothing is lost with it,
because a ticket is only a permission to ask.

A channel from which a quorum queue still has several messages to take when it is deleted reads nothing more, for ever
(seen in 3.10: the queue stays in the channel's list of those that block it), nor does its whole connection. So a queue
is deleted once no ticket for it is under way.

It also forgets consumers of a quorum queue that is deleted and declared again at once (seen in 3.10): they are neither
cancelled nor given the messages of the new queue, which are lost. So a queue stays deleted for a moment.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from schedy.amqp.channel import Channel
from schedy.amqp.connection import Connection
from schedy.errors import BrokerError, TopologyMissingError
from schedy.wire import names, topology
from schedy_store.lifecycle.effects import QueueChange
from schedy_store.service.broker.channel_steps import Action, ChannelSteps, Step
from schedy_store.service.broker.tickets_under_way import TicketsUnderWay

_log = logging.getLogger(__name__)

_DELETED_SECONDS = 0.5
"""Time between the end of a queue and another of its name."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """An action that waits for a queue to be there, and one for the case that it cannot be used."""

    go_on: Action
    give_up: Action


class JobsQueues:
    """Creates and changes queues, and knows which are there. Lives in the I/O thread."""

    def __init__(
        self, connection: Connection, under_way: TicketsUnderWay, *, on_recreated: Callable[[str], None]
    ) -> None:
        self._connection = connection
        self._under_way = under_way
        self._on_recreated = on_recreated
        self._known: set[str] = set()
        self._suspects: set[str] = set()
        """Those that did not take a ticket; they are looked at before they are used again."""
        self._complained: set[str] = set()
        self._in_work: dict[str, list[_Waiting]] = {}
        self.steps = ChannelSteps(connection)

    def lost(self) -> None:
        """Forget all that was under way, and which queues were there: the connection is gone."""
        self._connection.assert_io_thread()
        self._known.clear()
        self._in_work.clear()
        self.steps.lost()

    def change(self, change: QueueChange, experiment: str, then: Action) -> None:
        """Create, empty or delete a queue, once the tickets that are under way to it are there.

        Further ones wait meanwhile: there is no order between their channel and that of the changes.
        """
        self._connection.assert_io_thread()
        queue = names.jobs_queue(experiment)
        if change == "wanted":
            self.want(experiment, then, then)
        elif experiment in self._in_work:
            again = partial(self.change, change, experiment, then)
            self._in_work[experiment].append(_Waiting(again, again))
        elif change == "purged":
            self._begin(experiment, [_Waiting(then, then)])
            purge = partial(self._do, lambda channel, done: channel.purge(queue, done), experiment)
            self._under_way.when_none(experiment, purge)
        else:
            self._begin(experiment, [])
            gone = partial(self._gone, experiment, then)
            delete = Step(lambda channel, done: channel.delete_queue(queue, done), gone, lambda _error: gone())
            self._under_way.when_none(experiment, lambda: self.steps.put(delete))

    def create(self, experiment: str) -> None:
        """Create a queue if it is not there yet."""
        self.want(experiment, _nothing, _nothing)

    def want(self, experiment: str, go_on: Action, give_up: Action) -> None:
        """Call `go_on` once the experiment's queue is there, or `give_up` when it cannot be used."""
        self._connection.assert_io_thread()
        if experiment in self._known:
            go_on()
        elif experiment in self._in_work:
            self._in_work[experiment].append(_Waiting(go_on, give_up))
        else:
            self._begin(experiment, [_Waiting(go_on, give_up)])
            create = self._recreate_dead if experiment in self._suspects else _declare
            self._do(lambda channel, done: create(channel, experiment, done), experiment)

    def forget(self, experiment: str) -> None:
        """Note that the queue is not there any more: it is created before it is used again."""
        self._connection.assert_io_thread()
        self._known.discard(experiment)

    def suspect(self, experiments: Iterable[str]) -> None:
        """Note that the queues of these took no ticket: they are looked at before they are used again."""
        self._connection.assert_io_thread()
        self._suspects.update(experiments)
        self._known.difference_update(experiments)

    def recover(self, experiment: str) -> None:
        """Look at a queue now that seems to be dead, and create it again if it is."""
        self.suspect([experiment])
        self.create(experiment)

    def count_ready(self, experiment: str, on_count: Callable[[int], None]) -> None:
        """Count the tickets in a queue, over a channel that a missing queue may close; that counts as empty."""
        self._connection.assert_io_thread()

        def _opened(channel: Channel) -> None:
            def _counted(ready: int, _consumers: int) -> None:
                on_count(ready)
                channel.close()

            channel.count(names.jobs_queue(experiment), _counted)

        def _missing(_channel: Channel, _error: BrokerError) -> None:
            self.forget(experiment)
            on_count(0)

        self._connection.open_channel(_opened, _missing)

    def _begin(self, experiment: str, waiting: list[_Waiting]) -> None:
        self._known.discard(experiment)
        self._in_work[experiment] = waiting

    def _do(self, step: Callable[[Channel, Action], None], experiment: str) -> None:
        self.steps.put(Step(step, lambda: self._there(experiment), lambda error: self._refused(experiment, error)))

    def _there(self, experiment: str) -> None:
        """Go on with what waited for a queue, which was created or emptied.

        Each of them wants the queue again: it may have become suspect, and one before may delete or empty it.
        """
        waiting = self._in_work.pop(experiment, [])
        if experiment not in self._suspects:
            self._known.add(experiment)
            self._complained.discard(experiment)
        for each in waiting:
            self.want(experiment, each.go_on, each.give_up)

    def _gone(self, experiment: str, then: Action) -> None:
        """Go on after a queue was deleted; what has come to wait for it meanwhile gets a new one."""
        self._suspects.discard(experiment)
        then()
        waiting = self._in_work.get(experiment)
        self._connection.later(_DELETED_SECONDS, lambda: self._may_come_again(experiment, waiting))

    def _may_come_again(self, experiment: str, waiting: list[_Waiting] | None) -> None:
        if waiting is None or self._in_work.get(experiment) is not waiting:
            return  # the connection was lost meanwhile
        for each in self._in_work.pop(experiment):
            self.want(experiment, each.go_on, each.give_up)

    def _refused(self, experiment: str, error: BrokerError) -> None:
        self._suspects.discard(experiment)
        if experiment not in self._complained:
            self._complained.add(experiment)
            _log.error("%s", _complaint(names.jobs_queue(experiment), error))
        for each in self._in_work.pop(experiment, []):
            each.give_up()

    def _recreate_dead(self, channel: Channel, experiment: str, done: Action) -> None:
        """Create the queue of a suspect again, unless it shows that it lives: one with messages or consumers does."""
        queue = names.jobs_queue(experiment)

        def _counted(messages: int, consumers: int) -> None:
            self._suspects.discard(experiment)
            if messages or consumers:
                _declare(channel, experiment, done)
                return
            _log.warning("The queue %s takes no tickets and is empty: RabbitMQ has lost it. Creating it again.", queue)
            channel.delete_queue(queue, lambda: _declare(channel, experiment, _recreated))

        def _recreated() -> None:
            self._on_recreated(experiment)
            done()

        channel.count(queue, _counted)


def _nothing() -> None:
    """Do nothing when the queue is there, or cannot be used."""


def _complaint(queue: str, error: BrokerError) -> str:
    if isinstance(error, TopologyMissingError):
        return f"The queue {queue} cannot be used: {error}"
    return (
        f"The queue {queue} cannot be used: {error.what} No job of this experiment starts until it is deleted, in the"
        f" management UI (Queues > {queue}) or with `rabbitmqctl delete_queue {queue}`; then a new one is created."
        " Other experiments go on."
    )


def _declare(channel: Channel, experiment: str, done: Action) -> None:
    channel.declare_queue(topology.jobs_queue(experiment), done, binding=topology.jobs_binding(experiment))
