"""Pushing many jobs by Schedy, Celery and Optuna, taking turns: each is stored, or in its queue, before the end."""

import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import schedy
from benchmarks import servers
from benchmarks.figures import Figure, Scale, median
from benchmarks.servers import Servers

PYTHON = servers.ROOT / ".venv-bench" / "bin" / "python"
"""Of the environment that `make bench` installs the peers into."""
MISSING = "not installed: `make bench` does that"
_ENQUEUED = 20
"""Optuna gets so many times fewer: it takes as many times longer."""


def push_figures(where: Servers, folder: Path, scale: Scale, *, store: str | None) -> Iterator[Figure]:
    """Yield Schedy's `add_jobs` beside Celery's `delay` in a loop, and Optuna's `enqueue_trial` into `store`."""
    rounds = []
    with where.connect() as db:
        for _ in range(scale.rounds):
            rates = {"schedy": _by_schedy(where, db, scale.bulk)}
            if PYTHON.exists() and store is not None:
                rates["celery"] = _by_celery(where, folder, scale.bulk, store)
                rates["optuna"] = _by_optuna(max(1, scale.bulk // _ENQUEUED), store)
            rounds.append(rates)
    ours = median([each["schedy"] for each in rounds])
    for peer, name in (("celery", "Celery, delay"), ("optuna", "Optuna, enqueue_trial")):
        beside = median([each[peer] for each in rounds]) if peer in rounds[0] else None
        times = f"{ours / beside:.2f} times as many jobs" if beside else MISSING
        yield Figure(f"add_jobs, {scale.bulk:,}; {name}", "jobs/s", ours, beside, times)


def _by_schedy(where: Servers, db: schedy.SchedyDB, jobs: int) -> float:
    experiment = schedy.ManualSearch(f"{where.name}-push-{uuid.uuid4().hex[:8]}")
    db.add_experiment(experiment)
    started = time.perf_counter()
    experiment.add_jobs([{"hyperparameters": {"x": 1, "y": 2}}] * jobs)
    rate = jobs / (time.perf_counter() - started)
    experiment.delete()
    return rate


def _by_celery(where: Servers, folder: Path, jobs: int, store: str) -> float:
    given = {"BENCH_BROKER": where.broker_url, "BENCH_STORE": store, "BENCH_FOLDER": str(folder), "BENCH_WORKERS": ""}
    words = ("benchmarks.peers.celery_peer", f"push-{uuid.uuid4().hex[:8]}", str(jobs), "push")
    return _told(words, {**where.environment, **given})


def _by_optuna(trials: int, store: str) -> float:
    return _told(("benchmarks.peers.optuna_peer", store, str(trials)), {})


def _told(words: tuple[str, ...], environment: Mapping[str, str]) -> float:
    """Return what a peer's program prints: how many it has pushed per second."""
    command = [str(PYTHON), "-m", *words]
    done = subprocess.run(
        command, env=dict(environment) or None, cwd=servers.ROOT, stdout=subprocess.PIPE, check=True, text=True
    )
    return float(done.stdout)
