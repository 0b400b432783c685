"""``python -m benchmarks``: measures on servers of its own and prints a table. See docs/benchmarks.md."""

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from benchmarks import servers
from benchmarks.broker_figures import Broker
from benchmarks.command_figures import command_figures, few_jobs, many_jobs, service_figures
from benchmarks.export_figures import export_figures
from benchmarks.figures import Figure, Part, Scale, median, number, table
from benchmarks.filling import fill
from benchmarks.growth_figures import growth_figures
from benchmarks.page_figures import page_figures
from benchmarks.peers.figures import peer_figures
from benchmarks.quality import JOBS as QUALITY_JOBS
from benchmarks.quality import quality_lines
from benchmarks.read_figures import read_figures, very_many_jobs
from benchmarks.report_figures import backlog_figures, heartbeat_figures
from benchmarks.search_figures import search_figures
from benchmarks.servers import Servers


def main() -> int:
    options = _options()
    signal.signal(signal.SIGTERM, _as_interrupt)
    started = time.perf_counter()
    try:
        with tempfile.TemporaryDirectory(prefix="schedy-bench-", dir=options.folder) as folder:
            scale = Scale.of(quick=options.quick, size=options.size, rounds=options.rounds)
            measure(Path(folder), options.store, scale, show=sys.stderr.isatty())
    except KeyboardInterrupt:
        print("Interrupted; everything was stopped.", file=sys.stderr)
        return 130
    print(f"\n{time.perf_counter() - started:.0f} s")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="some minutes, less exact")
    parser.add_argument("--size", type=float, default=1.0, metavar="FACTOR", help="do FACTOR times as much")
    parser.add_argument("--rounds", type=int, metavar="N", help="how often Schedy and raw pika take turns")
    parser.add_argument("--store", metavar="URL", help="an empty database instead of SQLite")
    parser.add_argument("--folder", type=Path, help="where broker and SQLite write, for example another disk")
    return parser.parse_args()


def _as_interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def measure(folder: Path, store_url: str | None, scale: Scale, *, show: bool) -> None:
    """Measure and print, part by part."""
    print(f"{os.cpu_count()} processors; fsync of 4 KiB: {_fsync_ms(folder):.2f} ms (median); {scale.rounds} rounds")
    with servers.running(folder, store_url) as where:
        fill(where.store_url, {few_jobs(where): 10, many_jobs(where): scale.listed, very_many_jobs(where): scale.read})
        servers.seconds_until_answered(where)
        with where.connect() as db:
            _print(Part("BROKER", "raw pika", _told(Broker(where, db, scale).figures(), show)))
        _print(Part("PEERS", "peer", _told(peer_figures(where, folder, scale), show)))
        _print(Part("SERVICE", "imports", _told(service_figures(where, scale), show)))
        beating = heartbeat_figures(where, workers=scale.workers, seconds=scale.beat_seconds)
        _print(Part("HEARTBEATS", "", _told(beating, show)))
        _print(Part("BACKLOG", "bare SQL", _told(backlog_figures(where, scale), show)))
        _print(Part("GROWTH", "quiet", _told(growth_figures(where, scale), show)))
        _print(Part("SEARCHES", "alone", _told(search_figures(where, scale), show)))
        _print(Part("COMMANDS", "import click", _told(command_figures(where, scale), show)))
        _print(Part("READS", "bare SQL", _told(read_figures(where, scale), show)))
        _print(Part("PAGES", "dashboard", _told(page_figures(where, scale), show)))
        _print(Part("EXPORTS", "bare loop", _told(export_figures(where, folder, scale), show)))
        if store_url is not None:
            _remove_experiments(where)
    print()
    for line in quality_lines(seeds=scale.seeds, jobs=QUALITY_JOBS if scale.seeds > 2 else QUALITY_JOBS // 10):
        print(line, flush=True)


def _print(part: Part) -> None:
    print("\n" + table(part), flush=True)


def _told(figures: Iterator[Figure], show: bool) -> list[Figure]:
    """Collect figures; on a terminal say which is being measured."""
    found: list[Figure] = []
    for figure in figures:
        found.append(figure)
        if show:
            print(f"\r\033[K{figure.name}: {number(figure.schedy)} {figure.unit}", end="", file=sys.stderr, flush=True)
    if show:
        print("\r\033[K", end="", file=sys.stderr, flush=True)
    return found


def _remove_experiments(where: Servers) -> None:
    """Remove what this run has put into a store that is not its own."""
    with where.connect() as db:
        for experiment in db.get_experiments():
            if experiment.name.startswith(where.name):
                experiment.delete()


def _fsync_ms(folder: Path) -> float:
    times: list[float] = []
    with (folder / "fsync").open("wb", buffering=0) as file:
        for _ in range(100):
            file.write(bytes(4096))
            started = time.perf_counter()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - started)
    return median(times) * 1000


if __name__ == "__main__":
    sys.exit(main())
