"""The state of an exchange or a queue, as far as it can be seen without changing anything."""

from dataclasses import dataclass
from enum import StrEnum

from pika.adapters.blocking_connection import BlockingConnection
from pika.exceptions import ChannelClosedByBroker

from schedy.amqp.errors import NOT_FOUND


class Presence(StrEnum):
    """The existence of an exchange or queue, as far as the broker tells this user."""

    THERE = "there"
    MISSING = "missing"
    HIDDEN = "hidden"


@dataclass(frozen=True, kw_only=True)
class ObjectState:
    """The state of an exchange or queue; `refusal` is the broker's reply if it is not THERE."""

    presence: Presence
    refusal: str = ""


@dataclass(frozen=True, kw_only=True)
class QueueState(ObjectState):
    """The state of a queue; `messages` are those that wait, not those that a consumer holds."""

    messages: int = 0
    consumers: int = 0


def queue_state(connection: BlockingConnection, name: str) -> QueueState:
    """Inspect a queue.

    Opens a channel of its own, because the broker closes the channel when it refuses. RabbitMQ 4.2.6 and
    4.3.0 refuse users without the configure permission, other versions nobody, or users without any.
    """
    channel = connection.channel()
    try:
        answer = channel.queue_declare(name, passive=True).method
    except ChannelClosedByBroker as refusal:
        return QueueState(presence=_presence(refusal), refusal=refusal.reply_text)
    channel.close()
    return QueueState(presence=Presence.THERE, messages=int(answer.message_count), consumers=int(answer.consumer_count))


def exchange_state(connection: BlockingConnection, name: str) -> ObjectState:
    """Inspect an exchange, as `queue_state` does a queue."""
    channel = connection.channel()
    try:
        channel.exchange_declare(name, passive=True)
    except ChannelClosedByBroker as refusal:
        return ObjectState(presence=_presence(refusal), refusal=refusal.reply_text)
    channel.close()
    return ObjectState(presence=Presence.THERE)


def _presence(refusal: ChannelClosedByBroker) -> Presence:
    return Presence.MISSING if refusal.reply_code == NOT_FOUND else Presence.HIDDEN
