"""Start-up and memory of the service and of commands, beside the interpreter with the imports that they need."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import servers
from benchmarks.figures import Figure, Scale, median
from benchmarks.servers import Servers

_SERVICE_IMPORTS = "import schedy_store.service.loop, schedy_broker_setup.declaring"
_WORKER_IMPORTS = "import schedy.database, schedy.working"
_MODEL = "import pika, pydantic; pydantic.create_model('Model', x=(int, ...))(x=1)"
"""Both are imported when something of theirs is used."""
_CLICK = "import click"
_MEGABYTE = 1_000_000
_CHUNK = 65_536


@dataclass(frozen=True, slots=True)
class Run:
    """What a command cost. Seconds from its start; bytes at its peak."""

    first_line: float
    total: float
    processor: float
    peak: int


def run(command: Sequence[str], where: Servers) -> Run:
    """Run a command with its output into a pipe."""
    started = time.perf_counter()
    process = servers.start(command, where.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    peak = memory_of(process.pid, "VmHWM")
    process.stdout.readline()
    first_line = time.perf_counter() - started
    while True:
        peak = max(peak, memory_of(process.pid, "VmHWM"))
        if not process.stdout.read(_CHUNK):
            break
    _pid, status, used = os.wait4(process.pid, 0)
    total = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    with process.stdout, process.stderr as said:
        if process.returncode:
            raise RuntimeError(f"{' '.join(command)} failed with {process.returncode}: {said.read()!r}")
    return Run(first_line, total, used.ru_utime + used.ru_stime, peak)


def memory_of(pid: int, name: str) -> int:
    """A figure of /proc/PID/status in bytes; 0 once the process has ended."""
    try:
        found = re.search(rf"^{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0


def service_figures(where: Servers, scale: Scale) -> Iterator[Figure]:
    """Yield what the service needs, after the load that the broker's figures were."""
    assert where.service is not None
    memory = memory_of(where.service.pid, "VmRSS")
    imported = _memory_of_imports(_SERVICE_IMPORTS, where)
    limit = f"imports: {imported / memory:.0%}"
    yield Figure("memory after the load", "MB", memory / _MEGABYTE, imported / _MEGABYTE, limit)
    starts: list[float] = []
    for _ in range(scale.starts):
        where.stop_service()
        starts.append(servers.seconds_until_answered(where))
    bare = median([run([sys.executable, "-c", _SERVICE_IMPORTS], where).total for _ in range(scale.starts)])
    limit = f"imports: {bare / median(starts):.0%}"
    yield Figure("start to first answer", "ms", median(starts) * 1000, bare * 1000, limit)
    ours, bare = (
        median([run([sys.executable, "-c", imports], where).total for _ in range(scale.starts)])
        for imports in (_WORKER_IMPORTS, _MODEL)
    )
    yield Figure("import of the worker library", "ms", ours * 1000, bare * 1000, "beside pika and a pydantic model")
    ours, bare = (_memory_of_imports(imports, where) for imports in (_WORKER_IMPORTS, _MODEL))
    yield Figure("the same, memory", "MB", ours / _MEGABYTE, bare / _MEGABYTE, "")


def _memory_of_imports(imports: str, where: Servers) -> int:
    code = f"{imports}; print(open('/proc/self/status').read())"
    output = subprocess.check_output([sys.executable, "-c", code], env=where.environment, cwd=servers.ROOT)
    return int(re.findall(rb"^VmRSS:\s+(\d+) kB", output, re.MULTILINE)[0]) * 1024


def command_figures(where: Servers, scale: Scale) -> Iterator[Figure]:
    """Yield what commands need; the store was filled before."""
    few, many = few_jobs(where), many_jobs(where)
    bare = [sys.executable, "-c", _CLICK]
    yield _start_up("schedy --help", schedy("--help"), bare, where, scale)
    yield _start_up("schedy list, 10 jobs", schedy("list", few), bare, where, scale)
    rounds = max(1, scale.starts // 3)
    pairs = [(run(schedy("list", many), where), run(bare, where)) for _ in range(rounds)]
    listed, beside = zip(*pairs, strict=True)
    name = f"list {scale.listed:,} jobs"
    first, bare_first = (median([one.first_line for one in runs]) * 1000 for runs in (listed, beside))
    yield Figure(f"{name}, first line", "ms", first, bare_first, "as `schedy list, 10 jobs`, and one page")
    peak = max(one.peak for one in listed)
    few_peak = run(schedy("list", few), where).peak
    limit = f"list of 10 jobs: {few_peak / peak:.0%}"
    yield Figure(f"{name}, peak memory", "MB", peak / _MEGABYTE, _memory_of_imports(_CLICK, where) / _MEGABYTE, limit)


def schedy(*arguments: str) -> list[str]:
    """The command line with these arguments."""
    return [sys.executable, "-m", "schedy_cli.main", *arguments]


def _start_up(name: str, command: list[str], bare: list[str], where: Servers, scale: Scale) -> Figure:
    pairs = [(run(command, where).total, run(bare, where).total) for _ in range(scale.starts)]
    ours, beside = (median(times) for times in zip(*pairs, strict=True))
    return Figure(name, "ms", ours * 1000, beside * 1000, _imports(command, where))


def _imports(command: list[str], where: Servers) -> str:
    """What of a command's start is imports, and the dearest packages, as `python -X importtime` tells."""
    timed = [command[0], "-X", "importtime", *command[1:]]
    started = time.perf_counter()
    done = subprocess.run(
        timed, env=where.environment, cwd=servers.ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    total = time.perf_counter() - started
    packages: dict[str, float] = {}
    for line in re.findall(rb"^import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)$", done.stderr, re.MULTILINE):
        package = line[1].decode().partition(".")[0]
        packages[package] = packages.get(package, 0.0) + int(line[0]) / 1e6
    dearest = sorted(packages, key=lambda package: -packages[package])[:4]
    return f"imports: {sum(packages.values()) / total:.0%}; " + ", ".join(
        f"{package} {packages[package] / total:.0%}" for package in dearest
    )


def many_jobs(where: Servers) -> str:
    """The name of the experiment of `Scale.listed` jobs."""
    return f"{where.name}-many"


def few_jobs(where: Servers) -> str:
    """The name of the experiment of 10 jobs."""
    return f"{where.name}-few"
