"""The entry point: `SchedyDB`."""

import os
import threading
import time
import weakref
from collections.abc import Mapping
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

from schedy.experiments import Experiment
from schedy.searches import experiment_from_record
from schedy.settings import Settings, load_settings
from schedy.wire.base import check_text
from schedy.wire.requests import GetExperiments, pages
from schedy.wire.values import checked_size
from schedy.worker.session import Session
from schedy.worker.signals import ends_at_ctrl_c


class SchedyDB:
    """A connection to Schedy, made at its first use, one for each process (a forked child gets its own).

    Thread-safe. Use it as a context manager, or call `close`; a program that just ends closes it too.
    """

    def __init__(
        self,
        config_path: str | os.PathLike[str] | None = None,
        config_override: Mapping[str, Any] | None = None,
        *,
        stop_after: float | timedelta | None = None,
    ) -> None:
        """Read the settings (docs/settings.md); `config_override` wins over them. Raises SettingsError.

        `stop_after` (seconds, or a timedelta, from now) is the time limit of a batch system: in the last
        `stop_margin_seconds` before it `next_job` takes no job and raises StopTimeError, a NoJobError.
        """
        override = dict(config_override or {})
        if stop_after is not None:
            seconds = stop_after.total_seconds() if isinstance(stop_after, timedelta) else stop_after
            override["stop_after_seconds"] = seconds
        self._started = time.monotonic()
        self._settings = load_settings(config_path, override=override)
        self._session: Session | None = None
        self._lock = threading.Lock()

    @property
    def settings(self) -> Settings:
        return self._settings

    @property
    def session(self) -> Session:
        """This process's session, connected in the background at first use."""
        session = self._session
        if session is not None and session.is_ours:
            return session
        if session is not None:
            self._lock = threading.Lock()
            self._session = None
        with self._lock:
            if self._session is None:
                self._session = session = Session(self._settings, started=self._started)
                weakref.finalize(self, session.close_sometime).atexit = False
            return self._session

    @ends_at_ctrl_c
    def add_experiment(self, experiment: Experiment) -> None:
        """Create an experiment. Raises ResourceExistsError if its name is taken."""
        creation = experiment.creation()
        checked_size(creation.settings, limit_bytes=self._settings.max_message_bytes, what="settings of the experiment")
        experiment.attach(self, self.session.change(creation).experiment)

    @ends_at_ctrl_c
    def get_experiment(self, name: str) -> Experiment:
        """Read an experiment, typed by its scheduler. Waits for broker and results service (`service_wait_seconds`).

        Raises InvalidValueError for a name that is no text, NotFoundError with close names, AuthenticationError, and
        after the wait ServiceUnavailableError or BrokerError.
        """
        request = GetExperiments(name=check_text(name, "The name of an experiment"))
        return experiment_from_record(self, self.session.read(request).experiments[0])

    @ends_at_ctrl_c
    def get_experiments(self) -> list[Experiment]:
        """Read all experiments, oldest first."""
        return [
            experiment_from_record(self, record)
            for page in pages(self.session.read, GetExperiments())
            for record in page.experiments
        ]

    @ends_at_ctrl_c
    def close(self) -> None:
        """Give back the jobs held, send the messages that wait, and close the connection."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def __enter__(self) -> Self:
        return self

    @ends_at_ctrl_c
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
