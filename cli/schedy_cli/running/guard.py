"""A small process that ends the programs of a worker which was killed.

It reads from a pipe, line by line, which process groups run (``+12``) and which have ended (``-12``). When the worker
is gone, however that came, the pipe ends: what still runs is killed, with every process that has the worker's mark in
its environment, as daemons have that left their group. It imports nothing of Schedy.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Iterable

MARK = "SCHEDY_RUN"
"""Variable in the environment of all processes of a worker."""
_MOST_LOOKS = 20
"""Looks at all processes: while one is taken, new ones may start."""


def main() -> None:
    """Wait for the end of the worker, whose mark is the first argument, and end what it has left."""
    mark = f"{MARK}={sys.argv[1]}".encode()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    for group in groups_left(sys.stdin):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    for _ in range(_MOST_LOOKS):
        left = marked_processes(mark)
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if not left:
            break


def groups_left(lines: Iterable[str]) -> set[int]:
    """Return the groups that run when the lines end."""
    running: set[int] = set()
    for line in lines:
        if line.startswith("+"):
            running.add(int(line[1:]))
        elif line.startswith("-"):
            running.discard(int(line[1:]))
    return running


def marked_processes(mark: bytes) -> list[int]:
    """Return the processes, but for this one, that have a variable in their environment."""
    found = []
    for entry in os.listdir("/proc"):  # noqa: PTH208 - pathlib would take a quarter of this process's memory
        if entry.isdigit() and int(entry) != os.getpid():
            with contextlib.suppress(OSError), open(f"/proc/{entry}/environ", "rb") as environment:  # noqa: PTH123
                if mark in environment.read().split(b"\0"):
                    found.append(int(entry))
    return found


if __name__ == "__main__":
    main()
