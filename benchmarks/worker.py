"""A worker process on no-op jobs: ``python -m benchmarks.worker schedy|threads|pika|pipelined drain|wait [N]``.

N is the number of jobs in hand, or that of the threads, each with a loop of its own.

It connects, then reads the name of an experiment (or raw queue), says `ready`, and reads a line. With `drain` it does
jobs until none is left, says how many there were, when the first began and when the last began, and reads the next
name; with `wait` it says when each job begins, as it begins, and goes on until it is ended. It lives until its standard
input ends, so that its processor time can be read. Times are of the clock that all processes share.
"""

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator

from benchmarks.peers import raw_pika

Work = Callable[[str, bool, Callable[[], None]], Iterator[float]]
"""Does the jobs of a queue, given whether it waits for more and what to call when it is ready; yields beginnings."""


def _say(what: object) -> None:
    print(json.dumps(what), flush=True)


def _ready() -> None:
    _say("ready")
    sys.stdin.readline()


@contextlib.contextmanager
def _schedy(prefetch: int) -> Iterator[Work]:
    import schedy  # noqa: PLC0415 - a raw worker has nothing of Schedy in its memory

    with schedy.SchedyDB() as db:

        def _work(name: str, waits: bool, on_ready: Callable[[], None]) -> Iterator[float]:
            experiment = db.get_experiment(name)
            on_ready()
            for job in experiment.jobs(timeout=None if waits else 0.5, prefetch=prefetch):
                with job:
                    yield time.perf_counter()

        yield _work


@contextlib.contextmanager
def _threads(count: int) -> Iterator[Work]:
    import schedy  # noqa: PLC0415 - as above

    with schedy.SchedyDB() as db:

        def _work(name: str, _waits: bool, on_ready: Callable[[], None]) -> Iterator[float]:
            experiment = db.get_experiment(name)
            on_ready()
            begun: list[float] = []
            loops = [
                threading.Thread(target=experiment.work, args=(lambda _job: begun.append(time.perf_counter()), 0.5))
                for _ in range(count)
            ]
            for loop in loops:
                loop.start()
            for loop in loops:
                loop.join()
            yield from sorted(begun)

        yield _work


@contextlib.contextmanager
def _pika(_prefetch: int) -> Iterator[Work]:
    with raw_pika.worker(os.environ["SCHEDY_BROKER_URL"]) as work:
        yield work


@contextlib.contextmanager
def _pipelined(prefetch: int) -> Iterator[Work]:
    yield raw_pika.PipelinedWorker(os.environ["SCHEDY_BROKER_URL"], prefetch).work


_LIBRARIES = {"schedy": _schedy, "threads": _threads, "pika": _pika, "pipelined": _pipelined}


def main(library: str, mode: str, prefetch: str = "1") -> None:
    with _LIBRARIES[library](int(prefetch)) as work:
        while name := sys.stdin.readline().strip():
            begun = work(name, mode == "wait", _ready)
            if mode == "wait":
                for moment in begun:
                    _say(moment)
            moments = list(begun)
            _say([len(moments), moments[0], moments[-1]] if moments else [0, 0.0, 0.0])


if __name__ == "__main__":
    main(*sys.argv[1:])
