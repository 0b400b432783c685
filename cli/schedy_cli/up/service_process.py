"""The results service that `schedy up` starts: `schedy serve` as a child process."""

import contextlib
import time
from collections.abc import Callable

from schedy.errors import SchedyError, ServiceUnavailableError
from schedy.settings import Settings
from schedy.wire.requests import GetExperiments
from schedy.worker.session import Session
from schedy_cli.up.child_process import ChildProcess

_START_SECONDS = 60.0
_KEPT_SECONDS = 10.0


class ServiceProcess(ChildProcess):
    """One results service after the other."""

    def __init__(self, settings: Settings, *, broker_url: str, store_url: str) -> None:
        log = "service.log"
        arguments = ["serve", "--log-file", str((settings.data_dir / log).absolute())]
        super().__init__(settings, arguments, log=log, broker_url=broker_url, store_url=store_url)

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
                    raise SchedyError(f"The results service does not answer. See its log: {self.log}")
        finally:
            session.close()
