"""Short connections to the broker, and what it means when there is none."""

import os
import socket
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

import pika
from pika.adapters.blocking_connection import BlockingConnection
from pika.connection import Parameters
from pika.exceptions import (
    AMQPConnectionError,
    AMQPError,
    ConnectionBlockedTimeout,
    IncompatibleProtocolError,
    ProbableAccessDeniedError,
    ProbableAuthenticationError,
)

from schedy.amqp.errors import plain_reason
from schedy.settings import NO_TLS_FILES, TlsFiles, split_urls
from schedy.tls import tls_context, tls_fault
from schedy_broker_setup.errors import BadUrlError, UnreachableError

PATIENCE_S = 10.0
"""How long one answer of the broker may take."""


@dataclass(frozen=True, kw_only=True)
class Address:
    """What may be shown of a broker URL."""

    host: str
    port: int
    vhost: str
    user: str
    tls: bool

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def parameters_of(url: str, tls: TlsFiles = NO_TLS_FILES) -> pika.URLParameters:
    """Read a broker URL; the error of a bad one does not repeat it, since it may hold a password."""
    try:
        split_url(url, schemes={"amqp", "amqps"})
        parameters = pika.URLParameters(url)
    except (ValueError, TypeError):
        raise BadUrlError(
            "The broker URL cannot be read.",
            remedy="Write SCHEDY_BROKER_URL as amqp://USER:PASSWORD@HOST:5672/VHOST (amqps:// for TLS), with "
            "%2F for the vhost / and %XX for characters like @ : / ? # in the password; several with commas between.",
        ) from None
    if parameters.ssl_options is not None:
        parameters.ssl_options = pika.SSLOptions(tls_context(tls), parameters.host)
    if parameters.blocked_connection_timeout is None:
        parameters.blocked_connection_timeout = PATIENCE_S
    return parameters


def split_url(url: str, *, schemes: Collection[str]) -> SplitResult:
    """Split a URL with user and password. Raises ValueError for one that cannot be what was meant.

    A `/`, `?` or `#` in the password ends the host too early; an `@` after that gives it away. Without this
    check a piece of the password would be taken for the host and shown in messages.
    """
    parts = urlsplit(url)
    if parts.scheme not in schemes or not parts.hostname or "," in parts.hostname or parts.port == 0:
        raise ValueError("no scheme or host that Schedy can use")
    if "@" in parts.path + parts.query + parts.fragment:
        raise ValueError("an @ after the host")
    return parts


def addresses_of(urls: str) -> list[Address]:
    """Return what may be shown of a broker URL, or of several with commas between them. Raises BadUrlError."""
    return [_address(parameters_of(url)) for url in split_urls(urls)]


def address_behind(connection: BlockingConnection) -> Address:
    """Return where a connection leads."""
    return _address(vars(connection)["_impl"].params)  # pika offers it only on its other connections


def _address(parameters: Parameters) -> Address:
    return Address(
        host=parameters.host,
        port=parameters.port,
        vhost=parameters.virtual_host,
        user=str(getattr(parameters.credentials, "username", "")),
        tls=parameters.ssl_options is not None,
    )


@contextmanager
def open_connection(urls: str, *, purpose: str, tls: TlsFiles = NO_TLS_FILES) -> Iterator[BlockingConnection]:
    """Connect for the length of a block, shown in the management UI as `schedy PURPOSE HOST:PID`.

    Of several URLs with commas between them, those of a cluster's nodes, the first that answers is taken. Raises
    BadUrlError, SettingsError about a certificate, and UnreachableError both when there is no connection and when
    it is lost later.
    """
    connection = _connect_to_any([parameters_of(url, tls) for url in split_urls(urls)], purpose)
    address = address_behind(connection)
    try:
        yield connection
    except ConnectionBlockedTimeout as error:
        raise UnreachableError(
            f"The broker at {address} takes no messages: it is short of memory or disk.",
            remedy="See `rabbitmq-diagnostics alarms`, free some there, or move its limits in rabbitmq.conf.",
        ) from error
    except AMQPConnectionError as error:
        raise UnreachableError(
            f"The connection to the broker at {address} was lost ({plain_reason(error)}).",
            remedy="Look at the broker's log, then try again.",
        ) from error
    finally:
        if connection.is_open:
            connection.close()


def _connect_to_any(nodes: list[pika.URLParameters], purpose: str) -> BlockingConnection:
    errors: list[UnreachableError] = []
    for parameters in nodes:
        parameters.client_properties = {"connection_name": f"schedy {purpose} {socket.gethostname()}:{os.getpid()}"}
        try:
            return BlockingConnection(parameters)
        except (AMQPError, OSError) as error:
            cause = error
            errors.append(_unreachable(error, _address(parameters)))
    remedies = dict.fromkeys(error.remedy for error in errors)
    raise UnreachableError(" ".join(error.what for error in errors), remedy=" ".join(remedies)) from cause


def version_of(connection: BlockingConnection) -> str:
    """Return the version that the broker gave in its greeting, or nothing."""
    greeting = vars(connection)["_impl"].server_properties  # pika offers it only on its other connections
    version = (greeting or {}).get("version", "")
    return version.decode() if isinstance(version, bytes) else str(version)


def _unreachable(error: Exception, address: Address) -> UnreachableError:
    fault = tls_fault(repr(error), str(address))
    if fault is not None:
        return UnreachableError(fault[0], remedy=fault[1])
    for kind, explain in _EXPLANATIONS:
        if isinstance(error, kind):
            what, remedy = explain(error, address)
            return UnreachableError(what, remedy=remedy)
    return UnreachableError(
        f"No connection to the broker at {address} ({plain_reason(error)}).",
        remedy="Check host and port in SCHEDY_BROKER_URL and the broker's log.",
    )


def _wrong_password(error: Exception, address: Address) -> tuple[str, str]:
    remedy = "Check user and password in SCHEDY_BROKER_URL (special characters as %XX)."
    if address.user == "guest":
        remedy += " RabbitMQ lets guest in only from the broker's own machine: use a user of your own."
    return f"The broker at {address} refused the login of user {address.user}.", remedy


def _no_vhost(error: Exception, address: Address) -> tuple[str, str]:
    if "not found" in plain_reason(error):
        return (
            f"The broker at {address} has no vhost {address.vhost}.",
            f"Correct the last part of SCHEDY_BROKER_URL (%2F stands for the vhost /), or create it: "
            f"rabbitmqctl add_vhost {address.vhost}",
        )
    return (
        f"User {address.user} may not use vhost {address.vhost} of the broker at {address} ({plain_reason(error)}).",
        "Give it rights there: schedy broker setup --management-url URL, or rabbitmqctl set_permissions.",
    )


def _not_amqp(error: Exception, address: Address) -> tuple[str, str]:
    if address.tls:
        return (
            f"The broker at {address} closed the TLS connection at once ({plain_reason(error)}).",
            "It may want a client certificate (SCHEDY_BROKER_CERT_FILE), or be another service. See its log.",
        )
    return (
        f"What listens at {address} does not speak plain AMQP.",
        "Use the AMQP port, usually 5672 (15672 is the management UI's); for the TLS port, usually 5671, "
        "write amqps://.",
    )


def _unknown_host(error: Exception, address: Address) -> tuple[str, str]:
    return (
        f"The host name {address.host} is unknown ({plain_reason(error)}).",
        "Check the host in SCHEDY_BROKER_URL.",
    )


def _not_connected(error: Exception, address: Address) -> tuple[str, str]:
    return (
        f"No connection to the broker at {address} ({plain_reason(error)}).",
        "Start RabbitMQ there, or a private one on this machine with `schedy up`; check host and port in "
        "SCHEDY_BROKER_URL, and firewalls.",
    )


_EXPLANATIONS: tuple[tuple[type[Exception], Callable[[Exception, Address], tuple[str, str]]], ...] = (
    (ProbableAuthenticationError, _wrong_password),
    (ProbableAccessDeniedError, _no_vhost),
    (IncompatibleProtocolError, _not_amqp),
    (socket.gaierror, _unknown_host),
    (AMQPConnectionError, _not_connected),
)
"""First match wins: subclasses stand before their parents."""
