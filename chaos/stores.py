"""The database of a run."""

from pathlib import Path
from typing import Protocol

from chaos.ports import lasting_port
from tests.support import PostgreSQL


class StoreUnderTest(Protocol):
    """Where the results service writes."""

    url: str
    can_stop: bool

    def stop(self, mode: str) -> None: ...

    def start(self) -> None: ...

    def remove(self) -> None: ...


class SQLiteStore:
    can_stop = False

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder}/store.sqlite"

    def stop(self, mode: str) -> None:
        raise NotImplementedError("SQLite has no server.")

    def start(self) -> None:
        """Nothing runs."""

    def remove(self) -> None:
        """It goes with the folder of the run."""


class PostgreSQLStore:
    can_stop = True

    def __init__(self) -> None:
        self._server = PostgreSQL()
        self._server.port = lasting_port()
        self._server.start()
        self.url = self._server.new_database()

    def stop(self, mode: str) -> None:
        self._server.stop(mode=mode)

    def start(self) -> None:
        self._server.start()

    def remove(self) -> None:
        self._server.remove()


def make_store(kind: str, folder: Path) -> StoreUnderTest:
    return SQLiteStore(folder) if kind == "sqlite" else PostgreSQLStore()
