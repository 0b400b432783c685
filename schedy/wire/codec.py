"""Messages as bytes and back."""

import contextlib
import json
from datetime import datetime
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from schedy.errors import InvalidValueError
from schedy.wire import bundles, changes, reports, requests  # noqa: F401 - so that `MESSAGES` has all kinds
from schedy.wire.base import MESSAGES, Answer, Message, Sendable
from schedy.wire.service import Ticket
from schedy.wire.versions import VERSIONS, RawMessage, UndecodableError

M = TypeVar("M", bound=Message)


def routing_key(message: Sendable) -> str:
    """Return the key under which `message` goes to the inbox exchange."""
    return message.routing_prefix + message.kind


def encode(message: Message) -> bytes:
    """Return the message as ASCII JSON; NaN and infinities as Python's json writes them."""
    with contextlib.suppress(PydanticSerializationError):  # lone surrogates
        body = message.model_dump_json().encode()
        if body.isascii():
            return body
    return json.dumps(message.model_dump(exclude_defaults=False), default=_encode_time, separators=(",", ":")).encode()


def _encode_time(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} in a message")


def decode(body: bytes) -> Sendable:
    """Return the message that a client sent. Raises UndecodableError."""
    return _decode(Sendable, body)


def decode_answer(body: bytes) -> Answer:
    """Return the answer that a service gave. Raises UndecodableError."""
    return _decode(Answer, body)


def read_report(raw: RawMessage) -> reports.Report[Any]:
    """Return a report of a bundle. Raises UndecodableError."""
    return _model(reports.Report, raw)


def read_answer(raw: RawMessage) -> Answer:
    """Return an answer of a bundle. Raises UndecodableError."""
    return _model(Answer, raw)


def decode_ticket(body: bytes) -> Ticket:
    """Return the ticket in an experiment's queue. Raises UndecodableError."""
    return _decode(Ticket, body)


def _decode(wanted: type[M], body: bytes) -> M:
    return _model(wanted, _read(body))


def _model(wanted: type[M], raw: RawMessage) -> M:
    kind = raw.get("kind")
    model = MESSAGES.get(kind) if isinstance(kind, str) else None
    if model is None or not model.by_service:
        raw = VERSIONS.upgraded(raw)
    if model is None or not issubclass(model, wanted):
        raise UndecodableError(f"not a known message: the kind is {kind!r}")
    try:
        return model.model_validate(raw, extra="ignore" if model.by_service else "forbid")
    except (ValidationError, InvalidValueError, RecursionError) as error:
        raise UndecodableError(f"not a known message: {kind}.{_first_line(error)}") from None


def _read(body: bytes) -> RawMessage:
    try:
        raw: Any = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UndecodableError(f"not JSON: {error}") from None
    if not isinstance(raw, dict):
        raise UndecodableError("not a JSON object")
    return raw


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        fault = error.errors(include_input=False, include_url=False)[0]
        return f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"
    return str(error)
