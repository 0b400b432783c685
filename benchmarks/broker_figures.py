"""Pushing, working and handing over, Schedy and raw pika in turn."""

import contextlib
import itertools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import schedy
from benchmarks import servers
from benchmarks.figures import Figure, Scale, median, percentile
from benchmarks.peers import raw_pika
from benchmarks.sampling import watching
from benchmarks.servers import Servers

_WORKERS = (1, 2, 4)
_SETTLE_SECONDS = 0.03


@dataclass(slots=True)
class Broker:
    """Measures on running servers."""

    servers: Servers
    db: schedy.SchedyDB
    scale: Scale

    def figures(self) -> Iterator[Figure]:
        """Yield each figure when it is known."""
        yield self._pushed_one_by_one()
        yield self._pushed_in_bulk()
        for workers in _WORKERS:
            yield self._done(workers)
        yield from self._handed_over()

    def _pushed_one_by_one(self) -> Figure:
        count = self.scale.pushes
        experiment, queue = self._fresh("each")
        pusher = raw_pika.Pusher(self.servers.broker_url, queue)

        def _schedy() -> float:
            return count / _seconds(lambda: experiment.add_job({"x": 1, "y": 2}), count)

        def _raw() -> float:
            return count / _seconds(pusher.push, count)

        figure = self._compared("add_job, one by one", _schedy, _raw)
        pusher.close()
        return figure

    def _pushed_in_bulk(self) -> Figure:
        count = self.scale.bulk
        experiment, queue = self._fresh("bulk")
        jobs = [{"hyperparameters": {"x": 1, "y": 2}}] * count

        def _schedy() -> float:
            return count / _seconds(lambda: experiment.add_jobs(jobs), 1)

        def _raw() -> float:
            return count / raw_pika.push_pipelined(self.servers.broker_url, queue, count)

        return self._compared(f"add_jobs, {count:,} at once", _schedy, _raw)

    def _compared(self, name: str, run_schedy: Callable[[], float], run_raw: Callable[[], float]) -> Figure:
        """Run both in turn for several rounds, then once more, not counted, to see what limits."""
        run_schedy(), run_raw()  # warms up
        pairs = [(run_schedy(), run_raw()) for _ in range(self.scale.rounds)]
        with watching({**self.servers.pids(), "client": [os.getpid()]}) as shares:
            run_schedy()
        ours, raws = zip(*pairs, strict=True)
        return Figure(name, "jobs/s", median(ours), median(raws), shares.limit())

    def _done(self, workers: int) -> Figure:
        with _crew(self.servers, "schedy", workers) as ours, _crew(self.servers, "pika", workers) as others:
            pairs = [(self._drain(ours, raw=False), self._drain(others, raw=True)) for _ in range(self.scale.rounds)]
            role = "worker" if workers == 1 else "workers"
            with watching({**self.servers.pids(), role: [worker.pid for worker in ours]}) as shares:
                self._drain(ours, raw=False)
        rates, raw_rates = zip(*pairs, strict=True)
        return Figure(f"jobs done, {workers} {role}", "jobs/s", median(rates), median(raw_rates), shares.limit())

    def _drain(self, crew: list["Worker"], *, raw: bool) -> float:
        return drained(self.servers, self.db, crew, self.scale.jobs, raw=raw)

    def _handed_over(self) -> Iterator[Figure]:
        """Yield the time from a push to the first line of user code in a worker that waits."""
        experiment, queue = self._fresh("wait")
        pusher = raw_pika.Pusher(self.servers.broker_url, queue)
        found: dict[str, list[float]] = {"schedy": [], "pika": []}
        pushes: dict[str, Callable[[], object]] = {"schedy": experiment.add_job, "pika": pusher.push}
        with contextlib.ExitStack() as stack:
            crew = {name: stack.enter_context(Worker.started(self.servers, name, "wait")) for name in pushes}
            for worker in crew.values():
                worker.take_on(queue)
                worker.go()
            for _round, (name, push) in itertools.product(range(self.scale.rounds + 1), pushes.items()):
                waits = [_wake(push, crew[name]) for _ in range(self.scale.wakes)]
                found[name] += waits if _round else []
            with watching({**self.servers.pids(), "worker": [crew["schedy"].pid]}) as shares:
                for _ in range(self.scale.wakes):
                    _wake(experiment.add_job, crew["schedy"], settle=False)
        pusher.close()
        for name, part in (("p50", 0.5), ("p99", 0.99)):
            ours, raw = (percentile(found[library], part) * 1000 for library in ("schedy", "pika"))
            yield Figure(f"push to first line, {name}", "ms", ours, raw, shares.limit())

    def _fresh(self, what: str) -> tuple[schedy.ManualSearch, str]:
        return _fresh(self.servers, self.db, what)


def _fresh(where: Servers, db: schedy.SchedyDB, what: str) -> tuple[schedy.ManualSearch, str]:
    """An empty experiment, and raw queues of the same name."""
    name = f"{where.name}-{what}-{time.monotonic_ns()}"
    experiment = schedy.ManualSearch(name)
    db.add_experiment(experiment)
    raw_pika.declare(where.broker_url, name)
    return experiment, name


def drained(where: Servers, db: schedy.SchedyDB, crew: list["Worker"], jobs: int, *, raw: bool) -> float:
    """Let workers empty a queue; return jobs per second between the first beginning and the last."""
    experiment, queue = _fresh(where, db, "drain")
    if raw:
        raw_pika.push_pipelined(where.broker_url, queue, jobs)
    else:
        experiment.add_jobs([{"hyperparameters": {"x": 1, "y": 2}}] * jobs)
    rate = worked(crew, queue, jobs)
    experiment.delete()
    raw_pika.delete(where.broker_url, queue)
    return rate


def worked(crew: list["Worker"], work: str, jobs: int) -> float:
    """Let workers do what they read of; return jobs per second between the first beginning and the last."""
    for worker in crew:
        worker.take_on(work)
    for worker in crew:
        worker.go()
    told = [each for each in (worker.hear() for worker in crew) if each[0]]
    assert sum(count for count, _, _ in told) == jobs
    seconds = max(last for _, _, last in told) - min(first for _, first, _ in told)
    return (jobs - 1) / float(seconds)


class Worker:
    """A worker process."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.pid = process.pid
        self._stdin, self._stdout = process.stdin, process.stdout

    @classmethod
    @contextlib.contextmanager
    def started(cls, where: Servers, library: str, mode: str, prefetch: int = 1) -> Iterator["Worker"]:
        """Start a worker of `benchmarks.worker`, and end it at the end."""
        command = [sys.executable, "-m", "benchmarks.worker", library, mode, str(prefetch)]
        with cls.running(command, where) as worker:
            yield worker

    @classmethod
    @contextlib.contextmanager
    def running(cls, command: Sequence[str], where: Servers) -> Iterator["Worker"]:
        """Run a program that speaks as `benchmarks.worker` does."""
        process = servers.start(command, where.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            yield cls(process)
        finally:
            with servers.unhurried():
                servers.end(process)
                process.communicate()

    def take_on(self, queue: str) -> None:
        """Let the worker get ready for a queue."""
        self._write(queue)
        self.hear()

    def go(self) -> None:
        self._write("go")

    def _write(self, line: str) -> None:
        self._stdin.write(line.encode() + b"\n")
        self._stdin.flush()

    def hear(self) -> Any:
        """Return what the worker says next."""
        line = self._stdout.readline()
        if not line:
            raise RuntimeError("A worker process ended; its error is above.")
        return json.loads(line)


@contextlib.contextmanager
def _crew(where: Servers, library: str, count: int) -> Iterator[list[Worker]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Worker.started(where, library, "drain")) for _ in range(count)]


def _seconds(work: Callable[[], object], times: int) -> float:
    started = time.perf_counter()
    for _ in range(times):
        work()
    return time.perf_counter() - started


def _wake(push: Callable[[], object], worker: Worker, *, settle: bool = True) -> float:
    """Push to a waiting worker; return the seconds until it began."""
    if settle:
        threading.Event().wait(_SETTLE_SECONDS)
    started = time.perf_counter()
    push()
    begun: float = worker.hear()
    return begun - started
