"""The way to the broker: the parameters of each URL, and the socket."""

import contextlib
import os
import socket
from collections import deque
from dataclasses import dataclass
from typing import Any

import pika
from pika.adapters.select_connection import IOLoop
from pika.adapters.utils.selector_ioloop_adapter import SelectorIOServicesAdapter

from schedy.amqp.parameters import Address, address_of, parameters_of
from schedy.settings import Settings

_PATIENCE_WITH_ONE_URL = (10.0, 15.0)
"""Seconds for TCP, and for all of a connection with its login."""
_PATIENCE_WITH_SEVERAL_URLS = (4.0, 8.0)
"""So short that there is time for another node within a lease."""


@dataclass(frozen=True, slots=True)
class Node:
    """One of the addresses of the broker."""

    address: Address
    parameters: pika.URLParameters


def nodes_of(settings: Settings, *, name: str) -> deque[Node]:
    """Return the addresses of the broker in the settings. Raises SettingsError."""
    urls = settings.broker_urls
    patience = _PATIENCE_WITH_ONE_URL if len(urls) == 1 else _PATIENCE_WITH_SEVERAL_URLS
    nodes: deque[Node] = deque()
    for url in urls:
        parameters = parameters_of(url, settings.broker_tls)
        parameters.client_properties = {"connection_name": name, "product": "schedy"}
        parameters.heartbeat = settings.amqp_heartbeat_seconds
        parameters.blocked_connection_timeout = None  # its messages would be lost, and the next node is blocked, too
        parameters.socket_timeout, parameters.stack_timeout = patience
        nodes.append(Node(address_of(parameters), parameters))
    return nodes


class RecordingServices(SelectorIOServicesAdapter):
    """pika's I/O services, remembering the socket so that it can be dropped, and closed in a forked child."""

    def __init__(self, loop: IOLoop) -> None:
        super().__init__(loop)  # type: ignore[arg-type] # the stubs want pika's abstract loop
        self._socket: tuple[int, int] | None = None

    def create_streaming_connection(self, protocol_factory: Any, sock: Any, *rest: Any, **named: Any) -> Any:
        self._socket = (sock.fileno(), os.fstat(sock.fileno()).st_ino)
        return super().create_streaming_connection(protocol_factory, sock, *rest, **named)

    @property
    def has_socket(self) -> bool:
        """True while TCP is connected."""
        return self._live_descriptor() is not None

    def shut_down_socket(self) -> None:
        """Drop the TCP connection without AMQP's closing handshake."""
        descriptor = self._live_descriptor()
        if descriptor is not None:
            with socket.socket(fileno=os.dup(descriptor)) as duplicate, contextlib.suppress(OSError):
                duplicate.shutdown(socket.SHUT_RDWR)

    def close_in_child(self) -> None:
        """Close the inherited descriptor: a living child must not keep its parent's connection open."""
        descriptor = self._live_descriptor()
        if descriptor is not None:
            os.close(descriptor)

    def forget_socket(self) -> None:
        self._socket = None

    def _live_descriptor(self) -> int | None:
        """Return the descriptor, unless it was closed and perhaps given to another file since."""
        if self._socket is None:
            return None
        descriptor, inode = self._socket
        try:
            return descriptor if os.fstat(descriptor).st_ino == inode else None
        except OSError:
            return None
