"""Faults between connecting and the end of the login, which pika explains by guesses: what really happened.

RabbitMQ says why it refuses a login or a vhost. A server that closes the connection without a word, says nothing, or
says something else, may be no RabbitMQ, or a proxy before one.
"""

from collections.abc import Iterable

from pika import exceptions as pika_errors
from pika.adapters.utils.connection_workflow import AMQPConnectorStackTimeout

from schedy.amqp.parameters import Address
from schedy.errors import BrokerUnreachableError

_TIMEOUT = "Timeout while setting up AMQP"
_TCP_TIMEOUT = "connecting socket"
_ENDS = ("Transport indicated EOF", "Connection reset by peer", "Broken pipe")
_BY_THE_BROKER = "ConnectionClosedByBroker"
_GUESSES = (pika_errors.ProbableAuthenticationError, pika_errors.ProbableAccessDeniedError)
_SEE_PORT = (
    "Check host and port in SCHEDY_BROKER_URL: AMQP usually has 5672 (15672 is the management UI's); for the TLS port,"
    " usually 5671, write amqps://."
)


def handshake_error(causes: Iterable[BaseException], address: Address) -> BrokerUnreachableError | None:
    """Return the error about a server that behaves not as RabbitMQ does, None if the causes say something else."""
    for cause in causes:
        if isinstance(cause, AMQPConnectorStackTimeout) or _TIMEOUT in str(cause):
            return _silent(address, is_tcp=_TCP_TIMEOUT in str(cause))
        if isinstance(cause, pika_errors.IncompatibleProtocolError) and not address.tls:
            return _not_amqp(cause, address)
        if isinstance(cause, _GUESSES) and "StreamLostError" in str(cause):
            return _cut(cause, address)
    return None


def _silent(address: Address, *, is_tcp: bool) -> BrokerUnreachableError:
    if is_tcp:
        return BrokerUnreachableError(
            f"Cannot reach RabbitMQ at {address}: nothing answers there (the attempt to connect timed out).",
            remedy="Check host and port in SCHEDY_BROKER_URL, the network, and the firewalls in between.",
        )
    return BrokerUnreachableError(
        f"The server at {address} accepts connections, but does not answer in AMQP.",
        remedy=f"{_SEE_PORT} If it is RabbitMQ, it is starting, or overloaded: see its log.",
    )


def _not_amqp(error: BaseException, address: Address) -> BrokerUnreachableError:
    return BrokerUnreachableError(
        f"The server at {address} does not speak plain AMQP ({_deed(error)}).",
        remedy=f"{_SEE_PORT} If it is RabbitMQ, or a proxy before it, see its log.",
    )


def _cut(error: BaseException, address: Address) -> BrokerUnreachableError:
    return BrokerUnreachableError(
        f"The server at {address} ended the connection during the login of user {address.user!r}, without a reason"
        f" ({_deed(error)}).",
        remedy="RabbitMQ is stopping, or this is a proxy or another server: see its log, and try again.",
    )


def _deed(error: BaseException) -> str:
    """Return what the server did."""
    ended = any(words in str(error) for words in _ENDS)
    return "it closed the connection" if ended else "it sent something else"
