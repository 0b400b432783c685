"""The way of calls to the broker: reports that come while others are under way leave together behind them."""

import uuid
from collections.abc import Callable
from functools import partial

from schedy.amqp.channel import Channel, Outgoing, PublishOutcome
from schedy.wire import names
from schedy.wire.bundles import LARGEST_BUNDLE_BYTES, MOST_IN_A_BUNDLE, bundle_body
from schedy.worker.call import Call

_MOST_UNDER_WAY = 2
"""Messages with reports that the broker has not confirmed, from which on the next ones wait: the end of a job, and the
claim of the next."""


class Outbox:
    """Publishes calls in their order. Lives in the I/O thread.

    What waits is lost with its channel: who uses this sends again all that is not over.
    """

    def __init__(self, on_outcome: Callable[[Call, PublishOutcome], None]) -> None:
        self._on_outcome = on_outcome
        self._channel: Channel | None = None
        self._waiting: dict[str, Call] = {}
        self._under_way = 0
        self._bundles: set[str] = set()
        """Those under way, by correlation id."""
        self._may_bundle = True

    @property
    def is_open(self) -> bool:
        return self._channel is not None

    def open(self, channel: Channel) -> None:
        """Publish over this channel from now on."""
        self._channel = channel

    def close(self) -> None:
        """Forget the channel, and what waits for it."""
        self._channel = None
        self._waiting.clear()
        self._bundles.clear()
        self._under_way = 0

    def refused(self, unconfirmed: list[Outgoing]) -> list[Outgoing]:
        """Return what may have closed the channel, but for bundles: if there was one, no more are made."""
        alone = [outgoing for outgoing in unconfirmed if outgoing.correlation_id not in self._bundles]
        self._may_bundle = self._may_bundle and len(alone) == len(unconfirmed)
        return alone

    def send(self, call: Call) -> None:
        """Publish a call, or let it wait for the reports under way."""
        if self._channel is None:
            return
        if not call.is_report:
            self.send_waiting()
            self._channel.publish(call.outgoing, partial(self._on_outcome, call))
        elif self._under_way >= _MOST_UNDER_WAY and self._may_bundle:
            self._waiting[call.id] = call
        else:
            self._publish([call])

    def send_waiting(self) -> None:
        """Publish what waits now."""
        calls: list[Call] = []
        size = 0
        waiting, self._waiting = self._waiting, {}
        for call in waiting.values():
            size += len(call.outgoing.body)
            if calls and (size > LARGEST_BUNDLE_BYTES or len(calls) == MOST_IN_A_BUNDLE):
                self._publish(calls)
                calls, size = [], len(call.outgoing.body)
            calls.append(call)
        if calls:
            self._publish(calls)

    def _publish(self, calls: list[Call]) -> None:
        if self._channel is None:
            return
        self._under_way += 1
        outgoing = calls[0].outgoing if len(calls) == 1 else self._bundle(calls)
        self._channel.publish(outgoing, partial(self._confirmed, calls, outgoing.correlation_id))

    def _bundle(self, calls: list[Call]) -> Outgoing:
        bundle = Outgoing(
            names.INBOX_EXCHANGE,
            names.BUNDLE_KEY,
            bundle_body((call.id if call.wants_answer else None, call.outgoing.body) for call in calls),
            "bundle",
            uuid.uuid4().hex,
            reply_to=names.REPLY_QUEUE,
        )
        self._bundles.add(bundle.correlation_id)
        return bundle

    def _confirmed(self, calls: list[Call], correlation_id: str, outcome: PublishOutcome) -> None:
        self._bundles.discard(correlation_id)
        self._under_way -= 1
        for call in calls:
            self._on_outcome(call, outcome)
        if self._under_way < _MOST_UNDER_WAY:
            self.send_waiting()
