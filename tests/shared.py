"""Servers that all processes of a test run share: the first that needs one starts it, the end of the run ends it."""

import contextlib
import fcntl
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from schedy_broker_setup.node.node import recorded_node
from schedy_broker_setup.node.record import kill_all
from tests.support import PostgreSQL

Description = dict[str, str]
"""What a process must know to use a server that another one has started."""

_POSTGRESQL = "postgresql"


class SharedServers:
    """The servers of one run, described in a folder. Any process of the run may use one; one of them ends all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def described(self, name: str, start: Callable[[Path], Description]) -> Description:
        """Return the description of a server; if this run has none yet, start it, with a folder to keep its data in."""
        file = self.folder / f"{name}.json"
        with self.locked(name):
            if not file.exists():
                file.write_text(json.dumps(start(self.folder / name)))
        described: Description = json.loads(file.read_text())
        return described

    @contextlib.contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """Keep something of this machine from all other processes of the run; waits for it."""
        with (self.folder / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def postgresql(self) -> PostgreSQL:
        return PostgreSQL(**self.described(_POSTGRESQL, _started_postgresql))

    def end(self) -> None:
        """End the servers by force, and delete their data."""
        for file in self.folder.glob("*.json"):
            record = recorded_node(self.folder / file.stem)
            if record is not None:
                kill_all(record.running())
        if (self.folder / f"{_POSTGRESQL}.json").exists():
            self.postgresql().remove()
        shutil.rmtree(self.folder)


def _started_postgresql(_folder: Path) -> Description:
    """The server's folder is not in ours, which the user `postgres` may not enter."""
    server = PostgreSQL()
    server.start()
    return {"folder": str(server.folder), "port": str(server.port)}
