"""Real programs, run to their ends: signals, children, output of every kind, and the guard."""

import contextlib
import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from schedy_cli.running.attempt import Attempt, Ended
from schedy_cli.running.findings import Findings
from schedy_cli.running.output_file import OutputFile, folder_name
from schedy_cli.running.programs import NotStartedError, Programs
from tests.support import wait_until


class Notes:
    """What an attempt reports. It is to end when `ends_at` stands in its output."""

    def __init__(self, ends_at: bytes | None = None) -> None:
        self.ends_at = ends_at
        self.curve: dict[int, Mapping[str, float]] = {}
        self.text = ""
        self.end = 0
        self.seen: list[bytes] = []

    def points(self, points: Mapping[int, Mapping[str, float]]) -> None:
        self.curve |= points

    def output(self, text: str, end: int) -> None:
        self.text, self.end = self.text + text, end

    def lines(self, lines: Sequence[bytes]) -> None:
        self.seen.extend(lines)

    def must_end(self) -> bool:
        return self.ends_at in self.seen


@pytest.fixture(scope="module")
def programs() -> Iterator[Programs]:
    made = Programs()
    yield made
    made.close()


Run = Callable[..., tuple[Ended, Notes, Findings]]


@pytest.fixture
def run(programs: Programs, tmp_path: Path) -> Run:
    """Run a program for a shell, or for Python."""

    def _run(text: str, *, python: bool = False, ends_at: bytes | None = None) -> tuple[Ended, Notes, Findings]:
        notes, findings = Notes(ends_at), Findings(["loss"])
        file = OutputFile(tmp_path / "log", complain=pytest.fail)
        attempt = Attempt(programs, findings, notes, file, grace=lambda: 0.3)
        command = [sys.executable, "-c", text] if python else ["sh", "-c", text]
        return attempt.run(command, {"SCHEDY_SLOT": "0", "OWN": "x"}, slot=0), notes, findings

    return _run


def is_alive(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_output_and_exit_code(run: Run, tmp_path: Path) -> None:
    ended, notes, findings = run("echo $OWN; echo loss 0.5 >&2; printf 'epoch 7 loss 0.25'; exit 3")
    assert (ended.code, ended.was_told) == (3, False)
    assert findings.results == {"loss": 0.25}
    assert notes.curve == {1: {"loss": 0.5}, 7: {"loss": 0.25}}
    assert (tmp_path / "log").read_text() == notes.text == ended.last_output == "x\nloss 0.5\nepoch 7 loss 0.25"
    assert notes.end == len(notes.text)


def test_a_program_has_no_terminal_and_nothing_to_read(run: Run) -> None:
    program = "import os, sys; print(len(sys.stdin.read()), os.getsid(0) == os.getpid()); open('/dev/tty')"
    ended, notes, _ = run(program, python=True)
    assert notes.seen[0] == b"0 True"
    assert b"No such device or address" in notes.seen[-1]
    assert ended.code == 1


def test_one_that_ignores_sigterm_is_killed_with_its_children(run: Run) -> None:
    ended, notes, _ = run("trap '' TERM; sleep 60 & echo $!; echo on; wait; wait; sleep 60", ends_at=b"on")
    assert (ended.code, ended.was_told) == (-signal.SIGKILL, True)
    assert not is_alive(int(notes.seen[0]))


def test_one_that_listens_ends_in_its_own_way(run: Run) -> None:
    ended, notes, _ = run("trap 'echo bye; exit 0' TERM; echo on; while :; do sleep 0.05; done", ends_at=b"on")
    assert (ended.code, ended.was_told, notes.seen[-1]) == (0, True, b"bye")


@pytest.mark.parametrize(
    "leaves",
    [
        "sleep 60 &",
        "(trap '' TERM; sleep 60) &",
        "setsid sleep 60 &",
        "(setsid sh -c 'trap \"\" TERM; sleep 60 & wait' &)",
    ],
)
def test_nothing_that_a_program_leaves_outlives_it(run: Run, leaves: str) -> None:
    mark = "SCHEDY_TEST_LEFT"
    ended, _, _ = run(f"export {mark}=1; {leaves}\nsleep 0.05; echo loss 1")
    assert ended.code == 0
    left = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if f"{mark}=1".encode() in entry.read_bytes():
                left.append(entry)
    assert left == []


def test_a_daemon_that_has_cleared_its_environment_ends_with_its_program(run: Run) -> None:
    ended, notes, _ = run("env -i setsid sh -c 'echo $$; exec sleep 60' &\nsleep 0.3; echo loss 1")
    assert ended.code == 0
    assert not is_alive(int(notes.seen[0]))


def test_one_that_closes_its_output_is_waited_for(run: Run) -> None:
    ended, _, findings = run("echo loss 1; exec >&- 2>&-; sleep 0.4; exit 4")
    assert (ended.code, findings.results) == (4, {"loss": 1})
    assert ended.seconds > 0.4


def test_output_without_lines_and_that_is_not_text(run: Run, tmp_path: Path) -> None:
    ended, notes, findings = run("head -c 30000000 /dev/urandom | tr -d '\\r\\n'; printf '\\nloss 2\\n'")
    assert ended.code == 0
    assert findings.results == {"loss": 2}
    assert (tmp_path / "log").stat().st_size == pytest.approx(30_000_000, rel=0.05)
    assert len(ended.last_output) <= 65_536
    assert len(notes.text) < 1_000_000
    json.dumps(notes.text)


def test_quick_output_is_read_in_few_parts_and_every_line_of_it(run: Run) -> None:
    program = "for i in range(5000): print('step', i, 'loss', i, flush=True)"
    ended, notes, findings = run(program, python=True)
    assert ended.code == 0
    assert len(notes.seen) == 5000
    assert findings.results == {"loss": 4999}
    assert notes.curve[4999] == {"loss": 4999}
    assert len(notes.curve) < 3000


def test_several_at_once_do_not_disturb_each_other(programs: Programs, tmp_path: Path) -> None:
    ended: dict[int, Ended] = {}

    def _run(slot: int) -> None:
        notes = Notes(b"on" if slot == 0 else None)
        file = OutputFile(tmp_path / str(slot), complain=pytest.fail)
        attempt = Attempt(programs, Findings(["loss"]), notes, file, grace=lambda: 0.2)
        text = f"setsid sleep 60 & echo on; sleep 0.{slot}; echo loss {slot}; exit {slot}"
        ended[slot] = attempt.run(["sh", "-c", text], {"SCHEDY_SLOT": str(slot)}, slot=slot)

    threads = [threading.Thread(target=_run, args=(slot,)) for slot in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert [ended[slot].code for slot in range(1, 6)] == [1, 2, 3, 4, 5]


def test_a_program_that_cannot_be_started(programs: Programs, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("echo hi\n")
    script.chmod(0o755)
    for words, error, by_values in [
        (["/no/such"], "There is no program /no/such, or the interpreter", False),
        ([str(tmp_path)], "is not executable. Run chmod +x", False),
        ([str(script)], "cannot be executed: it does not begin with #!", False),
        (["true", "x" * 10_000_000], "the hyperparameters are too large", True),
        (["true", "a\0b"], "has a character that no argument", True),
        (["true", "\ud800"], "has a character that no argument", True),
    ]:
        with pytest.raises(NotStartedError, match=re.escape(error)) as caught:
            programs.start(words, {}, slot=0)
        assert caught.value.by_values == by_values


GUARDED = """
import sys, time
from schedy_cli.running.programs import Programs
programs = Programs()
program = programs.start(["sh", "-c", "trap '' TERM; setsid sleep 60 & echo $! $$; wait; sleep 60"], {}, slot=0)
print(program.output.readline().decode(), flush=True)
time.sleep(60)
"""


def test_the_guard_kills_what_a_killed_worker_has_left() -> None:
    with subprocess.Popen([sys.executable, "-c", GUARDED], stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        left = [int(word) for word in worker.stdout.readline().split()]
        assert len(left) == 2
        assert all(map(is_alive, left))
        worker.kill()
    wait_until(lambda: not any(map(is_alive, left)), what="the end of all processes")


def test_a_full_disk_ends_the_file_and_not_the_trial(tmp_path: Path) -> None:
    said: list[str] = []
    (tmp_path / "log").symlink_to("/dev/full")
    file = OutputFile(tmp_path / "log", complain=said.append)
    file.write(b"one")
    file.write(b"two")
    file.close()
    assert said == [f"The output is no longer kept in {tmp_path}/log: No space left on device. The trial goes on."]


def test_a_large_output_keeps_its_end(tmp_path: Path) -> None:
    file = OutputFile(tmp_path / "log", complain=pytest.fail, most_bytes=10)
    for part in (b"aaaa", b"bbbb", b"cccc", b"dddd", b"eeee"):
        file.write(part)
    file.close()
    assert (tmp_path / "log").read_bytes() == b"eeee"
    assert (tmp_path / "log.1").read_bytes() == b"ccccdddd"


def test_an_experiment_of_any_name_has_a_folder_of_its_own() -> None:
    names = ["a", "a/b", "a%2Fb", ".", "..", ".x", "%2Ex", "é b", "/" * 150, "é" * 100]
    folders = [folder_name(name) for name in names]
    assert len(set(folders)) == len(names)
    assert all(len(folder.encode()) <= 200 for folder in folders)
    assert not any("/" in folder or folder.startswith(".") for folder in folders)
