"""A command of Schedy that `schedy up` runs as a child process, with a log in the data folder."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from schedy.python_process import module_command
from schedy.settings import Settings
from schedy_broker_setup.node.processes import Process

_STOP_SECONDS = 20.0


class ChildProcess:
    """One process after the other, of one command."""

    def __init__(
        self,
        settings: Settings,
        arguments: Sequence[str],
        *,
        log: str,
        broker_url: str,
        store_url: str,
        nice: int = 0,
    ) -> None:
        """`nice` is added to the niceness of this process."""
        self._settings = settings
        self._arguments = arguments
        self._broker_url = broker_url
        self._store_url = store_url
        self._nice = nice
        self._child: subprocess.Popen[bytes] | None = None
        self.log: Path = settings.data_dir / log

    def start(self) -> Process | None:
        """Start a process; return it, None if it has ended already."""
        environment = {
            **os.environ,
            "SCHEDY_BROKER_URL": self._broker_url,
            "SCHEDY_STORE_URL": self._store_url,
            "SCHEDY_DATA_DIR": str(self._settings.data_dir),
        }
        command = module_command("schedy_cli.main", *self._arguments)
        with self.log.open("ab") as output:
            self.log.chmod(0o600)
            self._child = subprocess.Popen(
                ["nice", "-n", str(self._nice), *command] if self._nice else command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        return Process.find(self._child.pid)

    def has_ended(self) -> bool:
        """Return true if a process was started and has ended."""
        return self._child is not None and self._child.poll() is not None

    def last_log_line(self) -> str:
        """Return the last line of the log, for a message."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "its log is empty."

    def stop(self) -> None:
        """Stop the process if it runs; kill it if it does not end in time."""
        if self._child is None:
            return
        self._child.terminate()
        try:
            self._child.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
