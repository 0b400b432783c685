"""No-op jobs by Schedy, by pika alone, by Celery and by Optuna: all in one run, taking turns, equally durable."""

import contextlib
import os
import signal
import subprocess
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import servers
from benchmarks.broker_figures import Worker, drained, worked
from benchmarks.figures import Figure, Scale, median
from benchmarks.peers.pushes import MISSING, PYTHON, push_figures
from benchmarks.servers import Servers
from tests.support import PostgreSQL, postgresql_program

_WORKERS = 4
_MANY = 10
_THREADS = 32
_JOBS_FOR_THREADS = 400
"""With fewer jobs the threads do little but begin and end, which takes long in a quick run."""


Drain = Callable[[], float]
"""Does the jobs; returns jobs per second between the first beginning and the last."""


def peer_figures(where: Servers, folder: Path, scale: Scale) -> Iterator[Figure]:
    """Yield Schedy's jobs per second beside those of each peer."""
    with contextlib.ExitStack() as stack:
        postgresql = stack.enter_context(own_postgresql())
        drains = dict(_drains(where, folder, 4 * scale.jobs, stack, postgresql))
        for drain in drains.values():
            drain()
        rounds = [{name: drain() for name, drain in drains.items()} for _ in range(scale.rounds)]
        store = None if postgresql is None else postgresql.new_database()
        pushes = list(push_figures(where, folder, scale, store=store))
    rates = {name: median([each[name] for each in rounds]) for name in drains}
    for name, schedy, peer in (
        ("4 workers; pika, pipelined", "schedy", "pipelined"),
        ("4 workers; Celery", "schedy", "celery"),
        ("4 workers; Optuna, journal", "schedy", "optuna journal"),
        ("4 workers; Optuna, PostgreSQL", "schedy", "optuna postgresql"),
        ("4 workers on PostgreSQL; on SQLite", "schedy postgresql", "schedy"),
        ("2 processes of 32 threads; 4 workers", "threads", "schedy"),
        ("1 worker; pika, pipelined", "schedy 1", "pipelined 1"),
        ("prefetch=10; pika, pipelined", "schedy 10", "pipelined 10"),
        ("prefetch=10; Celery", "schedy 10", "celery 10"),
    ):
        if schedy not in rates:
            continue
        ours, beside = rates[schedy], rates.get(peer)
        times = f"{ours / beside:.2f} times as many jobs" if beside else MISSING
        yield Figure(name, "jobs/s", ours, beside, times)
    yield from pushes


@contextlib.contextmanager
def own_postgresql() -> Iterator[PostgreSQL | None]:
    """A private server that writes to the disk before it answers; None where PostgreSQL is not installed."""
    if postgresql_program("initdb") is None:
        yield None
        return
    server = PostgreSQL()
    server.start(fsync=True)
    try:
        yield server
    finally:
        server.remove()


def _drains(
    where: Servers, folder: Path, jobs: int, stack: contextlib.ExitStack, postgresql: PostgreSQL | None
) -> Iterator[tuple[str, Drain]]:
    """Yield those who take part, with their workers, which wait."""
    arena = Arena(where, folder, jobs, stack, _WORKERS)
    for suffix, workers, prefetch in (("", _WORKERS, 1), (" 1", 1, 1), (f" {_MANY}", _WORKERS, _MANY)):
        of_so_many = replace(arena, workers=workers)
        yield f"schedy{suffix}", of_so_many.crew("schedy", prefetch)
        yield f"pipelined{suffix}", of_so_many.crew("pipelined", prefetch)
    if jobs >= _JOBS_FOR_THREADS:
        yield "threads", replace(arena, workers=2).crew("threads", _THREADS)
    if postgresql is not None:
        (folder / "other").mkdir()
        other = stack.enter_context(servers.running(folder / "other", postgresql.new_database()))
        servers.seconds_until_answered(other)
        yield "schedy postgresql", replace(arena, where=other).crew("schedy", 1)
    if PYTHON.exists():
        store = postgresql.new_database() if postgresql is not None else f"sqlite:///{folder}/celery.sqlite"
        for suffix, prefetch in (("", 1), (f" {_MANY}", _MANY)):
            yield f"celery{suffix}", arena.celery(store, prefetch)
        yield "optuna journal", arena.optuna(f"{folder}/optuna.log")
        if postgresql is not None:
            yield "optuna postgresql", arena.optuna(postgresql.new_database())


@dataclass(frozen=True, slots=True)
class Arena:
    """Where all compete, each with so many jobs and workers, which are started at once and wait."""

    where: Servers
    folder: Path
    jobs: int
    stack: contextlib.ExitStack
    workers: int

    def crew(self, library: str, prefetch: int) -> Drain:
        """Start workers of Schedy or of pika alone."""
        db = self.stack.enter_context(self.where.connect())
        started = (Worker.started(self.where, library, "drain", prefetch) for _ in range(self.workers))
        crew = [self.stack.enter_context(worker) for worker in started]
        return lambda: drained(self.where, db, crew, self.jobs, raw=library == "pipelined")

    def others(self, postgresql: PostgreSQL | None) -> dict[str, Drain]:
        """Start workers of the peers that are installed; Celery's results go to PostgreSQL, if there is one."""
        if not PYTHON.exists():
            return {}
        store = f"sqlite:///{self.folder}/celery.sqlite" if postgresql is None else postgresql.new_database()
        return {
            "Celery": self.celery(store, 1),
            "Optuna, journal file": self.optuna(f"{self.folder}/optuna.log"),
        }

    def optuna(self, storage: str) -> Drain:
        """Start workers of Optuna."""
        command = [str(PYTHON), "-m", "benchmarks.peers.optuna_peer", storage]
        crew = [self.stack.enter_context(Worker.running(command, self.where)) for _ in range(self.workers)]
        each = self.jobs // self.workers
        return lambda: worked(crew, f"{uuid.uuid4().hex} {each}", each * self.workers)

    def celery(self, store: str, prefetch: int) -> Drain:
        """Start workers of Celery."""
        own = self.folder / f"celery-{prefetch}"
        own.mkdir()
        names = [f"w{number}-{prefetch}@bench" for number in range(self.workers)]
        given = {
            "FOLDER": str(own),
            "BROKER": self.where.broker_url,
            "STORE": store,
            "PREFETCH": str(prefetch),
            "WORKERS": " ".join(names),
        }
        environment = {**self.where.environment, **{f"BENCH_{name}": value for name, value in given.items()}}
        for name in names:
            words = ("-c", "1", "-n", name, "-Q", f"idle-{prefetch}", "-l", "ERROR")
            command = [str(PYTHON), "-m", "celery", "-A", "benchmarks.peers.celery_peer", "worker", *words]
            self.stack.enter_context(_process(command, environment))

        def _drain() -> float:
            command = [str(PYTHON), "-m", "benchmarks.peers.celery_peer", f"q-{uuid.uuid4().hex}", str(self.jobs)]
            done = subprocess.run(command, env=environment, cwd=servers.ROOT, stdout=subprocess.PIPE, check=True)
            return float(done.stdout)

        return _drain


@contextlib.contextmanager
def _process(command: list[str], environment: dict[str, str]) -> Iterator[None]:
    process = servers.start(command, environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # its warm shutdown takes 10 s, and it has nothing in hand
        process.wait()
