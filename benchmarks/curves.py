"""``python -m benchmarks.curves FOLDER``: how speed goes with the number of workers, and costs with that of jobs.

Draws two pictures, prints their figures, and takes about five minutes. Peers are those that `make bench` has installed.
See docs/performance.md.
"""

import argparse
import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot

import schedy
from benchmarks import servers
from benchmarks.figures import median
from benchmarks.filling import fill
from benchmarks.peers.figures import Arena, own_postgresql

_WORKERS = (1, 2, 4, 8, 16)
_ROUNDS = 3
_SIZES = (10_000, 100_000, 1_000_000)
_OPERATIONS = 300
_COLOURS = {
    "pika, pipelined": "#9aa0a6",
    "Celery": "#37814a",
    "Optuna, journal file": "#c2630f",
    "Schedy, prefetch=10": "#7fb2f0",
    "Schedy": "#1a5fb4",
}

Points = Mapping[int, float]
Curves = Mapping[str, Points]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.curves", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("--jobs", type=int, default=1600, help="no-op jobs of each measurement of speed")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="schedy-curves-") as folder:
        by_workers = speeds(Path(folder), options.jobs)
    _print("jobs per second, by workers", by_workers, "{:,.0f}")
    _draw(by_workers, options.folder / "performance-workers.png", x="worker processes", y="no-op jobs per second")
    by_jobs = costs()
    _print("milliseconds, by jobs in the experiment", by_jobs, "{:.2f}")
    _draw(by_jobs, options.folder / "performance-jobs.png", x="jobs in the experiment", y="milliseconds (median)")
    return 0


def speeds(folder: Path, jobs: int) -> Curves:
    """Return the jobs per second of each library by its number of workers: all take turns in each round."""
    curves: dict[str, dict[int, float]] = {}
    with own_postgresql() as postgresql, servers.running(folder, None) as where:
        servers.seconds_until_answered(where)
        for workers in _WORKERS:
            with contextlib.ExitStack() as stack:
                own = folder / str(workers)
                own.mkdir()
                arena = Arena(where, own, jobs, stack, workers)
                drains = {
                    "Schedy": arena.crew("schedy", 1),
                    "Schedy, prefetch=10": arena.crew("schedy", 10),
                    "pika, pipelined": arena.crew("pipelined", 1),
                    **arena.others(postgresql),
                }
                rounds = [{name: drain() for name, drain in drains.items()} for _ in range(_ROUNDS + 1)][1:]
            for name in drains:
                curves.setdefault(name, {})[workers] = median([each[name] for each in rounds])
            print(f"{workers} workers", file=sys.stderr)
    return curves


def costs() -> Curves:
    """Return the milliseconds of what is done with one job, by the number of jobs that the experiment has."""
    curves: dict[str, dict[int, float]] = {}
    for size in _SIZES:
        with tempfile.TemporaryDirectory(prefix="schedy-curves-") as folder, _filled(Path(folder), size) as experiment:
            for name, seconds in _operations(experiment).items():
                curves.setdefault(name, {})[size] = 1000 * median(seconds)
        print(f"{size:,} jobs", file=sys.stderr)
    return curves


@contextlib.contextmanager
def _filled(folder: Path, jobs: int) -> Iterator[schedy.Experiment]:
    with servers.running(folder, None) as where:
        fill(where.store_url, {"Filled": jobs})
        servers.seconds_until_answered(where)
        with where.connect() as db:
            experiment = db.get_experiment("Filled")
            experiment.status = schedy.Experiment.RUNNING
            experiment.push_updates()
            yield experiment


def _operations(experiment: schedy.Experiment) -> dict[str, list[float]]:
    """Push jobs, claim each, report on it and end it, one after the other; return the seconds of each step."""
    names = ("push", "claim", "report", "end")
    taken: dict[str, list[float]] = {name: [] for name in names}
    for number in range(_OPERATIONS):
        moments = [time.perf_counter()]

        def _note() -> None:
            moments.append(time.perf_counter())  # noqa: B023 - called in this turn alone

        experiment.add_job({"x": number, "y": 0.5})
        _note()
        job = experiment.next_job(timeout=10)
        _note()
        job.results["result"] = 0.5
        job.put()
        _note()
        job.finish()
        _note()
        for name, begun, ended in zip(names, moments, moments[1:], strict=False):
            taken[name].append(ended - begun)
    return taken


def _print(title: str, curves: Curves, shown: str) -> None:
    places = sorted({place for points in curves.values() for place in points})
    print(f"\n{title}\n{'':24}" + "".join(f"{place:>12,}" for place in places))
    for name, points in curves.items():
        figures = (shown.format(points[place]) if place in points else "" for place in places)
        print(f"{name:24}" + "".join(f"{figure:>12}" for figure in figures))


def _draw(curves: Curves, path: Path, *, x: str, y: str) -> None:
    mpl.use("Agg")
    figure, axes = pyplot.subplots(figsize=(8.5, 4.2), layout="constrained")
    downwards = sorted(curves.items(), key=lambda curve: -curve[1][max(curve[1])])
    for name, points in downwards:  # the legend in the order of the lines
        places: Sequence[int] = sorted(points)
        values = [points[place] for place in places]
        axes.plot(places, values, marker="o", markersize=4, linewidth=1.8, color=_COLOURS.get(name), label=name)
    axes.set_xscale("log")
    axes.set_xticks(sorted({place for points in curves.values() for place in points}))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.margins(x=0.02)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.25)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


if __name__ == "__main__":
    sys.exit(main())
