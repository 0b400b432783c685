"""Real processes: the command line, the results service, workers."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from schedy.python_process import module_command
from schedy.settings import Settings
from tests import fork_server
from tests.conftest import SHARED
from tests.fork_server import Forked
from tests.support import wait_until

SCHEDY = module_command("schedy_cli.main")


class Machine:
    """A machine with the settings of one small Schedy; runs commands, workers and services on it."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.folder = folder
        self.environment = {
            **os.environ,
            "SCHEDY_BROKER_URL": settings.broker_url,
            "SCHEDY_STORE_URL": str(settings.store_url),
            "SCHEDY_DATA_DIR": str(settings.data_dir),
            "SCHEDY_LEASE_SECONDS": str(settings.lease_seconds),
            "PYTHONUNBUFFERED": "1",
        }
        self._processes: list[subprocess.Popen[str] | Forked] = []

    def schedy(self, *arguments: str, typed: str = "") -> "subprocess.CompletedProcess[str]":
        """Run a command to its end."""
        return fork_server.run(arguments, self.environment, typed=typed)

    def ok(self, *arguments: str, typed: str = "") -> str:
        """Run a command that must succeed; return what it printed."""
        done = self.schedy(*arguments, typed=typed)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return done.stdout

    def fails(self, code: int, *arguments: str, typed: str = "") -> str:
        """Run a command that must fail; return what it said on stderr."""
        done = self.schedy(*arguments, typed=typed)
        assert done.returncode == code, (done.stdout, done.stderr)
        assert done.stdout == ""
        assert "Traceback" not in done.stderr
        return done.stderr

    def start(self, *command: str) -> "subprocess.Popen[str]":
        """Start a process that ends with the test at the latest."""
        process = subprocess.Popen(
            command,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._processes.append(process)
        return process

    def serve(self) -> Forked:
        """Start a results service; returns when it answers."""
        log = self.folder / f"service{len(self._processes)}.log"
        process = fork_server.start(["serve"], self.environment, output=log)
        self._processes.append(process)
        wait_until(lambda: self.schedy("status").returncode == 0, seconds=30, what="the service")
        return process

    def worker(self, source: str) -> "subprocess.Popen[str]":
        """Start a worker program."""
        script = self.folder / f"worker{len(self._processes)}.py"
        script.write_text(source)
        return self.start(sys.executable, str(script))

    def stop_all(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
        for process in self._processes:
            try:
                process.communicate(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()


@pytest.fixture
def usual_ports(pytestconfig: pytest.Config) -> Iterator[None]:
    """For `schedy up`, which prefers RabbitMQ's usual ports: one that is down can lose them to another."""
    with pytestconfig.stash[SHARED].locked("usual-ports"):
        yield


@pytest.fixture
def machine(settings: Settings, tmp_path: Path) -> Iterator[Machine]:
    made = Machine(settings, tmp_path)
    yield made
    made.stop_all()


@pytest.fixture
def patient(settings: Settings, tmp_path: Path) -> Iterator[Machine]:
    """A machine whose results service answers, and takes no job from a worker that is silent while a test lasts."""
    made = Machine(settings.model_copy(update={"lease_seconds": 300.0}), tmp_path)
    made.serve()
    yield made
    made.stop_all()


@pytest.fixture
def served(machine: Machine) -> Machine:
    """A machine whose results service answers."""
    machine.serve()
    return machine
