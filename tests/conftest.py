"""Shared fixtures: one private RabbitMQ node and one PostgreSQL for the run, a vhost and a store for each test."""

import contextlib
import os
import secrets
import signal
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import schedy
from schedy.settings import Settings, load_settings
from schedy_broker_setup.management import Management
from schedy_broker_setup.node.files import find_server
from schedy_broker_setup.node.node import NodeError, NodeSettings, PrivateNode, free_port
from schedy_store.service.loop import ResultsService
from tests.shared import Description, SharedServers
from tests.support import (
    PostgreSQL,
    copied_store,
    migrate,
    missing_server,
    postgresql_program,
    running_service,
)

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as in what a script runs in the background; children inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:  # as under nohup
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


SHARED = pytest.StashKey[SharedServers]()


def pytest_configure(config: pytest.Config) -> None:
    """Give the run a folder for its servers; the workers of pytest-xdist learn of it."""
    known = getattr(config, "workerinput", {}).get("shared_servers")
    config.stash[SHARED] = SharedServers(Path(known or tempfile.mkdtemp(prefix="schedy-tests-")))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["shared_servers"] = str(node.config.stash[SHARED].folder)


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.stash[SHARED].end()


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
    node = _node_at(folder, amqp_port=free_port(), management_port=free_port(), password=password, **extra_config)
    node.private.start()
    node.private.wait_ready()
    return node


def _node_at(folder: Path, *, amqp_port: int, management_port: int, password: str, **extra_config: str) -> OwnNode:
    settings = NodeSettings(
        data_dir=folder,
        amqp_port=amqp_port,
        management_port=management_port,
        user="admin",
        password=password,
        extra_config={"collect_statistics_interval": "1000", **extra_config},  # each five seconds by default
    )
    return OwnNode(
        private=PrivateNode(settings),
        url=f"amqp://admin:{password}@127.0.0.1:{amqp_port}/%2F",
        management_url=f"http://admin:{password}@127.0.0.1:{management_port}",
    )


_STARTED: list[OwnNode] = []
"""Shared nodes that this process has started. They outlive it, and their objects must not be collected before."""


def _started(folder: Path) -> Description:
    node = start_node(folder)
    _STARTED.append(node)
    settings = node.private.settings
    ports = {"amqp_port": str(settings.amqp_port), "management_port": str(settings.management_port)}
    return {**ports, "password": settings.password}


def _shared_node(servers: SharedServers, name: str) -> OwnNode:
    known = servers.described(name, _started)
    return _node_at(
        servers.folder / name,
        amqp_port=int(known["amqp_port"]),
        management_port=int(known["management_port"]),
        password=known["password"],
    )


@contextlib.contextmanager
def own_vhost(node: Node) -> Iterator[str]:
    """Make a vhost; gives the URL of an administrator in it."""
    vhost = f"test-{uuid.uuid4().hex[:12]}"
    management = Management(node.management_url)
    management.put_vhost(vhost)
    yield node.url.rsplit("/", 1)[0] + "/" + vhost
    management.delete_vhost(vhost)


@pytest.fixture(scope="session")
def node(pytestconfig: pytest.Config) -> Node:
    """The node that most tests share; tests that restart a broker take `own_node`.

    SCHEDY_TEST_BROKER_URL and SCHEDY_TEST_MANAGEMENT_URL, of an administrator, name another RabbitMQ instead.
    """
    if "SCHEDY_TEST_BROKER_URL" in os.environ:
        return Node(os.environ["SCHEDY_TEST_BROKER_URL"], os.environ["SCHEDY_TEST_MANAGEMENT_URL"])
    return _shared_node(pytestconfig.stash[SHARED], "rabbitmq")


@pytest.fixture(scope="session")
def breakable_node(pytestconfig: pytest.Config) -> OwnNode:
    """A node whose queues tests break, each those of a vhost of its own. It goes on running."""
    return _shared_node(pytestconfig.stash[SHARED], "breakable")


@pytest.fixture
def own_node(tmp_path: Path) -> Iterator[OwnNode]:
    """A node of the test's own, to be killed and restarted."""
    started = start_node(tmp_path / "own-rabbitmq")
    yield started
    started.private.kill()


@pytest.fixture
def vhost_url(node: Node) -> Iterator[str]:
    """URL of an administrator in a vhost of the test's own."""
    with own_vhost(node) as url:
        yield url


@pytest.fixture
def breakable_url(breakable_node: OwnNode) -> str:
    """As `vhost_url`, on the node whose queues tests break. It stays: deleting broken queues takes long."""
    vhost = f"test-{uuid.uuid4().hex[:12]}"
    Management(breakable_node.management_url).put_vhost(vhost)
    return breakable_node.url.rsplit("/", 1)[0] + "/" + vhost


@pytest.fixture(scope="session")
def postgresql(pytestconfig: pytest.Config) -> PostgreSQL:
    """The server that most tests share; tests that stop one take `own_postgresql`."""
    _require_postgresql()
    return pytestconfig.stash[SHARED].postgresql()


def _require_postgresql() -> None:
    if postgresql_program("postgres") is None:
        missing_server("PostgreSQL")


@pytest.fixture
def own_postgresql() -> Iterator[PostgreSQL]:
    _require_postgresql()
    server = PostgreSQL()
    server.start()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the tables of this version, to be copied: migrating an empty one takes ten times as long."""
    file = tmp_path_factory.mktemp("template") / "store.sqlite"
    migrate(f"sqlite:///{file}")
    return file


@pytest.fixture
def sqlite_url(tmp_path: Path, sqlite_template: Path) -> str:
    """A store with the tables of this version."""
    return copied_store(sqlite_template, tmp_path)


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest) -> str:
    """A store of each kind with the tables of this version."""
    if request.param == "sqlite":
        url: str = request.getfixturevalue("sqlite_url")
        return url
    server: PostgreSQL = request.getfixturevalue("postgresql")
    return server.new_store()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store of each kind without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.sqlite"
    server: PostgreSQL = request.getfixturevalue("postgresql")
    return server.new_database()


SettingsMaker = Callable[..., Settings]


@pytest.fixture
def settings(vhost_url: str, tmp_path: Path, sqlite_template: Path) -> Settings:
    """Settings of a small Schedy: own vhost, SQLite, a short lease."""
    return load_settings(
        override={
            "broker_url": vhost_url,
            "data_dir": tmp_path / "data",
            "store_url": copied_store(sqlite_template, tmp_path / "data"),
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
