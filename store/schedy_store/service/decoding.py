"""Decoding what is delivered, and unwrapping dead letters that are replayed."""

import base64
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from schedy.amqp.channel import Incoming
from schedy.wire import names
from schedy.wire.base import Sendable
from schedy.wire.bundles import Bundle
from schedy.wire.codec import decode, encode, read_report, routing_key
from schedy.wire.reports import Finish
from schedy.wire.service import Replay
from schedy.wire.versions import UndecodableError

_REPLAY_KEY = names.SERVICE_KEY_PREFIX + "replay"


@dataclass(frozen=True, slots=True)
class DecodedMessage:
    """A message with its delivery; that of a replayed one is as its first sender sent it.

    That of a report of a bundle has no body until it is to be buried: `alone`.
    """

    incoming: Incoming
    message: Sendable

    def alone(self) -> Incoming:
        """Return the delivery as if the message had come alone."""
        return replace(self.incoming, body=encode(self.message)) if self.incoming.from_bundle else self.incoming


def decode_deliveries(deliveries: Iterable[Incoming], *, bury: Callable[[Incoming, str], None]) -> list[DecodedMessage]:
    """Decode deliveries in their order; those that cannot be read are buried with the reason."""
    messages: list[DecodedMessage] = []
    for delivered in deliveries:
        incoming = delivered
        try:
            incoming = _unwrapped(delivered)
            message = decode_checked(incoming)
        except UndecodableError as error:
            bury(incoming, str(error))
            continue
        if isinstance(message, Bundle):
            messages += _unbundled(incoming, message, bury=bury)
        else:
            messages.append(DecodedMessage(incoming, message))
    return messages


def _unbundled(
    incoming: Incoming, bundle: Bundle, *, bury: Callable[[Incoming, str], None]
) -> Iterator[DecodedMessage]:
    """Yield the reports of a bundle, each as if it had been delivered alone."""
    for bundled in bundle.reports:
        kind = bundled.report.get("kind")
        alone = replace(
            incoming,
            body=b"",
            routing_key=names.REPORT_KEY_PREFIX + kind if isinstance(kind, str) else names.BUNDLE_KEY,
            correlation_id=bundled.id,
            reply_to=None if bundled.id is None else incoming.reply_to,
            from_bundle=True,
        )
        try:
            yield DecodedMessage(alone, _answerable(read_report(bundled.report), alone))
        except UndecodableError as error:
            body = json.dumps(bundled.report, separators=(",", ":")).encode()
            bury(replace(alone, body=body), str(error))


def decode_checked(incoming: Incoming) -> Sendable:
    """Decode a message, whose kind must be the one of its routing key: permissions guard that.

    Raises UndecodableError.
    """
    message = _answerable(decode(incoming.body), incoming)
    if routing_key(message) != incoming.routing_key:
        raise UndecodableError(f"a {message.kind!r} message under the routing key {incoming.routing_key!r}")
    return message


def _answerable(message: Sendable, incoming: Incoming) -> Sendable:
    """Return a message without the claim that came with it, if nobody waits for the answer."""
    return message.alone() if isinstance(message, Finish) and incoming.reply_to is None else message


def _unwrapped(incoming: Incoming) -> Incoming:
    """Return what a replay brings back as if it had come from its first sender, who waits no more for an answer.

    Only the service's user and administrators may send under this routing key, so the user that a replay names can be
    trusted. Raises UndecodableError.
    """
    if incoming.routing_key != _REPLAY_KEY:
        return incoming
    replay = decode(incoming.body)
    if not isinstance(replay, Replay) or replay.routing_key == _REPLAY_KEY:
        raise UndecodableError("not a replay of a client's message")
    try:
        body = base64.b64decode(replay.body, validate=True)
    except ValueError as error:
        raise UndecodableError(f"a replay whose body is not base64: {error}") from None
    return replace(incoming, body=body, routing_key=replay.routing_key, user=replay.user, reply_to=None)
