"""The queue of messages that could not be processed: listing, replaying and dropping them."""

import base64
import json
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from pika import BasicProperties, DeliveryMode
from pika.adapters.blocking_connection import BlockingChannel, BlockingConnection
from pika.exceptions import ChannelClosedByBroker, NackError, UnroutableError
from pydantic import ValidationError

from schedy.amqp.errors import channel_error
from schedy.errors import BrokerError, NotFoundError
from schedy.tls import NO_TLS_FILES, TlsFiles
from schedy.wire import names
from schedy.wire.codec import encode
from schedy.wire.service import Replay
from schedy_broker_setup.connecting import address_behind, open_connection

BODY_CHARACTERS = 200

_BACK_SECONDS = 1.0
_BACK_PAUSE_SECONDS = 0.05
_BURIED = "dead"
"""The message type that the results service sets on dead letters."""
_REPLAY_KEY = f"{names.SERVICE_KEY_PREFIX}replay"


@dataclass(frozen=True, kw_only=True)
class DeadLetter:
    """A dead letter; fields that it does not have are empty. `body` is by default only the beginning of `content`.

    `exchange` is the one that it was published to: the inbox, if the results service made it a dead letter.
    """

    number: int
    reason: str
    routing_key: str
    exchange: str
    kind: str
    message_id: str
    user: str
    at: datetime | None
    body: str
    content: bytes = field(repr=False, compare=False)

    @property
    def is_ticket(self) -> bool:
        """True for a ticket that no worker could read."""
        return self.exchange == names.JOBS_EXCHANGE


class Fate(StrEnum):
    """The result of replaying a dead letter."""

    REPLAYED = "put back"
    DROPPED = "dropped: it is a ticket, and the results service publishes a new one"
    LEFT = "left: it was not sent to the results service"


def dead_letters(
    urls: str, *, limit: int | None = 5, whole: bool = False, tls: TlsFiles = NO_TLS_FILES
) -> list[DeadLetter]:
    """Return the oldest dead letters, or all with `limit` None, and leave them in the queue.

    They are taken and given back, so that others do not see them for a moment. Needs the permission to read the queue.
    Raises BrokerError.
    """
    with _open(urls, tls) as (_connection, channel):
        taken = (letter for letter, _tag in _taken(channel, whole=whole))
        return [letter for letter in taken if limit is None or letter.number <= limit]


def replay_dead_letters(
    urls: str, numbers: Collection[int] | None, *, tls: TlsFiles = NO_TLS_FILES
) -> Iterator[tuple[DeadLetter, Fate]]:
    """Send dead letters to the results service again, None: all; yield each as soon as that is done. Others stay.

    Each leaves the queue only after the broker has stored the new message. Needs the permissions of the service's
    user. Raises NotFoundError before anything is done, and BrokerError.
    """
    with _open(urls, tls) as (connection, channel):
        publishing = connection.channel()
        publishing.confirm_delivery()
        for letter, tag in _chosen(channel, numbers):
            fate = _replay(publishing, letter)
            if fate is not Fate.LEFT:
                channel.basic_ack(tag)
            yield letter, fate


def drop_dead_letters(
    urls: str, numbers: Collection[int] | None, *, tls: TlsFiles = NO_TLS_FILES
) -> Iterator[DeadLetter]:
    """Delete dead letters, None: all; yield each. Raises as `replay_dead_letters` does."""
    with _open(urls, tls) as (_connection, channel):
        for letter, tag in _chosen(channel, numbers):
            channel.basic_ack(tag)
            yield letter


@contextmanager
def _open(urls: str, tls: TlsFiles) -> Iterator[tuple[BlockingConnection, BlockingChannel]]:
    """Open a channel; once it is closed, messages taken and not acknowledged are back in the queue."""
    with open_connection(urls, purpose="dead letters", tls=tls) as connection:
        channel = connection.channel()
        try:
            yield connection, channel
        except ChannelClosedByBroker as refusal:
            raise channel_error(refusal, address_behind(connection), action=_action(refusal)) from refusal
        channel.close()


def _taken(channel: BlockingChannel, *, whole: bool = False) -> Iterator[tuple[DeadLetter, int]]:
    """Take the letters that are in the queue now, with their delivery tags; later ones stay.

    To be consumed to the end: RabbitMQ requeues a message behind those requeued before, so that the order, and with it
    the numbers, stay only if all are requeued.
    """
    number, remaining = 0, 1
    while remaining:
        method, properties, body = channel.basic_get(names.DEAD_QUEUE)
        if method is None or properties is None:
            return
        number += 1
        remaining = (method.message_count or 0) if number == 1 else remaining - 1
        letter = _dead_letter(number, properties, body or b"", routing_key=method.routing_key or "", whole=whole)
        yield letter, method.delivery_tag or 0


def _chosen(channel: BlockingChannel, numbers: Collection[int] | None) -> Iterator[tuple[DeadLetter, int]]:
    """Take the letters with these numbers; checks that they exist before it yields the first."""
    if numbers is not None:
        there = _count(channel, at_least=max(numbers, default=0))
        missing = sorted(number for number in numbers if number > there)
        if missing:
            raise NotFoundError(
                f"There is no dead letter {missing[0]}; `schedy dead` lists those that there are ({there})."
            )
    for letter, tag in _taken(channel):
        if numbers is None or letter.number in numbers:
            yield letter, tag


def _count(channel: BlockingChannel, *, at_least: int) -> int:
    """Return the number of letters in the queue.

    Letters that somebody has just looked at are back a moment after the channel that took them was closed: with fewer
    than `at_least` they are waited for.
    """
    deadline = time.monotonic() + _BACK_SECONDS
    while True:
        count = int(channel.queue_declare(names.DEAD_QUEUE, passive=True).method.message_count)
        if count >= at_least or time.monotonic() > deadline:
            return count
        time.sleep(_BACK_PAUSE_SECONDS)


def _replay(channel: BlockingChannel, letter: DeadLetter) -> Fate:
    if letter.is_ticket:
        return Fate.DROPPED
    if letter.exchange != names.INBOX_EXCHANGE:
        return Fate.LEFT
    if letter.routing_key == _REPLAY_KEY:
        body = letter.content  # it was replayed before, and could not be read
    else:
        try:
            body = encode(_replay_message(letter))
        except ValidationError:
            return Fate.LEFT
    properties = BasicProperties(
        content_type=names.CONTENT_TYPE,
        app_id=names.APP_ID,
        delivery_mode=DeliveryMode.Persistent,
        type="replay",
        message_id=letter.message_id or None,
        timestamp=int(time.time()),
    )
    try:
        channel.basic_publish(names.INBOX_EXCHANGE, _REPLAY_KEY, body, properties, mandatory=True)
    except (UnroutableError, NackError):
        raise BrokerError(
            f"RabbitMQ does not take dead letter {letter.number} back into {names.REPORTS_QUEUE}; it stays in"
            f" {names.DEAD_QUEUE}.",
            remedy="Run `schedy doctor`.",
        ) from None
    return Fate.REPLAYED


def _replay_message(letter: DeadLetter) -> Replay:
    return Replay(
        routing_key=letter.routing_key, body=base64.b64encode(letter.content).decode(), user=letter.user or None
    )


def _dead_letter(number: int, properties: BasicProperties, body: bytes, *, routing_key: str, whole: bool) -> DeadLetter:
    text = body.decode(errors="replace")
    origin = _by_broker(properties) or _by_service(properties, routing_key)
    kind = properties.type if properties.type != _BURIED else _kind_in(body)
    return DeadLetter(
        number=number,
        kind=kind or "",
        message_id=properties.message_id or "",
        at=None if properties.timestamp is None else datetime.fromtimestamp(properties.timestamp, UTC),
        body=text if whole else text[:BODY_CHARACTERS],
        content=body,
        **origin,
    )


def _by_service(properties: BasicProperties, routing_key: str) -> dict[str, str]:
    """Return the facts that the results service noted in the headers of a message from its inbox."""
    headers: Mapping[str, Any] = properties.headers or {}
    return {
        "reason": str(headers.get(names.DEAD_REASON_HEADER, "")),
        "routing_key": str(headers.get(names.DEAD_SOURCE_HEADER, routing_key)),
        "exchange": names.INBOX_EXCHANGE if names.DEAD_SOURCE_HEADER in headers else "",
        "user": str(headers.get(names.DEAD_USER_HEADER, "")),
    }


def _by_broker(properties: BasicProperties) -> dict[str, str] | None:
    """Return the facts that RabbitMQ notes when it dead-letters a message; other headers are its sender's: ignored."""
    headers: Mapping[str, Any] = properties.headers or {}
    deaths = headers.get("x-death")
    if not isinstance(deaths, list) or not deaths:
        return None
    first: Mapping[str, Any] = deaths[-1]
    keys = first.get("routing-keys") or [""]
    return {
        "reason": f"{first.get('reason', 'dropped')} from {first.get('queue', 'a queue')}",
        "routing_key": str(keys[0]),
        "exchange": str(first.get("exchange", "")),
        "user": properties.user_id or "",
    }


def _kind_in(body: bytes) -> str:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    kind = found.get("kind") if isinstance(found, dict) else None
    return kind if isinstance(kind, str) else ""


def _action(refusal: ChannelClosedByBroker) -> str:
    return f"{'read' if names.DEAD_QUEUE in refusal.reply_text else 'put back messages from'} {names.DEAD_QUEUE}"
