"""The RabbitMQ node that `schedy up` starts, with its ports, passwords and users."""

import ipaddress
import json
import os
import secrets
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from schedy_broker_setup.management import Management
from schedy_broker_setup.node.node import NodeError, NodeSettings, PrivateNode
from schedy_broker_setup.permissions import Role, User
from schedy_broker_setup.users import create_users
from schedy_cli.up.ports import Ports

_START_SECONDS = 120.0
_ADMIN = "schedy"


@dataclass(frozen=True)
class Passwords:
    """The passwords of the private broker, kept with its data."""

    admin: str = field(default_factory=lambda: secrets.token_urlsafe(18))
    worker: str = field(default_factory=lambda: secrets.token_urlsafe(18))
    pusher: str = field(default_factory=lambda: secrets.token_urlsafe(18))

    @classmethod
    def of(cls, data_dir: Path) -> Self:
        """Return the passwords of a data folder, created with its first broker."""
        path = data_dir / "broker-passwords.json"
        try:
            return cls(**json.loads(path.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            made = cls()
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                json.dump(vars(made), file)
            return made


class PrivateBroker:
    """A private node."""

    def __init__(self, data_dir: Path, *, ports: Ports, listen: str | None) -> None:
        """`listen`: the IP address of this machine on which other machines reach the node; None: none do."""
        self._listen = listen
        self._passwords = Passwords.of(data_dir)
        self._settings = NodeSettings(
            data_dir=data_dir / "broker",
            amqp_port=ports.amqp,
            management_port=ports.management,
            user=_ADMIN,
            password=self._passwords.admin,
            amqp_hosts=("127.0.0.1",) if listen is None else ("127.0.0.1", listen),
        )
        self._node = PrivateNode(self._settings)

    @property
    def url(self) -> str:
        return f"amqp://{_ADMIN}:{self._passwords.admin}@{self._settings.local_host}:{self._settings.amqp_port}/%2F"

    @property
    def management_url(self) -> str:
        return f"http://{_ADMIN}:{self._passwords.admin}@127.0.0.1:{self._settings.management_port}"

    def start(self, check_stop: Callable[[], None]) -> None:
        """Start the node and wait until it is ready. Raises NodeError, and whatever `check_stop` raises meanwhile."""
        self._node.start()
        deadline = time.monotonic() + _START_SECONDS
        while True:
            check_stop()
            try:
                self._node.wait_ready(1.0)
                return
            except NodeError:
                if not self._node.is_running() or time.monotonic() > deadline:
                    raise

    def is_running(self) -> bool:
        return self._node.is_running()

    def stop(self) -> None:
        self._node.stop()

    def open_to_cluster(self) -> list[str]:
        """Create the users of a cluster, with least privilege; return the URLs of the worker and the pusher."""
        if self._listen is None:
            return []
        users = [
            User(name=Role.WORKER.user_name, role=Role.WORKER, password=self._passwords.worker),
            User(name=Role.PUSHER.user_name, role=Role.PUSHER, password=self._passwords.pusher),
        ]
        create_users(Management(self.management_url), users, vhost="/")
        place = f"{_host_for_others(self._listen)}:{self._settings.amqp_port}"
        return [f"amqp://{user.name}:{user.password}@{place}/%2F" for user in users]


def _host_for_others(listen: str) -> str:
    address = ipaddress.ip_address(listen)
    host = socket.gethostname() if address.is_unspecified else str(address)
    return f"[{host}]" if ":" in host else host
