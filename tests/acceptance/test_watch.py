"""`schedy watch` in a real terminal of 80 columns and 24 lines, and in a pipe."""

import contextlib
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import threading
from collections.abc import Iterator

import schedy
from tests.acceptance.conftest import SCHEDY, Machine
from tests.support import wait_until

_HOME = "\x1b[H"
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A program on a terminal, whose screen is drawn from the top each time."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self._master, slave = pty.openpty()
        self.resize(80, 24)
        self.process = subprocess.Popen(
            command, env=environment, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )
        os.close(slave)
        self.output = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # EIO: the program has ended
            while data := os.read(self._master, 65536):
                self.output += data.decode(errors="replace")

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def press(self, key: str) -> None:
        os.write(self._master, key.encode())

    def screen(self) -> list[str]:
        """The lines of the last screen that was drawn completely."""
        drawn = self.output.split(_HOME)[1:-1]
        return [line.rstrip() for line in _ESCAPE.sub("", drawn[-1]).split("\r\n")] if drawn else []

    def shows(self, *texts: str) -> None:
        """Wait until one screen has all these texts."""
        wait_until(
            lambda: all(text in "\n".join(self.screen()) for text in texts),
            seconds=20,
            what=f"{texts} on the screen",
        )

    def ends(self) -> tuple[int, str]:
        """Wait for the end; return the exit code and what stays on the terminal."""
        code = self.process.wait(20)
        self._reader.join(5)
        return code, _ESCAPE.sub("", self.output.rpartition("\x1b[?1049l")[2])


@contextlib.contextmanager
def terminal(machine: Machine, *words: str, **variables: str) -> Iterator[Terminal]:
    """Run a command on a terminal, without the store: it asks the results service."""
    environment = {
        **machine.environment,
        "TERM": "xterm-256color",
        "COLUMNS": "80",
        "LINES": "24",
        "SCHEDY_DATA_DIR": f"{machine.folder}/elsewhere",
    }
    del environment["SCHEDY_STORE_URL"]
    started = Terminal([*SCHEDY, *words], environment | variables)
    try:
        yield started
    finally:
        started.process.kill()
        started.process.wait()


def test_the_screen_of_a_search_from_its_first_job_to_its_end(machine: Machine) -> None:
    service = machine.serve()
    machine.ok("add", "W", "random", "--lr", "uniform(0, 1)", "--minimize", "loss", "--max-jobs", "3")
    piped = machine.start(*SCHEDY, "watch", "W")
    with terminal(machine, "watch", "W") as watch, schedy.SchedyDB(config_override=machine.settings.model_dump()) as db:
        watch.shows("W  random, minimize loss", "0/3 ended", "no worker is alive: start one with `schedy run W --")
        experiment = db.get_experiment("W")
        first = experiment.next_job(timeout=20)
        for step in range(8):
            first.report(step, loss=float(step))
        with first:
            watch.shows("1 RUNNING", "1 alive, 1 of them at work on this", first.job_id, "▁▂▃▄▅▆▇█", "q quits")
            assert len(watch.screen()) == 24
            assert max(map(len, watch.screen())) <= 80
            watch.resize(120, 40)
            wait_until(lambda: len(watch.screen()) == 40, seconds=10, what="the larger screen")
            service.terminate()
            service.wait(20)
            watch.shows("No answer since", "1 RUNNING")
            machine.serve()
            watch.shows("q quits")
            first.results["loss"] = 0.123456
        with contextlib.suppress(ValueError), experiment.next_job(timeout=20) as second:
            raise ValueError("diverged")
        watch.shows(
            "2/3 ended",
            "about",
            f"best     0.1235  {first.job_id}",
            "ValueError: diverged",
            f"output W {second.job_id}",
        )
        with experiment.next_job(timeout=20) as last:
            last.results["loss"] = 1
        code, left = watch.ends()
        assert code == 0
        assert "3/3 ended   DONE" in left
        assert f"best     0.1235  {first.job_id}" in left
    lines = piped.communicate(timeout=20)[0].splitlines()
    assert piped.returncode == 0
    ended = [line.split("\t") for line in lines if "\tended\t" in line]
    assert [(cells[1], cells[-1]) for cells in ended] == [
        (first.job_id, "DONE"),
        (second.job_id, "CRASHED: ValueError: diverged"),
        (last.job_id, "DONE"),
    ]
    assert lines[-1].startswith("W is DONE")


def test_a_user_leaves_the_screen_of_all_experiments(served: Machine) -> None:
    for name in ("One", "Two"):
        served.ok("add", name, "manual", "--maximize", "acc")
        served.ok("push", name, "-p", "x", "1", "-r", "acc", "0.75", "-s", "DONE")
    with terminal(served, "watch", NO_COLOR="1") as watch:
        watch.shows("One", "Two", "0.75", "1/1", "no worker is alive")
        assert not re.search(r"\x1b\[[0-9;]*3[0-7][;m]", watch.output), "no colour"
        watch.press("q")
        code, left = watch.ends()
        assert (code, "Two" in left) == (0, True)
    with terminal(served, "watch", "One") as watch:
        watch.shows("q quits")
        watch.process.send_signal(signal.SIGINT)
        assert watch.ends()[0] == 130
    with terminal(served, "watch", "One", TERM="dumb") as watch:
        wait_until(lambda: watch.process.poll() is None and watch.output == "", what="a silent start")
        served.ok("push", "One", "-p", "x", "2", "-s", "DONE")
        served.ok("set", "One", "--status", "DONE")
        code = watch.process.wait(20)
        assert (code, "\x1b" in watch.output) == (0, False)
        assert "One is DONE" in watch.output
