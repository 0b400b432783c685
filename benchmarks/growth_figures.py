"""How long others wait while an experiment with very many jobs is paused, resumed, ended or removed."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

import schedy
from benchmarks.figures import Figure, Scale, percentile
from benchmarks.servers import Servers

_TARGET = "target: a ratio under 10"
_PAUSE_SECONDS = 0.02


def growth_figures(where: Servers, scale: Scale) -> Iterator[Figure]:
    """Yield the longest hand-over of another experiment meanwhile, beside the slowest hundredth while all is quiet."""
    with where.connect() as db, _Others(where) as others:
        large = schedy.ManualSearch(f"{where.name}-large")
        db.add_experiment(large)
        large.add_jobs({"hyperparameters": {"x": number}} for number in range(scale.listed))
        seconds = max(1.0, scale.beat_seconds / 10)
        quiet = percentile(others.waits(3 * seconds), 0.99)
        changes: dict[str, Callable[[], object]] = {
            "pause": large.pause,
            "resume": large.resume,
            "end": lambda: _end(large),
            "removal": large.delete,
        }
        for name, change in changes.items():
            waits = others.waits(seconds, change)
            yield Figure(f"others, {name} of {scale.listed:,} jobs", "ms", 1000 * max(waits), 1000 * quiet, _TARGET)


def _end(experiment: schedy.Experiment) -> None:
    experiment.status = schedy.Experiment.DONE
    experiment.push_updates()


class _Others(contextlib.AbstractContextManager["_Others"]):
    """A pusher and a worker of another experiment: the next job is pushed soon after the one before has begun."""

    def __init__(self, where: Servers) -> None:
        self._stack = contextlib.ExitStack()
        self._experiment = schedy.ManualSearch(f"{where.name}-others")
        self._stack.enter_context(where.connect()).add_experiment(self._experiment)
        self._worker = self._stack.enter_context(where.connect()).get_experiment(self._experiment.name)
        self._begun = threading.Event()
        self._waits: list[float] = []
        self._is_over = False
        self._threads = [threading.Thread(target=each) for each in (self._work, self._push)]

    def __enter__(self) -> "_Others":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._is_over = True
        self._threads[1].join()
        _end(self._experiment)
        self._threads[0].join()
        self._stack.close()

    def waits(self, seconds: float, change: Callable[[], object] = lambda: None) -> list[float]:
        """Make the change; return the hand-overs from then on, in seconds, the one that was under way included."""
        before = len(self._waits)
        change()
        time.sleep(seconds)
        begun = len(self._waits)
        while len(self._waits) == begun:
            time.sleep(_PAUSE_SECONDS)
        return self._waits[before:]

    def _push(self) -> None:
        while not self._is_over:
            self._begun.clear()
            self._experiment.add_job({"at": time.perf_counter()})
            self._begun.wait()
            time.sleep(_PAUSE_SECONDS)

    def _work(self) -> None:
        for job in self._worker.jobs():
            with job:
                self._waits.append(time.perf_counter() - job.hyperparameters["at"])
                self._begun.set()
