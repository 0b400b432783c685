"""optuna-dashboard over a study of many trials, from the environment of the peers."""

import contextlib
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType

from benchmarks import servers
from schedy_broker_setup.node.node import free_port

_PROGRAM = servers.ROOT / ".venv-bench" / "bin" / "optuna-dashboard"
_FILL = """
import datetime, optuna, random, sys
optuna.logging.set_verbosity(optuna.logging.ERROR)
study = optuna.create_study(storage=sys.argv[1], study_name="study")
space = {f"x{k}": optuna.distributions.FloatDistribution(0, 1) for k in range(2)}
study.add_trials([optuna.trial.create_trial(value=random.random(), params={name: random.random() for name in space},
    distributions=space) for _ in range(int(sys.argv[2]))])
"""
_SECONDS = 60.0


class Dashboard(contextlib.AbstractContextManager["Dashboard"]):
    """A running optuna-dashboard; `address` is empty where it is not installed."""

    def __init__(self, folder: Path, *, trials: int) -> None:
        self.address = ""
        self._folder = folder
        self._trials = trials
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Dashboard":
        if not _PROGRAM.exists():
            print("optuna-dashboard is not installed: `make bench` does that.", file=sys.stderr)
            return self
        storage = f"sqlite:///{self._folder}/dashboard.sqlite"
        python = str(_PROGRAM.with_name("python"))
        subprocess.run([python, "-c", _FILL, storage, str(self._trials)], check=True, stderr=subprocess.DEVNULL)
        port = free_port()
        command = [str(_PROGRAM), "--host", "127.0.0.1", "--port", str(port), storage]
        self._process = servers.start(command, {}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        address = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + _SECONDS
        while not _answers(address) and time.monotonic() < deadline:
            time.sleep(0.1)
        self.address = address
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        if self._process is not None:
            servers.end(self._process)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5):  # noqa: S310 - our own server
            return True
    except (urllib.error.URLError, OSError):
        return False
