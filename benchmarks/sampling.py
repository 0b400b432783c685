"""Where time goes: ``python -m benchmarks.sampling ROLE=PID,PID ...`` watches processes until its input ends.

It says, for each role, how much of a core its processes used and for how much of the time one of their threads sat
in an uninterruptible wait, which for these processes is a write to disk (fsync); and how busy the machine was. A
process of its own, so that what it costs (about 3 % of a core) hides in no figure: it runs in rounds that do not
count.
"""

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import servers

_INTERVAL_SECONDS = 0.01
_TICKS = os.sysconf("SC_CLK_TCK")
_WORTH_SAYING = 0.01


@dataclass(slots=True)
class Shares:
    """What was seen: cores used and the part of the time spent waiting for the disk, by role."""

    cores: dict[str, float] = field(default_factory=dict)
    disk: dict[str, float] = field(default_factory=dict)
    machine: float = 0.0
    """The part of all processors that was busy, whoever used them."""

    def limit(self) -> str:
        """What took the time, the largest first: shares of one core, and of the time for fsync."""
        shares = {f"{role} CPU": share for role, share in self.cores.items()}
        shares |= {f"{role} fsync": share for role, share in self.disk.items() if share >= _WORTH_SAYING}
        figures = ", ".join(f"{name} {shares[name]:.0%}" for name in sorted(shares, key=lambda name: -shares[name]))
        return f"{figures}; machine {self.machine:.0%}"


@contextlib.contextmanager
def watching(pids: Mapping[str, list[int]]) -> Iterator[Shares]:
    """Watch processes; the shares are there once the block is left."""
    shares = Shares()
    roles = [f"{role}={','.join(map(str, found))}" for role, found in pids.items()]
    command = [sys.executable, "-m", "benchmarks.sampling", *roles]
    sampler = servers.start(command, os.environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert sampler.stdout is not None
    try:
        sampler.stdout.readline()
        yield shares
        output, _ = sampler.communicate()
        found = json.loads(output)
        shares.cores, shares.disk, shares.machine = found["cores"], found["disk"], found["machine"]
    finally:
        servers.end(sampler)
        sampler.stdout.close()


class _Role:
    """The processes of one role."""

    def __init__(self, pids: list[int]) -> None:
        self._pids = pids
        self._threads: list[int] = []
        for pid in pids:
            with contextlib.suppress(OSError):  # a program that the broker has run has ended meanwhile
                for path in list(Path(f"/proc/{pid}/task").iterdir()):
                    with contextlib.suppress(OSError):  # a thread that has ended meanwhile
                        self._threads.append(os.open(path / "stat", os.O_RDONLY))
        self.waits = 0
        self._ticks_before = self._ticks()

    def look(self) -> None:
        """Note whether a thread waits for the disk now."""
        for descriptor in self._threads:
            with contextlib.suppress(ProcessLookupError):
                if os.pread(descriptor, 200, 0).rpartition(b") ")[2][:1] == b"D":
                    self.waits += 1
                    return

    def cores(self, seconds: float) -> float:
        return (self._ticks() - self._ticks_before) / _TICKS / seconds

    def _ticks(self) -> int:
        used = 0
        for pid in self._pids:
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
                used += int(fields[11]) + int(fields[12])
        return used


def _machine_ticks() -> tuple[int, int]:
    """Idle and all ticks of the processors."""
    fields = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return fields[3] + fields[4], sum(fields)


def main(arguments: list[str]) -> None:
    words = [argument.partition("=") for argument in arguments]
    roles = {role: _Role([int(pid) for pid in pids.split(",") if pid]) for role, _, pids in words}
    idle, everything = _machine_ticks()
    started, looks = time.perf_counter(), 0
    print("ready", flush=True)
    while not select.select([sys.stdin], [], [], _INTERVAL_SECONDS)[0]:
        looks += 1
        for role in roles.values():
            role.look()
    seconds = time.perf_counter() - started
    idle, everything = (after - before for after, before in zip(_machine_ticks(), (idle, everything), strict=True))
    found = {
        "cores": {name: role.cores(seconds) for name, role in roles.items()},
        "disk": {name: role.waits / max(1, looks) for name, role in roles.items()},
        "machine": 1 - idle / max(1, everything),
    }
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
