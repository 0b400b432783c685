"""`schedy export` beside a loop over SQLAlchemy Core that writes the same file."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import servers
from benchmarks.command_figures import Run, many_jobs, memory_of, schedy
from benchmarks.figures import Figure, Scale, median
from benchmarks.servers import Servers

_MEGABYTE = 1_000_000
_LOOK_SECONDS = 0.01


def export_figures(where: Servers, folder: Path, scale: Scale) -> Iterator[Figure]:
    """Yield speed and memory of exports; the store was filled before."""
    name = many_jobs(where)
    for ending, form in (("csv", "CSV"), ("parquet", "Parquet")):
        ours, beside = folder / f"ours.{ending}", folder / f"bare.{ending}"
        bare = [sys.executable, "-m", "benchmarks.bare_export", where.store_url, name, str(beside)]
        command = schedy("export", name, str(ours), "--force")
        pairs = [(_run(command, where), _run(bare, where)) for _ in range(max(1, scale.starts // 3))]
        speeds = [scale.listed / median([one.total for one in runs]) for runs in zip(*pairs, strict=True)]
        row = f"export {scale.listed:,} jobs, {form}"
        processor = median([one.processor / one.total for one, _bare in pairs])
        yield Figure(row, "jobs/s", speeds[0], speeds[1], f"own processor: {processor:.0%} of the time")
        peaks = [max(one.peak for one in runs) / _MEGABYTE for runs in zip(*pairs, strict=True)]
        yield Figure(f"{row}, peak memory", "MB", peaks[0], peaks[1], "imports, and one page")
        if ending == "csv" and ours.read_bytes() != beside.read_bytes():
            raise RuntimeError("The two files are not the same.")
        ours.unlink()
        beside.unlink()


def _run(command: Sequence[str], where: Servers) -> Run:
    """Run a command that writes a file, and look at its memory all the time."""
    started, peak, ended = time.perf_counter(), 0, 0
    process = servers.start(command, where.environment, stderr=subprocess.PIPE)
    while not ended:
        time.sleep(_LOOK_SECONDS)
        peak = max(peak, memory_of(process.pid, "VmHWM"))
        ended, status, used = os.wait4(process.pid, os.WNOHANG)
    total = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.stderr is not None
    with process.stderr as said:
        if process.returncode:
            raise RuntimeError(f"{' '.join(command)} failed: {said.read()!r}")
    return Run(total, total, used.ru_utime + used.ru_stime, peak)
