"""What of an exchange or a queue can be seen without changing anything."""

from dataclasses import dataclass
from enum import StrEnum

from pika.adapters.blocking_connection import BlockingConnection
from pika.exceptions import ChannelClosedByBroker

ACCESS_REFUSED = 403
NOT_FOUND = 404
PRECONDITION_FAILED = 406


class Presence(StrEnum):
    """Whether it is there, as far as this user may know."""

    THERE = "there"
    MISSING = "missing"
    HIDDEN = "hidden"


@dataclass(frozen=True, kw_only=True)
class QueueState:
    """One look at an exchange or a queue; `said` has the broker's words when it is not there."""

    presence: Presence
    messages: int = 0
    consumers: int = 0
    said: str = ""


def look_at_queue(connection: BlockingConnection, name: str) -> QueueState:
    """Look at a queue; its `messages` are those that wait, not those that a consumer holds.

    Takes a channel of its own, because the broker closes the channel of a refused look. RabbitMQ 4.2.6 and
    4.3.0 refuse it to users without the configure right, other versions to nobody or to users without any.
    """
    channel = connection.channel()
    try:
        answer = channel.queue_declare(name, passive=True).method
    except ChannelClosedByBroker as refusal:
        return _not_seen(refusal)
    channel.close()
    return QueueState(presence=Presence.THERE, messages=int(answer.message_count), consumers=int(answer.consumer_count))


def look_at_exchange(connection: BlockingConnection, name: str) -> QueueState:
    """Look at an exchange, as `look_at_queue` does at a queue."""
    channel = connection.channel()
    try:
        channel.exchange_declare(name, passive=True)
    except ChannelClosedByBroker as refusal:
        return _not_seen(refusal)
    channel.close()
    return QueueState(presence=Presence.THERE)


def _not_seen(refusal: ChannelClosedByBroker) -> QueueState:
    presence = Presence.MISSING if refusal.reply_code == NOT_FOUND else Presence.HIDDEN
    return QueueState(presence=presence, said=refusal.reply_text)
