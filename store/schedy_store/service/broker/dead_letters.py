"""Publishing what cannot be handled among the dead letters."""

import uuid
from concurrent.futures import Future

from schedy.amqp.channel import Channel, Incoming, Outgoing, PublishOutcome
from schedy.amqp.connection import Connection
from schedy.errors import BrokerError
from schedy.wire import names

_LONGEST_REASON = 1000


class DeadLetters:
    """Publishes dead letters. Lives in the I/O thread."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._channel: Channel | None = None

    def opened(self, channel: Channel) -> None:
        """Publish over this channel, on which confirms are on."""
        self._connection.assert_io_thread()
        self._channel = channel

    def lost(self) -> None:
        self._connection.assert_io_thread()
        self._channel = None

    def publish(self, incoming: Incoming, reason: str, done: "Future[None]") -> None:
        """Publish a message with the reason; `done` when the broker has it, or with a BrokerError if it refuses it."""
        self._connection.assert_io_thread()

        def _answered(outcome: PublishOutcome) -> None:
            if outcome.stored:
                done.set_result(None)
            else:
                done.set_exception(BrokerError("The broker did not take a dead letter. Run `schedy broker setup`."))

        if self._channel is not None:
            self._channel.publish(_dead_letter(incoming, reason), _answered)


def _dead_letter(incoming: Incoming, reason: str) -> Outgoing:
    return Outgoing(
        names.DEAD_EXCHANGE,
        incoming.routing_key,
        incoming.body,
        "dead",
        uuid.uuid4().hex,
        headers={
            names.DEAD_REASON_HEADER: reason[:_LONGEST_REASON],
            names.DEAD_SOURCE_HEADER: incoming.routing_key,
            **({names.DEAD_USER_HEADER: incoming.user} if incoming.user else {}),
        },
    )
