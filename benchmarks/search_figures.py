"""What searches cost: a suggestion, and everybody else while one is busy."""

import itertools
import random
import time
from collections.abc import Iterator
from dataclasses import replace

import schedy
from benchmarks.figures import Figure, Scale, median
from benchmarks.quality import suggestion_ms
from benchmarks.sampling import watching
from benchmarks.servers import Servers
from schedy.random import Uniform
from schedy.wire.answers import ExperimentsAnswer
from schedy.wire.requests import GetExperiments

_ALGORITHMS = ("random", "sobol", "cmaes", "tpe", "auto")
_FEW_ENDED = 200
_PARAMETERS = 20
_ROUNDS_OF_SUGGESTIONS = 20
_LONGEST_START_SECONDS = 60.0


def search_figures(where: Servers, scale: Scale) -> Iterator[Figure]:
    """Yield each figure when it is known."""
    for name in _ALGORITHMS:
        yield _suggestion(name, scale.ended)
    yield replace(_suggestion("auto", _FEW_ENDED), name=f"suggestion by auto, {_FEW_ENDED} jobs")
    with where.connect() as db:
        yield _beside_a_busy_search(where, db, scale)


def _suggestion(name: str, ended: int) -> Figure:
    took = suggestion_ms(name, ended=ended, parameters=_PARAMETERS, rounds=_ROUNDS_OF_SUGGESTIONS)
    return Figure(f"suggestion, {name}", "ms", took, None, f"{ended:,} ended jobs, {_PARAMETERS} parameters")


def _beside_a_busy_search(where: Servers, db: schedy.SchedyDB, scale: Scale) -> Figure:
    """Let a worker do no-op jobs of an experiment, in turn alone and while the search of another never rests."""
    others = schedy.ManualSearch(f"{where.name}-beside")
    db.add_experiment(others)
    search = _busy_search(where, db, scale)
    alone: list[float] = []
    beside: list[float] = []
    for _round in range(scale.rounds):
        search.pause()
        alone += _do_jobs(others, scale.jobs)
        search.resume()
        _wait_for_suggestions(db, search, 1)
        beside += _do_jobs(others, scale.jobs)
    with watching(where.pids()) as shares:
        _do_jobs(others, scale.jobs)
    search.pause()
    return Figure("a job beside a busy tpe", "ms", median(beside) * 1000, median(alone) * 1000, shares.limit())


def _busy_search(where: Servers, db: schedy.SchedyDB, scale: Scale) -> schedy.TPESearch:
    """A search with a long past that makes far more jobs ahead of demand than it can in time."""
    space = {f"x{place}": Uniform(0, 1) for place in range(_PARAMETERS)}
    search = schedy.TPESearch(f"{where.name}-busy", space, minimize="loss", ready=10_000, seed=1)
    db.add_experiment(search)
    search.pause()
    drawn = random.Random(1)  # noqa: S311 - nothing secret
    points = ({name: drawn.random() for name in space} for _ in range(scale.ended))
    search.add_jobs(
        {"hyperparameters": point, "status": "DONE", "results": {"loss": sum(point.values())}} for point in points
    )
    search.resume()
    _wait_for_suggestions(db, search, 1)
    return search


def _wait_for_suggestions(db: schedy.SchedyDB, search: schedy.Experiment, count: int) -> None:
    """Wait until it makes jobs."""
    deadline = time.monotonic() + _LONGEST_START_SECONDS
    before = _queued(db, search)
    while _queued(db, search) < before + count:
        assert time.monotonic() < deadline, "the search makes no jobs"
        time.sleep(0.05)


def _queued(db: schedy.SchedyDB, search: schedy.Experiment) -> int:
    answer = db.session.read(GetExperiments(uid=search.uid))
    assert isinstance(answer, ExperimentsAnswer)
    return answer.experiments[0].job_counts.get("QUEUED", 0)


def _do_jobs(experiment: schedy.Experiment, count: int) -> list[float]:
    """Return how long each job took, from asking for it to the end of its block, in seconds."""
    experiment.add_jobs([{"hyperparameters": {"x": 1}}] * count)
    took: list[float] = []
    for _ in itertools.repeat(None, count):
        started = time.perf_counter()
        with experiment.next_job():
            pass
        took.append(time.perf_counter() - started)
    return took
