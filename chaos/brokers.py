"""The broker of a run: one private node of some version, or three in a cluster."""

import secrets
import shlex
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from chaos.ports import lasting_port
from chaos.releases import release_folder
from schedy_broker_setup.management import Management
from schedy_broker_setup.node.files import erlang_environment, find_erlang_program
from schedy_broker_setup.node.node import NodeError, NodeSettings, PrivateNode

KINDS = ("3.10", "4.0", "4.3", "cluster")
_USER = "chaos"
_CLUSTER_SIZE = 3
_MAJORITY_SECONDS = 60.0
_LOOK_SECONDS = 0.5


@dataclass(slots=True)
class BrokerUnderTest:
    """One node, or the members of a cluster."""

    nodes: list[PrivateNode]
    user: str
    password: str
    epmd: "subprocess.Popen[bytes] | None" = None
    """The name service of a cluster."""

    def start(self) -> None:
        for node in self.nodes:
            node.start()
        for node in self.nodes:
            node.wait_ready()

    def stop(self) -> None:
        for node in self.nodes:
            node.stop()
        if self.epmd is not None:
            self.epmd.kill()
            self.epmd.wait()

    def url(self, number: int, *, port: int | None = None) -> str:
        """The URL of a node, or of what stands at `port` in front of it."""
        own = self.nodes[number % len(self.nodes)].settings.amqp_port
        return f"amqp://{self.user}:{self.password}@127.0.0.1:{port or own}/%2F"

    def management(self, number: int = 0) -> Management:
        port = self.nodes[number].settings.management_port
        return Management(f"http://{quote(self.user)}:{quote(self.password)}@127.0.0.1:{port}")

    def bring_up(self, node: PrivateNode) -> None:
        """Start a node that was stopped or killed; returns when it serves, and when any node may go down next."""
        node.start()
        node.wait_ready()
        if len(self.nodes) > 1:
            self._wait_for_majorities()

    def _wait_for_majorities(self) -> None:
        deadline = time.monotonic() + _MAJORITY_SECONDS
        while any(self.management(number).is_quorum_critical() for number in range(len(self.nodes))):
            if time.monotonic() > deadline:
                raise NodeError(f"A queue has had no spare member for {_MAJORITY_SECONDS:.0f} s.")
            time.sleep(_LOOK_SECONDS)


def make_broker(kind: str, folder: Path) -> BrokerUnderTest:
    if kind == "cluster":
        return _cluster(folder)
    password = secrets.token_urlsafe(12)
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


def _cluster(folder: Path) -> BrokerUnderTest:
    """Three nodes that find each other when they start; a node that sees no majority pauses."""
    password, cookie, epmd_port = secrets.token_urlsafe(12), secrets.token_hex(24), lasting_port()
    node_names = [f"chaos{number}@localhost" for number in range(_CLUSTER_SIZE)]
    config = {
        "cluster_partition_handling": "pause_minority",
        "cluster_formation.peer_discovery_backend": "classic_config",
        **{f"cluster_formation.classic_config.nodes.{place}": name for place, name in enumerate(node_names, start=1)},
    }
    nodes = [
        PrivateNode(
            NodeSettings(
                data_dir=folder / name.partition("@")[0],
                amqp_port=lasting_port(),
                management_port=lasting_port(),
                user=_USER,
                password=password,
                name=name,
                extra_config=config,
                cookie=cookie,
                epmd_port=epmd_port,
            )
        )
        for name in node_names
    ]
    epmd = subprocess.Popen(
        [str(find_erlang_program("epmd"))],
        env=erlang_environment(folder, epmd_port=epmd_port),
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    return BrokerUnderTest(nodes, _USER, password, epmd)


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
