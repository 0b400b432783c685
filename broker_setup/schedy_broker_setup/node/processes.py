"""Processes that outlive their parent: identified by pid and start time, never by pid alone.

Linux only: reads /proc. A zombie counts as ended; only its parent can remove it.
"""

import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Process:
    """A process of this boot; `start_ticks` (ticks since boot) tells it from later ones of that pid."""

    pid: int
    start_ticks: int

    @classmethod
    def find(cls, pid: int) -> Self | None:
        """Return the process that has this pid now; None if there is none or it has ended."""
        stat = _read_stat(pid)
        return None if stat is None else cls(pid, stat.start_ticks)

    def is_running(self) -> bool:
        return Process.find(self.pid) == self

    def send(self, signal_number: signal.Signals) -> None:
        """Signal the process; does nothing if it has ended or its pid belongs to another one now.

        Raises PermissionError if it belongs to another user.
        """
        if self.is_running():
            try:
                os.kill(self.pid, signal_number)
            except ProcessLookupError:
                return

    def descendants(self) -> list[Self]:
        """Return its running children, their children and so on. Empty if the process itself has ended."""
        if not self.is_running():
            return []
        children: dict[int, list[Self]] = {}
        for entry in Path("/proc").iterdir():
            stat = _read_stat(int(entry.name)) if entry.name.isdecimal() else None
            if stat is not None:
                process = type(self)(int(entry.name), stat.start_ticks)
                children.setdefault(stat.parent_pid, []).append(process)
        found = list(children.get(self.pid, []))
        for process in found:  # grows while it is walked
            found.extend(children.get(process.pid, []))
        return found


def wait_until_ended(processes: Iterable[Process], *, timeout_seconds: float) -> list[Process]:
    """Block until all have ended or the timeout is over; return those that still run."""
    deadline = time.monotonic() + timeout_seconds
    running = [process for process in processes if process.is_running()]
    while running and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        running = [process for process in running if process.is_running()]
    return running


def boot_id() -> str:
    """Return the id of this boot: elsewhere, or after a reboot, pids and start times mean nothing."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


@dataclass(frozen=True)
class _Stat:
    parent_pid: int
    start_ticks: int


def _read_stat(pid: int) -> _Stat | None:
    try:
        line = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # proc(5): "pid (name) state ppid ..."; the name may hold blanks and brackets.
    state, parent_pid, *rest = line.rpartition(")")[2].split()
    if state in "ZX":
        return None
    return _Stat(parent_pid=int(parent_pid), start_ticks=int(rest[17]))
