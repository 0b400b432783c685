"""Starting the programs of trials, and ending them with all that they have started.

Each program has a session of its own: signals reach all its processes at once, Ctrl-C at the terminal does not reach
it, and it can neither read from the terminal nor change it. What a program leaves behind is adopted by this process
(PR_SET_CHILD_SUBREAPER), so that it is found; `guard.py` ends everything if this process is killed.
"""

import contextlib
import ctypes
import errno
import os
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from schedy.python_process import module_command
from schedy_cli.running import guard

_PR_SET_CHILD_SUBREAPER = 36
_LOOK_SECONDS = 0.01
_TASKS = Path("/proc/self/task")
_TOO_LARGE = (errno.E2BIG, errno.ENOMEM)


class NotStartedError(Exception):
    """A program was not started, and why."""

    def __init__(self, text: str, *, by_values: bool) -> None:
        """`by_values` is True if the values of the job are to blame, and other jobs may run."""
        super().__init__(text)
        self.by_values = by_values


class Program:
    """A program that was started. Lives in the thread that started it, but for `signal`."""

    def __init__(self, process: "subprocess.Popen[bytes]", slot: int) -> None:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        self.output = process.stdout
        self.pid = process.pid
        self.slot = slot
        self._process = process

    @property
    def has_ended(self) -> bool:
        """True once the program has ended. It is not reaped yet, so that its process group keeps its number."""
        if self._process.returncode is not None:
            return True
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self.pid, options) is not None

    def reap(self) -> int:
        """Return the exit code of a program that has ended."""
        self.output.close()
        return self._process.wait()

    def signal(self, number: int) -> None:
        """Send a signal to the process group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


class Programs:
    """The programs that run now, and the guard over them. Any thread may use it."""

    def __init__(self) -> None:
        _adopt(True)
        self._mark = uuid.uuid4().hex
        self._lock = threading.Lock()
        self._running: dict[int, Program] = {}
        command = module_command(guard.__name__, self._mark)
        before = _children()
        unmarked = {name: value for name, value in os.environ.items() if name != guard.MARK}  # in a trial of another
        self._guard = subprocess.Popen(command, env=unmarked, stdin=subprocess.PIPE, start_new_session=True)
        self._own = {self._guard.pid, *before}
        """Children of this process that no program has left."""

    def start(self, words: Sequence[str], environment: Mapping[str, str], *, slot: int) -> Program:
        """Start a program, with its output in one pipe and nothing to read. Raises NotStartedError."""
        variables = {"PYTHONUNBUFFERED": "1", **os.environ, **environment, guard.MARK: self._mark}
        with self._lock:  # until it is noted, it must not be taken for something that another program has left
            program = Program(_started(words, variables), slot)
            self._running[program.pid] = program
            self._tell(f"+{program.pid}")
        return program

    def end(self, program: Program, *, grace_seconds: float) -> int:
        """Return the exit code of a program that has ended, once all that it has left has ended, too.

        That gets SIGTERM, and after the grace time SIGKILL.
        """
        program.signal(signal.SIGTERM)
        code = program.reap()
        deadline = time.monotonic() + grace_seconds
        number, sent = signal.SIGTERM, set[int]()
        while left := self._left_by(program):
            for pid in left - sent:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, number)
            sent |= left
            if time.monotonic() >= deadline and number == signal.SIGTERM:
                number, sent = signal.SIGKILL, set()
                continue
            time.sleep(_LOOK_SECONDS)
        with self._lock:
            del self._running[program.pid]
            self._tell(f"-{program.pid}")
        return code

    @property
    def running(self) -> int:
        """The number of programs that run."""
        with self._lock:
            return len(self._running)

    def close(self) -> None:
        """End the guard."""
        assert self._guard.stdin is not None  # noqa: S101 - it is a pipe
        with contextlib.suppress(BrokenPipeError):
            self._guard.stdin.close()
        self._guard.wait()
        _adopt(False)

    def _tell(self, line: str) -> None:
        assert self._guard.stdin is not None  # noqa: S101 - it is a pipe
        with contextlib.suppress(BrokenPipeError):
            self._guard.stdin.write(f"{line}\n".encode())
            self._guard.stdin.flush()

    def _left_by(self, program: Program) -> set[int]:
        """Return the processes that a program has left, reaping those that have ended."""
        with self._lock:
            others = self._running.keys() - {program.pid}
            left = {pid for pid in _children() - self._own - others if self._is_of(pid, program, others)}
        return {pid for pid in left if not _reaped(pid)}

    def _is_of(self, pid: int, program: Program, others: set[int]) -> bool:
        """Return True if a process that was adopted comes from that program: by its group, or its environment.

        One that has left the group and cleared its environment comes from any of the programs that run.
        """
        try:
            group = os.getpgid(pid)
            if group == program.pid or group in others:
                return group == program.pid
            environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:
            return False
        if f"{guard.MARK}={self._mark}".encode() in environment:
            return f"SCHEDY_SLOT={program.slot}".encode() in environment
        return not others


def _started(words: Sequence[str], variables: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    try:
        return subprocess.Popen(
            list(words),
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            start_new_session=True,
        )
    except OSError as error:
        if error.errno in _TOO_LARGE:
            text = f"The program was not started: {error.strerror}; the hyperparameters are too large."
            raise NotStartedError(text, by_values=True) from None
        raise NotStartedError(_fault_text(error), by_values=False) from None
    except ValueError:  # NUL, or what the encoding of the system does not have
        text = "The program was not started: a hyperparameter has a character that no argument of a program can have."
        raise NotStartedError(text, by_values=True) from None


def _fault_text(error: OSError) -> str:
    """Return why a program could not be started, and what to do."""
    name = error.filename or "The program"
    match error.errno:
        case errno.ENOEXEC:
            return f"{name} cannot be executed: it does not begin with #!. Write the interpreter before it: sh {name}."
        case errno.EACCES:
            return f"{name} is not executable. Run chmod +x on it, or write the interpreter before it: python {name}."
        case errno.ENOENT:
            return f"There is no program {name}, or the interpreter in its first line is missing."
    return f"{name} cannot be started: {error.strerror}."


def _adopt(on: bool) -> None:
    """Become the parent of what programs leave behind, or leave that to the system's first process again."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, int(on), 0, 0, 0)


def _children() -> set[int]:
    """Return the processes whose parent is this one."""
    found: set[int] = set()
    for task in _TASKS.iterdir():
        with contextlib.suppress(OSError):
            found.update(map(int, (task / "children").read_text().split()))
    return found


def _reaped(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True
