"""What pika raises, as errors of Schedy with words that help: the only place of the library that does this."""

import re
from urllib.parse import urlsplit

from pika import exceptions as pika_errors

from schedy.errors import (
    AuthenticationError,
    BrokerError,
    BrokerFaultError,
    BrokerUnreachableError,
    PermissionDeniedError,
    TopologyMissingError,
)
from schedy.tls import tls_fault

_INTERNAL_ERROR = 541
_QUOTED_ERROR = re.compile(r"\w+Error\(\d+, \W*([^'\"\\]+)")
"""An error of the system as pika repeats it: ConnectionResetError(104, 'Connection reset by peer')."""


def place_of(url: str) -> str:
    """Return host and port of a broker URL."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or (5671 if parts.scheme == 'amqps' else 5672)}"


def broker_error(error: BaseException, url: str, *, was_open: bool = False) -> BrokerError:
    """Map an error of pika to one of ours."""
    parts = urlsplit(url)
    place = place_of(url)
    fault = tls_fault(repr(_causes(error)), place)
    if fault is not None and not was_open:
        return BrokerUnreachableError(" ".join(fault))
    for cause in _causes(error):
        if isinstance(cause, pika_errors.IncompatibleProtocolError):
            return _not_amqp(error, place, tls=parts.scheme == "amqps")
        found = _known_error(cause, place, user=parts.username or "guest", vhost=parts.path[1:] or "%2F")
        if found is not None:
            return found
    if was_open:
        kind = BrokerFaultError if getattr(error, "reply_code", None) == _INTERNAL_ERROR else BrokerUnreachableError
        return kind(f"The connection to RabbitMQ at {place} was lost ({plain_reason(error)}).")
    return BrokerUnreachableError(
        f"Cannot reach RabbitMQ at {place} ({plain_reason(error)}). Start it with `schedy up`,"
        " or set SCHEDY_BROKER_URL to where it runs."
    )


def _known_error(error: BaseException, place: str, *, user: str, vhost: str) -> BrokerError | None:
    code = getattr(error, "reply_code", None)
    text = str(getattr(error, "reply_text", error)).rstrip(".") + "."
    if isinstance(error, pika_errors.ChannelClosedByBroker):
        return _channel_error(int(code or 0), text, user)
    if isinstance(error, pika_errors.ConnectionClosedByBroker) and code == 530:
        return AuthenticationError(
            f"RabbitMQ at {place} does not let user {user!r} into the virtual host {vhost!r}: {text}"
            " Check the end of the broker URL and the user's permissions."
        )
    if isinstance(error, pika_errors.AuthenticationError | pika_errors.ProbableAuthenticationError) or code == 403:
        return AuthenticationError(
            f"RabbitMQ at {place} refuses the password of user {user!r}. Check SCHEDY_BROKER_URL."
        )
    if isinstance(error, pika_errors.ProbableAccessDeniedError):
        return AuthenticationError(
            f"RabbitMQ at {place} refuses user {user!r} in the virtual host {vhost!r}. Check the broker URL."
        )
    return None


def _not_amqp(error: BaseException, place: str, *, tls: bool) -> BrokerError:
    if tls:
        return BrokerUnreachableError(
            f"What answers at {place} closed the TLS connection at once ({plain_reason(error)}). It may want a client"
            " certificate (SCHEDY_BROKER_CERT_FILE), or be another service than RabbitMQ."
        )
    return BrokerUnreachableError(
        f"What answers at {place} does not speak plain AMQP ({plain_reason(error)}). Check the port in"
        " SCHEDY_BROKER_URL; for the TLS port, usually 5671, write amqps://."
    )


def _channel_error(code: int, text: str, user: str) -> BrokerError:
    if code == 403:
        return PermissionDeniedError(
            f"The broker's user {user!r} may not do this: {text} `schedy broker setup` gives the permissions."
        )
    if code == 404:
        return TopologyMissingError(
            f"Schedy's exchanges and queues are missing on the broker: {text} Run `schedy broker setup`,"
            " or start the results service (`schedy serve`), which makes them."
        )
    return BrokerError(f"RabbitMQ closed a channel: {code} {text}")


def _causes(error: BaseException) -> list[BaseException]:
    """The error and what it wraps, pika's connector errors included."""
    found = [error]
    for item in found:
        inner = [item.__cause__, getattr(item, "exception", None), *getattr(item, "exceptions", ()), *item.args]
        found.extend(cause for cause in inner if isinstance(cause, BaseException) and cause not in found)
        if len(found) > 50:
            break
    return found


def plain_reason(error: BaseException) -> str:
    """The system's words, or RabbitMQ's, without pika's and Python's around them."""
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        if isinstance(cause, pika_errors.ConnectionClosed):
            return str(cause.reply_text)
    quoted = _QUOTED_ERROR.search(str(error))
    return quoted[1].partition(" (_ssl.c")[0] if quoted else str(error) or type(error).__name__
