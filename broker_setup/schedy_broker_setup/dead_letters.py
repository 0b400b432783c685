"""A look into the queue of what could not be handled."""

from dataclasses import dataclass

from pika import BasicProperties
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import ChannelClosedByBroker

from schedy import names
from schedy.settings import NO_TLS_FILES, TlsFiles
from schedy_broker_setup.connecting import open_connection
from schedy_broker_setup.errors import NotPermittedError, TopologyError
from schedy_broker_setup.sights import ACCESS_REFUSED

BODY_CHARACTERS = 200


@dataclass(frozen=True, kw_only=True)
class DeadLetter:
    """One message; fields that it does not have are empty. `body` is its beginning."""

    reason: str
    routing_key: str
    kind: str
    message_id: str
    user: str
    body: str


def dead_letters(urls: str, *, limit: int = 5, tls: TlsFiles = NO_TLS_FILES) -> list[DeadLetter]:
    """Return the oldest dead letters, and leave them where they are.

    They are taken and given back, so others do not see them for a moment. Needs the right to read the queue.
    Raises UnreachableError, NotPermittedError, TopologyError.
    """
    with open_connection(urls, purpose="doctor", tls=tls) as connection:
        channel = connection.channel()
        try:
            found = _take(channel, limit)
        except ChannelClosedByBroker as refusal:
            raise _explained(refusal) from refusal
        channel.close()
        return found


def _take(channel: BlockingChannel, limit: int) -> list[DeadLetter]:
    found: list[DeadLetter] = []
    while len(found) < limit:
        method, properties, body = channel.basic_get(names.DEAD_QUEUE)
        if method is None or properties is None:
            break
        found.append(_dead_letter(properties, body or b"", routing_key=method.routing_key or ""))
    return found


def _dead_letter(properties: BasicProperties, body: bytes, *, routing_key: str) -> DeadLetter:
    headers = properties.headers or {}
    return DeadLetter(
        reason=str(headers.get(names.DEAD_REASON_HEADER) or headers.get("x-first-death-reason") or ""),
        routing_key=str(headers.get(names.DEAD_SOURCE_HEADER) or routing_key),
        kind=properties.type or "",
        message_id=properties.message_id or "",
        user=properties.user_id or "",
        body=body.decode(errors="replace")[:BODY_CHARACTERS],
    )


def _explained(refusal: ChannelClosedByBroker) -> NotPermittedError | TopologyError:
    if refusal.reply_code == ACCESS_REFUSED:
        return NotPermittedError(
            f"This user may not read {names.DEAD_QUEUE} ({refusal.reply_text}).",
            remedy="Use the broker URL of the service user or of an administrator.",
        )
    return TopologyError(
        f"Queue {names.DEAD_QUEUE} cannot be read ({refusal.reply_text}).",
        remedy="Run `schedy broker setup`.",
    )
