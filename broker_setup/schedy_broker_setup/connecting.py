"""Short connections to the broker."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pika
from pika.adapters.blocking_connection import BlockingConnection
from pika.exceptions import AMQPChannelError, AMQPConnectionError

from schedy.amqp.errors import broker_error
from schedy.amqp.parameters import Address, address_of, parameters_of
from schedy.errors import BrokerError, BrokerUnreachableError
from schedy.tls import NO_TLS_FILES, TlsFiles
from schedy.urls import split_urls

ALARM_PATIENCE_S = 10.0
"""The longest wait for a broker that an alarm blocks."""


def addresses_of(urls: str) -> list[Address]:
    """Return what may be shown of a broker URL, or of several with commas between them. Raises SettingsError."""
    return [address_of(parameters_of(url)) for url in split_urls(urls)]


def address_behind(connection: BlockingConnection) -> Address:
    """Return the address that a connection leads to."""
    return address_of(vars(connection)["_impl"].params)  # pika offers it only on its other connections


@contextmanager
def open_connection(urls: str, *, purpose: str, tls: TlsFiles = NO_TLS_FILES) -> Iterator[BlockingConnection]:
    """Connect for the length of a block, shown in the management UI as `schedy PURPOSE HOST:PID`.

    Takes the first that answers of several URLs with commas between them (the nodes of a cluster). Raises
    SettingsError for a URL or a certificate that cannot be used, and BrokerError both if there is no connection and if
    the connection, or a channel of it, is closed later.
    """
    connection = _connect_to_any([parameters_of(url, tls) for url in split_urls(urls)], purpose)
    try:
        yield connection
    except (AMQPConnectionError, AMQPChannelError) as error:
        raise broker_error(error, address_behind(connection), was_open=True) from error
    finally:
        if connection.is_open:
            connection.close()


def _connect_to_any(nodes: list[pika.URLParameters], purpose: str) -> BlockingConnection:
    errors: list[BrokerError] = []
    for parameters in nodes:
        parameters.client_properties = {"connection_name": f"schedy {purpose} {socket.gethostname()}:{os.getpid()}"}
        if parameters.blocked_connection_timeout is None:
            parameters.blocked_connection_timeout = ALARM_PATIENCE_S
        try:
            return BlockingConnection(parameters)
        except Exception as error:  # pika lets others through, also those over what is not AMQP
            errors.append(broker_error(error, address_of(parameters)))
            errors[-1].__cause__ = error
    if len(errors) == 1:
        raise errors[0]
    remedies = dict.fromkeys(error.remedy for error in errors)
    raise BrokerUnreachableError(" ".join(error.what for error in errors), remedy=" ".join(remedies)) from errors[-1]


def version_of(connection: BlockingConnection) -> str:
    """Return the version in the broker's greeting, or an empty text."""
    greeting = vars(connection)["_impl"].server_properties  # pika offers it only on its other connections
    version = (greeting or {}).get("version", "")
    return version.decode() if isinstance(version, bytes) else str(version)
