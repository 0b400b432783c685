"""`schedy up`, `down`, `status` and `doctor`, with everything real, in a data folder of the test's own."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pika
import pika.exceptions
import pytest

from schedy_broker_setup.node.processes import Process
from schedy_store.schema.engine import Store
from schedy_store.schema.migrating import MIGRATIONS
from tests import fork_server
from tests.acceptance.conftest import SCHEDY
from tests.support import wait_until

pytestmark = [pytest.mark.timeout(400), pytest.mark.usefixtures("usual_ports")]


class Home:
    """A user's machine on which nothing runs yet."""

    def __init__(self, folder: Path) -> None:
        self.data_dir = folder / "data"
        self.environment = {**os.environ, "SCHEDY_DATA_DIR": str(self.data_dir), "HOME": str(folder)}
        self.current_folder = folder / "shared"
        self.current_folder.mkdir()
        for name in ("json", "queue"):  # others may write here; no process of ours may run it
            (self.current_folder / f"{name}.py").write_text("raise SystemExit('planted')\n")

    def schedy(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a command; `up` and `down` with an interpreter of their own, as users do."""
        if arguments[0] not in {"up", "down"}:
            return fork_server.run(arguments, self.environment)
        return subprocess.run(
            [*SCHEDY, *arguments],
            env=self.environment,
            cwd=self.current_folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )

    def ok(self, *arguments: str) -> str:
        done = self.schedy(*arguments)
        assert done.returncode == 0, (done.stdout, done.stderr)
        return done.stdout

    def recorded(self) -> dict[str, object]:
        found: dict[str, object] = json.loads((self.data_dir / "run.json").read_text())
        return found

    def processes(self) -> list[Process]:
        """Everything of this data folder that runs, epmd included."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdecimal() or int(entry.name) == os.getpid():
                continue
            try:
                words = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            except OSError:
                continue
            if str(self.data_dir).encode() in words:
                process = Process.find(int(entry.name))
                found += [process] if process else []
        return found


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path)
    yield made
    made.schedy("down")
    assert made.processes() == []


@contextmanager
def in_the_foreground(home: Home, *options: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """Run `schedy up` without --detach; gives it once all is up, with what it has printed so far."""
    command = ["env", "--default-signal=HUP", *SCHEDY, "up", *options]  # nohup around the tests must not matter
    with subprocess.Popen(command, env=home.environment, stdout=subprocess.PIPE, text=True) as up:
        assert up.stdout is not None
        lines: list[str] = []
        for line in up.stdout:
            lines.append(line)
            if "Stop it with Ctrl-C" in line:
                break
        try:
            yield up, "".join(lines)
        finally:
            up.kill()


def test_up_and_down(home: Home) -> None:
    output = home.ok("up", "--detach", "--private")
    assert "Schedy is up." in output
    for word in ("Dashboard", "Broker", "Store", "add MinimizeManual manual", "push MinimizeManual -p x 1 y 2"):
        assert word in output
    home.ok("add", "MinimizeManual", "manual")
    job_id = home.ok("push", "MinimizeManual", "-p", "x", "1").split()[1]
    assert "The results service answers. Experiments: 1." in home.ok("status")
    assert "Management UI" in home.ok("status", "-v")
    home.ok("add", "Searched", "random", "x", "uniform", '{"low": 0, "high": 1}', "--max-jobs", "1", "--ready", "1")
    wait_until(lambda: home.ok("list", "Searched"), seconds=30, what="a job of the search process")
    doctor = home.ok("doctor")
    assert "failed" not in doctor
    assert "ok       store" in doctor
    for name in ("run.json", "broker-passwords.json", "schedy.sqlite", "service.log"):
        assert stat.S_IMODE((home.data_dir / name).stat().st_mode) == 0o600, name
    password = urlsplit(str(home.recorded()["broker_url"])).password
    assert password
    for log in ("service.log", "up.log"):
        assert password not in (home.data_dir / log).read_text()
    assert "Next:" in output
    again = home.schedy("up")
    assert again.returncode == 0
    assert "is already up" in again.stderr
    assert "Next:" not in again.stdout + home.ok("status")  # there are experiments
    for option, fault in ((["--listen", "127.0.0.2"], "does not listen on 127.0.0.2"), (["--port", "1"], "has port ")):
        refused = home.schedy("up", "--detach", *option)
        assert refused.returncode == 1
        assert f"already up, and {fault}" in refused.stderr
    port = urlsplit(str(home.recorded()["broker_url"])).port
    assert home.ok("down") == "Schedy is down; the data stays.\n"
    assert home.processes() == []
    assert home.ok("down") == "Schedy was not up.\n"
    with in_the_foreground(home) as (up, output):
        assert "Note: The broker is the private one of this data folder again" in output
        assert urlsplit(str(home.recorded()["broker_url"])).port == port
        assert home.ok("list", "MinimizeManual") == f"{job_id}\tQUEUED\n"
        up.send_signal(signal.SIGINT)
        assert up.wait(60) == 0
    assert home.processes() == []


def test_up_survives_a_killed_predecessor_and_a_taken_port(home: Home) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", 5672))
            taken.listen()
        except OSError:
            pass  # someone has it already, which is what this test needs
        with closing(Store.open(f"sqlite:///{home.data_dir}/schedy.sqlite")) as older:
            MIGRATIONS.upgrade(older.engine, to="0001")
        refused = home.schedy("up", "--detach", "--private")
        assert (refused.returncode, "Upgrade it with `schedy up --migrate`" in refused.stderr) == (1, True)
        output = home.ok("up", "--detach", "--private", "--migrate")
        assert f"As it was before, it is in {home.data_dir}/schedy.sqlite.backup-0001." in output
        port = urlsplit(str(home.recorded()["broker_url"])).port
        assert port != 5672
    home.ok("add", "E", "manual")
    home_supervisor = Process(**home.recorded()["supervisor"])  # type: ignore[arg-type]
    home_supervisor.send(signal.SIGKILL)
    wait_until(lambda: not home_supervisor.is_running(), what="the end of the supervisor")
    assert home.processes()
    home.ok("up", "--detach", "--private")
    assert urlsplit(str(home.recorded()["broker_url"])).port == port
    assert home.ok("list") == "E\tRUNNING\n"
    for process in home.processes():
        process.send(signal.SIGKILL)
    wait_until(lambda: home.processes() == [], what="the end of everything")
    assert "had been killed" in home.ok("down")


def test_a_closed_terminal_stops_what_up_started_and_what_ends_by_itself_is_started_again(home: Home) -> None:
    with in_the_foreground(home, "--private") as (up, _output):
        service = Process(**home.recorded()["service"])  # type: ignore[arg-type]
        service.send(signal.SIGKILL)
        wait_until(lambda: home.recorded()["service"] != vars_of(service), seconds=30, what="a new service")
        home.ok("add", "E", "manual")
        up.send_signal(signal.SIGHUP)
        assert up.wait(60) == 0
    assert home.processes() == []


def vars_of(process: Process) -> dict[str, int]:
    return {"pid": process.pid, "start_ticks": process.start_ticks}


def test_listen_opens_amqp_with_least_privilege(home: Home) -> None:
    """127.0.0.2 stands for the address of this machine in a cluster."""
    output = home.ok("up", "--detach", "--listen", "127.0.0.2")
    home.ok("add", "E", "manual")
    job_id = home.ok("push", "E", "-p", "x", "2").split()[1]
    line = next(line for line in output.splitlines() if "schedy-worker" in line)
    url = line.split("SCHEDY_BROKER_URL=")[1].strip("'")
    environment = {**home.environment, "SCHEDY_BROKER_URL": url, "SCHEDY_DATA_DIR": str(home.data_dir / "none")}
    source = (
        "import schedy\n"
        "with schedy.SchedyDB().get_experiment('E').next_job(timeout=10) as job:\n"
        "    job.results['r'] = job.hyperparameters['x'] ** 2\n"
    )
    subprocess.run([sys.executable, "-c", source], env=environment, check=True, timeout=60)
    assert "\n - r: 4\n" in home.ok("show", "E", job_id)
    refused = subprocess.run(
        [*SCHEDY, "push", "E", "-p", "x", "1"], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert refused.returncode == 1
    assert "may not do this" in refused.stderr
    parts = urlsplit(url)
    with pytest.raises(pika.exceptions.AMQPConnectionError):
        pika.BlockingConnection(pika.URLParameters(f"amqp://guest:guest@127.0.0.2:{parts.port}/%2F"))
