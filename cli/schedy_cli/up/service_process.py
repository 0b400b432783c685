"""The results service that `schedy up` starts: `schedy serve` as a child process."""

import contextlib
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from schedy.errors import SchedyError, ServiceUnavailableError
from schedy.python_process import module_command
from schedy.settings import Settings
from schedy.wire.requests import GetExperiments
from schedy.worker.session import Session
from schedy_broker_setup.node.processes import Process

_START_SECONDS = 60.0
_STOP_SECONDS = 20.0
_KEPT_SECONDS = 10.0


class ServiceProcess:
    """One results service after the other, with a log in the data folder."""

    def __init__(self, settings: Settings, *, broker_url: str, store_url: str) -> None:
        self._settings = settings
        self._broker_url = broker_url
        self._store_url = store_url
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def _log(self) -> Path:
        return self._settings.data_dir / "service.log"

    def start(self) -> Process | None:
        """Start a service; return its process, None if it has ended already."""
        environment = {
            **os.environ,
            "SCHEDY_BROKER_URL": self._broker_url,
            "SCHEDY_STORE_URL": self._store_url,
            "SCHEDY_DATA_DIR": str(self._settings.data_dir),
        }
        with self._log.open("ab") as output:
            self._log.chmod(0o600)
            self._child = subprocess.Popen(
                module_command("schedy_cli.main", "serve"),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        return Process.find(self._child.pid)

    def has_ended(self) -> bool:
        """Return true if the service was started and has ended."""
        return self._child is not None and self._child.poll() is not None

    def wait_until_it_answers(self, check_stop: Callable[[], None]) -> None:
        """Ask until there is an answer; deliver the reports that workers could not.

        Raises SchedyError if it ends or stays silent, and what `check_stop` raises.
        """
        broker = {"broker_url": self._broker_url, "claim_retry_seconds": 0.5}
        session = Session(self._settings.model_copy(update=broker), role="up")
        deadline = time.monotonic() + _START_SECONDS
        try:
            while True:
                check_stop()
                with contextlib.suppress(ServiceUnavailableError):
                    session.read(GetExperiments(limit=1), patience_seconds=1.0)
                    session.deliver_kept(patience_seconds=_KEPT_SECONDS)
                    return
                if self.has_ended():
                    raise SchedyError(f"The results service ended while it was starting: {self.last_log_line()}")
                if time.monotonic() > deadline:
                    raise SchedyError(f"The results service does not answer. See its log: {self._log}")
        finally:
            session.close()

    def last_log_line(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "its log is empty."

    def stop(self) -> None:
        """Stop the service if it runs; kill it if it does not end in time."""
        if self._child is None:
            return
        self._child.terminate()
        try:
            self._child.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
