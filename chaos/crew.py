"""The processes of a run: started, started again when they die, stopped at the end."""

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent
_LOOK_SECONDS = 0.1
_DUMP_SECONDS = 1.0
_ENDS_BY_SIGNAL = {-signal.SIGKILL, 128 + signal.SIGTERM, -signal.SIGTERM}


@dataclass(slots=True, eq=False)
class Member:
    """A place in the crew: one process after the other. `command` gets the number of the process."""

    name: str
    command: Callable[[int], list[str]]
    environment: Mapping[str, str]
    log_folder: Path
    stays: bool = True
    """Whether it is started again when it has ended."""
    number: int = 0
    process: "subprocess.Popen[bytes] | None" = None
    signalled: bool = False
    stopped: bool = False
    failures: list[str] = field(default_factory=list)
    """Ends that nobody wanted."""

    @property
    def log(self) -> Path:
        return self.log_folder / f"{self.name}-{self.number}.log"

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        self.number += 1
        self.signalled = self.stopped = False
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(self.number),
                env=dict(self.environment),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def note_end(self) -> None:
        """Look how the process ended."""
        if self.process is None:
            return
        code = self.process.poll()
        if code and not (self.signalled and code in _ENDS_BY_SIGNAL):
            tail = self.log.read_text(errors="replace").splitlines()[-15:]
            self.failures.append(f"{self.name}-{self.number} ended with {code}:\n" + "\n".join(tail))
        self.process = None


class Crew:
    """Keeps its members running, in a thread of its own, until `end`. Thread-safe."""

    def __init__(self) -> None:
        self.members: list[Member] = []
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._replaces = True
        self._thread = threading.Thread(target=self._watch, name="crew", daemon=True)

    def add(self, member: Member) -> None:
        with self._lock:
            self.members.append(member)
            member.start()
            if not self._thread.is_alive():
                self._thread.start()

    def of_kind(self, kind: str) -> list[Member]:
        return [member for member in self.members if member.name.startswith(kind)]

    def signal(self, member: Member, number: signal.Signals) -> bool:
        """Signal a member's process; False if none runs."""
        with self._lock:
            if member.process is None or member.process.poll() is not None:
                return False
            if number == signal.SIGSTOP:
                member.stopped = True
            elif number == signal.SIGCONT:
                member.stopped = False
            else:
                member.signalled = True
            os.kill(member.process.pid, number)
            return True

    def wake_all(self) -> None:
        for member in self.members:
            self.signal(member, signal.SIGCONT)

    def let_end(self, kind: str, seconds: float) -> list[str]:
        """Wait until all of a kind have ended by themselves; return what is wrong with those that have not."""
        with self._lock:
            for member in self.of_kind(kind):
                member.stays = False
        deadline = threading.Event()
        hung: list[str] = []
        timer = threading.Timer(seconds, deadline.set)
        timer.start()
        for member in self.of_kind(kind):
            while member.is_running and not deadline.is_set():
                deadline.wait(_LOOK_SECONDS)
            if member.is_running:
                hung.append(self._dump_and_kill(member))
        timer.cancel()
        return hung

    def terminate(self, kind: str, seconds: float) -> list[str]:
        """End all of a kind with SIGTERM; return what is wrong with those that do not."""
        with self._lock:
            for member in self.of_kind(kind):
                member.stays = False
        for member in self.of_kind(kind):
            self.signal(member, signal.SIGTERM)
        return self.let_end(kind, seconds)

    def end(self) -> list[str]:
        """Kill what is left; return all unwanted ends."""
        with self._lock:
            for member in self.members:
                member.stays = False
        for member in self.members:
            self.signal(member, signal.SIGKILL)
            if member.process is not None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    member.process.wait(5)
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(5)
        for member in self.members:
            member.note_end()
        return [failure for member in self.members for failure in member.failures]

    def _dump_and_kill(self, member: Member) -> str:
        """Have a hung process say where it hangs, then kill it."""
        self.signal(member, signal.SIGUSR1)
        threading.Event().wait(_DUMP_SECONDS)
        self.signal(member, signal.SIGKILL)
        return f"{member.name}-{member.number} did not end; its stacks are in {member.log}"

    def _watch(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            with self._lock:
                for member in self.members:
                    if not member.is_running:
                        member.note_end()
                        if member.stays:
                            member.start()
