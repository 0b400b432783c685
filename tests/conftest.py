"""Shared fixtures: one private RabbitMQ node and one PostgreSQL for the session, a vhost and a store for each test."""

import os
import secrets
import signal
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import schedy
from schedy.settings import Settings, load_settings
from schedy_broker_setup.management import Management
from schedy_broker_setup.node.files import find_server
from schedy_broker_setup.node.node import NodeError, NodeSettings, PrivateNode, free_port
from schedy_store.service.loop import ResultsService
from tests.support import PostgreSQL, missing_server, postgresql_program, running_service

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as in what a script runs in the background; children inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass(frozen=True)
class Node:
    """A running RabbitMQ, with an administrator's URLs."""

    url: str
    management_url: str


@dataclass(frozen=True)
class OwnNode(Node):
    """A node that a test may stop, kill and start."""

    private: PrivateNode


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test reads the settings of who runs it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("BROKER_URL", "STORE_URL", "DATA_DIR", "CONFIG", "LOG_LEVEL"):
        monkeypatch.delenv(f"SCHEDY_{name}", raising=False)


def start_node(folder: Path, **extra_config: str) -> OwnNode:
    """Start a private node on free ports."""
    try:
        find_server()
    except NodeError:
        missing_server("RabbitMQ")
    password = secrets.token_urlsafe(12)
    settings = NodeSettings(
        data_dir=folder,
        amqp_port=free_port(),
        management_port=free_port(),
        user="admin",
        password=password,
        extra_config=extra_config,
    )
    private = PrivateNode(settings)
    private.start()
    private.wait_ready()
    return OwnNode(
        private=private,
        url=f"amqp://admin:{password}@127.0.0.1:{settings.amqp_port}/%2F",
        management_url=f"http://admin:{password}@127.0.0.1:{settings.management_port}",
    )


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """The node that most tests share; tests that restart a broker take `own_node`.

    SCHEDY_TEST_BROKER_URL and SCHEDY_TEST_MANAGEMENT_URL, of an administrator, name another RabbitMQ instead.
    """
    if "SCHEDY_TEST_BROKER_URL" in os.environ:
        yield Node(os.environ["SCHEDY_TEST_BROKER_URL"], os.environ["SCHEDY_TEST_MANAGEMENT_URL"])
        return
    started = start_node(tmp_path_factory.mktemp("rabbitmq"))
    yield started
    started.private.stop()


@pytest.fixture
def own_node(tmp_path: Path) -> Iterator[OwnNode]:
    """A node of the test's own, to be killed and restarted."""
    started = start_node(tmp_path / "own-rabbitmq")
    yield started
    started.private.stop()


@pytest.fixture
def vhost_url(node: Node) -> Iterator[str]:
    """URL of an administrator in a vhost of the test's own."""
    vhost = f"test-{uuid.uuid4().hex[:12]}"
    management = Management(node.management_url)
    management.put_vhost(vhost)
    yield node.url.rsplit("/", 1)[0] + "/" + vhost
    management.delete_vhost(vhost)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """The server that most tests share; tests that stop one take `own_postgresql`."""
    yield from _running_postgresql()


@pytest.fixture
def own_postgresql() -> Iterator[PostgreSQL]:
    yield from _running_postgresql()


def _running_postgresql() -> Iterator[PostgreSQL]:
    if postgresql_program("postgres") is None:
        missing_server("PostgreSQL")
    server = PostgreSQL()
    server.start()
    yield server
    server.remove()


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty store of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.sqlite"
    server: PostgreSQL = request.getfixturevalue("postgresql")
    return server.new_database()


SettingsMaker = Callable[..., Settings]


@pytest.fixture
def settings(vhost_url: str, tmp_path: Path) -> Settings:
    """Settings of a small Schedy: own vhost, SQLite, a short lease."""
    return load_settings(
        override={
            "broker_url": vhost_url,
            "data_dir": tmp_path / "data",
            "store_url": f"sqlite:///{tmp_path}/data/store.sqlite",
            "lease_seconds": 3.0,
            "service_wait_seconds": 20.0,
            "claim_retry_seconds": 1.0,
        },
        environment={},
    )


@pytest.fixture
def service(settings: Settings) -> Iterator[ResultsService]:
    """A results service in a thread of this process."""
    with running_service(settings) as running:
        yield running


@pytest.fixture
def db(settings: Settings, service: ResultsService) -> Iterator[schedy.SchedyDB]:
    """A library connection, with a service behind it."""
    with schedy.SchedyDB(config_override=settings.model_dump()) as connection:
        yield connection


@pytest.fixture
def experiment(db: schedy.SchedyDB) -> schedy.ManualSearch:
    """A stored experiment."""
    made = schedy.ManualSearch("MinimizeManual")
    db.add_experiment(made)
    return made
