"""The servers that the figures need, private to one run: a RabbitMQ node, a store, a results service."""

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import schedy
from schedy.settings import load_settings
from schedy_broker_setup.node.node import NodeSettings, PrivateNode, free_port

ROOT = Path(__file__).parent.parent
_END_SECONDS = 10.0
_PATIENCE_SECONDS = 120.0
_LEFT_OUT = ("SCHEDY_", "PYTHONDONTWRITEBYTECODE")


@dataclass(slots=True)
class Servers:
    """What runs, and where. `service` changes when the service is restarted."""

    folder: Path
    broker_url: str
    store_url: str
    node: PrivateNode
    name: str = field(default_factory=lambda: f"bench-{uuid.uuid4().hex[:8]}")
    """An experiment with this name, or a name that begins with it, belongs to this run."""
    service: "subprocess.Popen[bytes] | None" = None

    @property
    def environment(self) -> dict[str, str]:
        """The environment of every process of the run; modules are compiled once, as where Schedy is installed."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_LEFT_OUT)}
        return {
            **kept,
            "SCHEDY_BROKER_URL": self.broker_url,
            "SCHEDY_STORE_URL": self.store_url,
            "SCHEDY_DATA_DIR": str(self.folder / "data"),
            "SCHEDY_CONFIG": str(self.folder / "config.toml"),
        }

    def connect(self) -> schedy.SchedyDB:
        """Connect, with patience: where the disk stalls for long, a figure is low, and the run goes on."""
        settings = load_settings(environment=self.environment).model_dump()
        patience = {"store_wait_seconds": _PATIENCE_SECONDS, "service_wait_seconds": _PATIENCE_SECONDS}
        return schedy.SchedyDB(self.folder / "config.toml", config_override=settings | patience)

    def start_service(self) -> None:
        """Start `schedy serve` as users do; returns at once."""
        with (self.folder / "service.log").open("ab") as log:
            self.service = start([sys.executable, "-m", "schedy_cli.main", "serve"], self.environment, stderr=log)

    def stop_service(self) -> None:
        if self.service is not None:
            end(self.service)
            self.service = None

    def pids(self) -> dict[str, list[int]]:
        """The processes of the servers."""
        service = [self.service.pid] if self.service is not None else []
        return {"service": service, "broker": self.node.pids()}


@contextlib.contextmanager
def running(folder: Path, store_url: str | None) -> Iterator[Servers]:
    """Start the broker, give the store's URL, and end all at the end. The service is started by who needs it."""
    (folder / "config.toml").touch()
    settings = NodeSettings(
        data_dir=folder / "broker",
        amqp_port=free_port(),
        management_port=free_port(),
        user="bench",
        password=secrets.token_urlsafe(12),
    )
    node = PrivateNode(settings)
    url = f"amqp://{settings.user}:{settings.password}@127.0.0.1:{settings.amqp_port}/%2F"
    servers = Servers(folder, url, store_url or f"sqlite:///{folder}/store.sqlite", node)
    try:
        node.start()
        node.wait_ready()
        yield servers
    finally:
        with unhurried():
            servers.stop_service()
            node.stop()


@contextlib.contextmanager
def unhurried() -> Iterator[None]:
    """Hold off Ctrl-C, so that a second one does not leave half of the processes behind."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def start(
    command: Sequence[str], environment: Mapping[str, str], *, stdin: int | None = None, **streams: object
) -> "subprocess.Popen[bytes]":
    """Start a process that a Ctrl-C in the terminal does not reach: we end it."""
    process: subprocess.Popen[bytes] = subprocess.Popen(
        list(command),
        env=dict(environment),
        cwd=ROOT,
        stdin=subprocess.DEVNULL if stdin is None else stdin,
        start_new_session=True,
        **streams,  # type: ignore[call-overload]
    )
    return process


def end(process: "subprocess.Popen[bytes]") -> None:
    """End a process in order, by force after a while."""
    process.terminate()
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def seconds_until_answered(servers: Servers) -> float:
    """Start the service and return how long it takes until it has answered a read."""
    with servers.connect() as db:
        started = time.perf_counter()
        servers.start_service()
        db.get_experiments()
        return time.perf_counter() - started
