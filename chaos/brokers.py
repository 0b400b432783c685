"""The broker of a run: one private node of some version, or three in a cluster."""

import secrets
import shlex
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from chaos.ports import lasting_port
from chaos.releases import release_folder
from schedy_broker_setup.management import Management
from schedy_broker_setup.node import NodeSettings, PrivateNode

KINDS = ("3.10", "4.0", "4.3", "cluster")
_USER = "chaos"


@dataclass(slots=True)
class BrokerUnderTest:
    """One node, or the members of a cluster."""

    nodes: list[PrivateNode]
    user: str
    password: str

    def start(self) -> None:
        for node in self.nodes:
            node.start()
        for node in self.nodes:
            node.wait_ready()

    def stop(self) -> None:
        for node in self.nodes:
            node.stop()

    def url(self, number: int, *, port: int | None = None) -> str:
        """The URL of a node, or of what stands at `port` in front of it."""
        own = self.nodes[number % len(self.nodes)].settings.amqp_port
        return f"amqp://{self.user}:{self.password}@127.0.0.1:{port or own}/%2F"

    @property
    def management(self) -> Management:
        port = self.nodes[0].settings.management_port
        return Management(f"http://{quote(self.user)}:{quote(self.password)}@127.0.0.1:{port}")

    def bring_up(self, node: PrivateNode) -> None:
        """Start a node that was stopped or killed; returns when it serves."""
        node.start()
        node.wait_ready()


def make_broker(kind: str, folder: Path) -> BrokerUnderTest:
    password = secrets.token_urlsafe(12)
    if kind == "cluster":
        raise NotImplementedError
    program = None if kind == "3.10" else _program_in_release(kind, folder)
    settings = NodeSettings(
        data_dir=folder / "broker",
        amqp_port=lasting_port(),
        management_port=lasting_port(),
        user=_USER,
        password=password,
        server_program=program,
    )
    return BrokerUnderTest([PrivateNode(settings)], _USER, password)


def _program_in_release(version: str, folder: Path) -> Path:
    """Write a program that runs the server of another Debian release on data of this one.

    The mounts are seen by the server alone and go with it.
    """
    root = release_folder(version)
    inside = f"{root}{folder}"
    program = folder / f"rabbitmq-server-{version}"
    program.write_text(
        f"#!/bin/sh\nexec unshare --mount sh -c {shlex.quote(_mounting(root, str(folder), inside))} rabbitmq-server\n"
    )
    program.chmod(0o700)
    return program


def _mounting(root: Path, folder: str, inside: str) -> str:
    steps = [
        f"mkdir -p {shlex.quote(inside)}",
        f"mount --bind {shlex.quote(folder)} {shlex.quote(inside)}",
        f"mount --bind /proc {root}/proc",
        f"mount --bind /dev {root}/dev",
        f"exec chroot {root} /usr/lib/rabbitmq/bin/rabbitmq-server",
    ]
    return " && ".join(steps)
