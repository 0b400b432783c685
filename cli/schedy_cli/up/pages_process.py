"""The web pages that `schedy up` starts: `schedy ui` as a child process, on the port of last time if it is free."""

import importlib.util
import socket
from pathlib import Path
from typing import Self

from schedy.settings import Settings
from schedy_cli.up.child_process import ChildProcess
from schedy_cli.up.ports import reserved_free

_FILE = "pages-port"
_FIRST_PORT = 8270
_NICENESS = 5


class PagesProcess(ChildProcess):
    """One server of pages after the other."""

    def __init__(
        self, settings: Settings, *, port: int, reservation: socket.socket, broker_url: str, store_url: str
    ) -> None:
        arguments = ["ui", "--port", str(port), "--quiet"]
        super().__init__(
            settings, arguments, log="pages.log", broker_url=broker_url, store_url=store_url, nice=_NICENESS
        )
        self.port = port
        self._reservation = reservation

    @classmethod
    def choose(cls, settings: Settings, *, broker_url: str, store_url: str) -> Self | None:
        """Return the process with its port chosen; None where the packages of the pages are not installed."""
        if not pages_are_installed():
            return None
        kept = settings.data_dir / _FILE
        port, reservation = reserved_free(_kept_port(kept))
        kept.write_text(f"{port}\n")
        return cls(settings, port=port, reservation=reservation, broker_url=broker_url, store_url=store_url)

    def stop(self) -> None:
        """Stop the process, and let others have the port."""
        super().stop()
        self._reservation.close()


def pages_are_installed() -> bool:
    """Return true if the packages of the extra `web` are there."""
    return all(importlib.util.find_spec(name) is not None for name in ("starlette", "uvicorn", "schedy_web"))


def _kept_port(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return _FIRST_PORT
