"""The settings of a private RabbitMQ node."""

import errno
import ipaddress
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from schedy.errors import SchedyError

_SAFE_WORD = re.compile(r"[A-Za-z0-9_.~-]+")
_SAFE_NAME = re.compile(r"[A-Za-z0-9_-]+@localhost")


class NodeError(SchedyError):
    """The private RabbitMQ node could not be started, reached or stopped; the message says what to do."""


@dataclass(frozen=True)
class NodeSettings:
    """The settings of a node. `user` and `password` are created with the data; later changes here have no effect.

    AMQP listens on every address of `amqp_hosts` (IP addresses of this machine), the rest on loopback only.
    `extra_config` holds keys and values of rabbitmq.conf and overrides those of the node.
    `server_program` is searched for if None. Two nodes may share a name, but never a `data_dir`.
    Nodes of one cluster share a `cookie` (random if None) and an epmd that runs already at `epmd_port`; with None the
    node starts and stops its own.
    """

    data_dir: Path
    amqp_port: int
    management_port: int
    user: str
    password: str = field(repr=False)
    amqp_hosts: tuple[str, ...] = ("127.0.0.1",)
    name: str = "schedy@localhost"
    extra_config: Mapping[str, str] = field(default_factory=dict)
    server_program: Path | None = None
    cookie: str | None = field(default=None, repr=False)
    epmd_port: int | None = None

    def __post_init__(self) -> None:
        for label, value in (("user", self.user), ("password", self.password)):
            if not _SAFE_WORD.fullmatch(value):
                raise NodeError(
                    f"The {label} of a private node may have only letters, digits and _ . ~ - "
                    "(secrets.token_urlsafe() returns such a text)."
                )
        if not _SAFE_NAME.fullmatch(self.name):
            raise NodeError(f"The node name {self.name!r} is invalid: it must look like schedy@localhost.")
        if not self.amqp_hosts:
            raise NodeError("A private node needs at least one address to listen on, for example 127.0.0.1.")
        for host in self.amqp_hosts:
            try:
                ipaddress.ip_address(host)
            except ValueError:
                raise NodeError(
                    f"{host!r} is not an IP address. Give an address of this machine, "
                    "for example 192.168.1.7, or 0.0.0.0 for all of them."
                ) from None

        if self.amqp_port == self.management_port:
            raise NodeError(f"AMQP and management cannot share port {self.amqp_port}: choose two ports.")

    @property
    def local_host(self) -> str:
        """The address at which this machine itself reaches the AMQP port."""
        addresses = [ipaddress.ip_address(host) for host in self.amqp_hosts]
        for address in addresses:
            if address.is_unspecified:
                return "127.0.0.1" if address.version == 4 else "::1"
        return str(next((address for address in addresses if address.is_loopback), addresses[0]))

    def listeners(self) -> list[tuple[str, int]]:
        """Return the addresses for AMQP; "all addresses" covers the others, which cannot be bound a second time."""
        hosts = list(dict.fromkeys(self.amqp_hosts))
        all_addresses = [host for host in hosts if ipaddress.ip_address(host).is_unspecified]
        return [(host, self.amqp_port) for host in all_addresses or hosts]


def free_port(host: str = "127.0.0.1") -> int:
    """Return a TCP port that is free now. Nothing reserves it: use it soon."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def check_ports_free(settings: NodeSettings) -> None:
    """Check that the node can listen on its ports. Raises NodeError that names the first port that it cannot."""
    for host, port in [*settings.listeners(), ("127.0.0.1", settings.management_port)]:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                fault = f"The node cannot listen on port {port} of {host}: {error.strerror}."
                raise NodeError(f"{fault} {_remedy(error.errno, port)}") from error


def _remedy(number: int | None, port: int) -> str:
    """Return what to do about an error of a socket that cannot listen."""
    if number == errno.EADDRNOTAVAIL:
        return "Give an address of this machine; `ip -brief address` lists them."
    if number == errno.EACCES:
        return "Choose a port from 1024 on."
    return f"See what uses it with `ss -ltnp 'sport = :{port}'`, or choose another port."
