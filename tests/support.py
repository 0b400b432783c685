"""Real servers and processes for the tests: PostgreSQL, a service in this process, waiting on conditions."""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import psycopg
import pytest

from schedy.settings import Settings
from schedy_broker_setup.node.node import free_port
from schedy_broker_setup.serving import ServedBroker
from schedy_store.schema.engine import Store
from schedy_store.service.loop import ResultsService

T = TypeVar("T")


def wait_until(condition: Callable[[], T], *, seconds: float = 15.0, what: str = "the condition") -> T:
    """Return the first true value of `condition`; fail when the deadline is over.

    A condition that takes long is asked for a third of the time at most, which leaves the processors to others.
    """
    deadline = time.monotonic() + seconds
    while True:
        asked = time.monotonic()
        value = condition()
        if value:
            return value
        now = time.monotonic()
        if now > deadline:
            pytest.fail(f"{what} did not come true within {seconds} s")
        threading.Event().wait(min(max(0.02, 2 * (now - asked)), 1.0))


def missing_server(name: str) -> None:
    """A server that is not installed skips a test at the desk and fails it in CI."""
    if os.environ.get("CI"):
        pytest.fail(f"{name} is not installed")
    pytest.skip(f"{name} is not installed")


class PostgreSQL:
    """A private PostgreSQL server on loopback, run as an ordinary user also when we are root.

    Its folder is not pytest's, which other users may not enter. Folder and port name a server that runs already.
    """

    def __init__(self, *, folder: str = "", port: str = "") -> None:
        self.port = int(port or free_port())
        self.folder = Path(folder or tempfile.mkdtemp(prefix="schedy-postgresql-"))
        self.folder.chmod(0o755)
        self._data = self.folder / "data"
        self._template = ""
        self._as_user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        self.user = "postgres" if self._as_user else pwd.getpwuid(os.getuid()).pw_name

    def start(self, *, fsync: bool = False) -> None:
        """Start; without `fsync` it keeps its data through a crash of the server, not through a loss of power."""
        if self._as_user:
            shutil.chown(self.folder, "postgres")
        if not self._data.exists():
            self._run("initdb", "-D", str(self._data), "-A", "trust", "-N", "--no-locale", "-E", "UTF8")
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c max_connections=300"
        options += f" -c fsync={'on' if fsync else 'off'}"
        self._run("pg_ctl", "-D", str(self._data), "-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self, *, mode: str = "fast") -> None:
        """Stop; mode `immediate` is a crash."""
        self._run("pg_ctl", "-D", str(self._data), "-w", "-m", mode, "stop")

    def remove(self) -> None:
        """Stop, if it runs, and delete everything."""
        if (self._data / "postmaster.pid").exists():
            self.stop(mode="immediate")
        shutil.rmtree(self.folder)

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://{self.user}@127.0.0.1:{self.port}/{database}"

    def new_database(self, *, template: str = "template1") -> str:
        """Create a database; return its URL."""
        name = f"test_{uuid.uuid4().hex}"
        with psycopg.connect(
            f"host=127.0.0.1 port={self.port} user={self.user} dbname=postgres", autocommit=True
        ) as sql:
            sql.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
        return self.url(name)

    def new_store(self) -> str:
        """Create a database with the tables of this version; return its URL."""
        if not self._template:
            template = self.new_database()
            migrate(template)
            self._template = template.rpartition("/")[2]
        return self.new_database(template=self._template)

    def _run(self, program: str, *arguments: str) -> None:
        found = postgresql_program(program)
        command = [*self._as_user, str(found), *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/", env={**os.environ, "LC_ALL": "C"})


def postgresql_program(name: str) -> Path | None:
    """A program of the newest PostgreSQL on this machine."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    on_path = shutil.which(name)
    return found[-1] if found else Path(on_path) if on_path else None


def migrate(url: str) -> None:
    """Give an empty store the tables of this version."""
    with contextlib.closing(Store.open(url)) as store:
        store.migrate(from_older=False)


def copied_store(template: Path, folder: Path) -> str:
    """Copy a SQLite store into a folder, which may be new; return its URL."""
    folder.mkdir(exist_ok=True)
    return f"sqlite:///{shutil.copy(template, folder)}"


@contextlib.contextmanager
def running_service(settings: Settings) -> Iterator[ResultsService]:
    """Run the results service in a thread of this process."""
    store = Store.open(settings.effective_store_url)
    service = ResultsService(settings, store, broker=ServedBroker(settings.broker_url, settings.broker_tls))
    thread = threading.Thread(target=service.run, name="service")
    thread.start()
    try:
        yield service
    finally:
        service.stop()
        thread.join(30)
        assert not thread.is_alive()
        store.close()
