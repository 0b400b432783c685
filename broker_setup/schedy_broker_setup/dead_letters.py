"""The queue of what could not be handled: looking into it, putting messages back, and dropping them."""

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

from schedy.errors import NotFoundError
from schedy.settings import NO_TLS_FILES, TlsFiles
from schedy.wire import names
from schedy.wire.codec import encode
from schedy.wire.service import Replay
from schedy_broker_setup.connecting import open_connection
from schedy_broker_setup.errors import NotPermittedError, TopologyError
from schedy_broker_setup.inspection import ACCESS_REFUSED

BODY_CHARACTERS = 200

_BURIED = "dead"
"""The type that the results service gives to what it buries."""
_REPLAY_KEY = f"{names.SERVICE_KEY_PREFIX}replay"


@dataclass(frozen=True, kw_only=True)
class DeadLetter:
    """One message; fields that it does not have are empty. `body` is its beginning, unless asked for whole.

    `exchange` is where it was sent to: of what the results service has buried, its inbox.
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
        """Whether it was a ticket that no worker could read."""
        return self.exchange == names.JOBS_EXCHANGE


class Fate(StrEnum):
    """What became of a dead letter that was to be put back."""

    REPLAYED = "put back"
    DROPPED = "dropped: it is a ticket, and the results service publishes a new one"
    LEFT = "left: it was not sent to the results service"


def dead_letters(
    urls: str, *, limit: int | None = 5, whole: bool = False, tls: TlsFiles = NO_TLS_FILES
) -> list[DeadLetter]:
    """Return the oldest dead letters, or with `limit` None all, and leave them where they are.

    They are taken and given back, so others do not see them for a moment. Needs the right to read the queue.
    Raises UnreachableError, NotPermittedError, TopologyError.
    """
    with _open(urls, tls) as (_connection, channel):
        taken = (letter for letter, _tag in _taken(channel, whole=whole))
        return [letter for letter in taken if limit is None or letter.number <= limit]


def replay_dead_letters(
    urls: str, numbers: Collection[int] | None, *, tls: TlsFiles = NO_TLS_FILES
) -> Iterator[tuple[DeadLetter, Fate]]:
    """Put dead letters back, None: all; yield each as soon as that is done. Those that are not named stay.

    Each leaves the queue only after the broker has the message that brings it back. Needs the rights of the service's
    user. Raises NotFoundError before anything is done, and as `dead_letters` does.
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
    """Open a channel; when it is closed, what was taken from it and not acknowledged is back."""
    with open_connection(urls, purpose="dead letters", tls=tls) as connection:
        channel = connection.channel()
        try:
            yield connection, channel
        except ChannelClosedByBroker as refusal:
            raise _explained(refusal) from refusal
        channel.close()


def _taken(channel: BlockingChannel, *, whole: bool = False) -> Iterator[tuple[DeadLetter, int]]:
    """Take the letters that are there now, with what acknowledges them; what comes meanwhile stays.

    To be used to the end: RabbitMQ puts what comes back behind what came back before, so that the order, and with it
    the numbers, stay only if all come back.
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
    """Take those with these numbers; looks whether they are there before it yields the first."""
    if numbers is not None:
        there = int(channel.queue_declare(names.DEAD_QUEUE, passive=True).method.message_count)
        missing = sorted(number for number in numbers if number > there)
        if missing:
            raise NotFoundError(f"There is no dead letter {missing[0]}. There are {there}; `schedy dead` lists them.")
    for letter, tag in _taken(channel):
        if numbers is None or letter.number in numbers:
            yield letter, tag


def _replay(channel: BlockingChannel, letter: DeadLetter) -> Fate:
    if letter.is_ticket:
        return Fate.DROPPED
    if letter.exchange != names.INBOX_EXCHANGE:
        return Fate.LEFT
    if letter.routing_key == _REPLAY_KEY:
        body = letter.content  # it was put back before, and could not be read
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
        raise TopologyError(
            f"The broker does not take dead letter {letter.number} back into {names.REPORTS_QUEUE}.",
            remedy="It stays where it is. Run `schedy doctor`.",
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
    """What the results service has written down in burying a message that came through its inbox."""
    headers: Mapping[str, Any] = properties.headers or {}
    return {
        "reason": str(headers.get(names.DEAD_REASON_HEADER, "")),
        "routing_key": str(headers.get(names.DEAD_SOURCE_HEADER, routing_key)),
        "exchange": names.INBOX_EXCHANGE if names.DEAD_SOURCE_HEADER in headers else "",
        "user": str(headers.get(names.DEAD_USER_HEADER, "")),
    }


def _by_broker(properties: BasicProperties) -> dict[str, str] | None:
    """What RabbitMQ has written down in dead-lettering a message; other headers are then its sender's and not used."""
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


def _explained(refusal: ChannelClosedByBroker) -> NotPermittedError | TopologyError:
    if refusal.reply_code == ACCESS_REFUSED:
        what = "read" if names.DEAD_QUEUE in refusal.reply_text else "put back messages from"
        return NotPermittedError(
            f"This user may not {what} {names.DEAD_QUEUE} ({refusal.reply_text}).",
            remedy="Use the broker URL of the service user or of an administrator.",
        )
    return TopologyError(
        f"Queue {names.DEAD_QUEUE} cannot be used ({refusal.reply_text}).",
        remedy="Run `schedy broker setup`.",
    )
