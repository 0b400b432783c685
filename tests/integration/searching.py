"""Workers that run the jobs of searches in threads, and results services as processes, with a user's own algorithms."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import schedy
from schedy.settings import Settings, load_settings
from schedy.wire.records import ExperimentRecord
from tests import fork_server
from tests.conftest import Node, own_vhost
from tests.fork_server import Forked
from tests.processes import search_processes_of
from tests.support import wait_until


@contextlib.contextmanager
def small_schedy(node: Node, folder: Path) -> Iterator[Settings]:
    """Settings of a Schedy with a vhost of its own, as the fixture `settings` has them, that several tests share."""
    with own_vhost(node) as url:
        yield load_settings(
            override={
                "broker_url": url,
                "data_dir": folder,
                "store_url": f"sqlite:///{folder}/store.sqlite",
                "lease_seconds": 3.0,
                "service_wait_seconds": 20.0,
                "claim_retry_seconds": 1.0,
            },
            environment={},
        )


Play = Callable[[schedy.Job], None]
SPACE = {"x": schedy.random.Uniform(0, 1), "y": schedy.random.Uniform(-5, 5)}


def squares(job: schedy.Job) -> None:
    """Run a job as most tests do."""
    job.results["loss"] = job.hyperparameters["x"] ** 2 + job.hyperparameters["y"] ** 2


def work(
    experiment: schedy.Experiment, *, most: int | None = None, timeout: float | None = 0, play: Play = squares
) -> int:
    """Run jobs until there is none, or `most`; return how many."""
    count = 0
    while most is None or count < most:
        try:
            job = experiment.next_job(timeout=timeout)
        except schedy.NoJobError:
            return count
        with contextlib.suppress(CrashError), job:
            play(job)
        count += 1
    return count


class CrashError(Exception):
    """Raised by a job that is meant to crash."""


class Workers:
    """Threads that each do `work` over a connection of their own."""

    def __init__(
        self, settings: Settings, name: str, count: int, *, timeout: float | None = 0, play: Play = squares
    ) -> None:
        self.counts: list[int] = []
        self._errors: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._work, args=(settings, name, timeout, play), daemon=True) for _ in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def _work(self, settings: Settings, name: str, timeout: float | None, play: Play) -> None:
        try:
            with schedy.SchedyDB(config_override=settings.model_dump()) as db:
                self.counts.append(work(db.get_experiment(name), timeout=timeout, play=play))
        except BaseException as error:
            self._errors.append(error)

    def join(self, *, seconds: float = 30.0) -> int:
        """Wait until all have ended by themselves; return how many jobs they have run."""
        wait_until(lambda: not any(thread.is_alive() for thread in self._threads), seconds=seconds, what="the workers")
        assert not self._errors, self._errors
        return sum(self.counts)


def record_of(experiment: schedy.Experiment) -> ExperimentRecord:
    """The experiment as the service has it now."""
    record = experiment._session.experiment_record(uid=experiment.uid)
    assert record is not None
    return record


def is_done(experiment: schedy.Experiment) -> bool:
    return record_of(experiment).status == "DONE"


def job_numbers(experiment: schedy.Experiment) -> list[int | None]:
    """Return the number of the suggestion of each job in the store."""
    return [number for number, _values in suggestions(experiment)]


def suggestions(experiment: schedy.Experiment) -> list[tuple[int | None, dict[str, Any]]]:
    """Return the suggestions in the store, with their numbers."""
    from sqlalchemy import select

    from schedy.wire.values import load_values
    from schedy_store.schema.engine import Store
    from schedy_store.schema.tables import OF_EXPERIMENT, Experiment, Job

    store = Store.open(experiment._session.settings.effective_store_url, read_only=True)
    try:
        with store.transaction() as transaction:
            found = select(Job.suggestion, Job.hyperparameters).join_from(Job, Experiment, OF_EXPERIMENT)
            found = found.where(Experiment.uid == experiment.uid).order_by(Job.suggestion, Job.pk)
            rows = transaction.sql.execute(found)
            return [(row.suggestion, load_values(row.hyperparameters)) for row in rows]
    finally:
        store.close()


@dataclass
class ServiceProcess:
    """A results service in a process of its own, that a test may kill and start again."""

    settings: Settings
    folder: Path
    more: Mapping[str, str] = field(default_factory=dict)
    _process: Forked | None = None

    def start(self) -> None:
        settings = self.settings
        environment = {
            **os.environ,
            "SCHEDY_BROKER_URL": settings.broker_url,
            "SCHEDY_STORE_URL": str(settings.store_url),
            "SCHEDY_DATA_DIR": str(settings.data_dir),
            "SCHEDY_LEASE_SECONDS": str(settings.lease_seconds),
            "SCHEDY_SEARCH_SECONDS": str(settings.search_seconds),
            **self.more,
        }
        self._process = fork_server.start(["serve"], environment, output=self.folder / "service.log")

    @property
    def log(self) -> str:
        return (self.folder / "service.log").read_text()

    def kill(self) -> None:
        """End it as a loss of power would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def search_processes(self) -> list[int]:
        """The children that make suggestions, by their ids."""
        assert self._process is not None
        return search_processes_of(self._process.pid)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(20)


def kill_processes(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def service_process(
    settings: Settings, folder: Path, *, is_second: bool = False, **more: str
) -> Iterator[ServiceProcess]:
    """Run the results service as a process, from when it is active; a second instance from its start."""
    service = ServiceProcess(settings, folder, more)
    service.start()
    try:
        if not is_second:
            wait_until(lambda: "is active" in service.log, seconds=30, what="the service")
        yield service
    finally:
        service.stop()


def install_algorithms(folder: Path, source: str, names: Mapping[str, str]) -> str:
    """Install a user's own algorithms, classes of a module with this source; return the PYTHONPATH that has them."""
    (folder / "own_searches.py").write_text(source)
    information = folder / "own_searches-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: own-searches\nVersion: 1\n")
    entries = [f"{name} = own_searches:{kind}" for name, kind in names.items()]
    (information / "entry_points.txt").write_text("\n".join(["[schedy.algorithms]", *entries, ""]))
    return str(folder)
