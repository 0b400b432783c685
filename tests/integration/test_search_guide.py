"""The claims of docs/search.md, tried with a real broker, store and search process."""

import math
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import schedy
from schedy.random import Uniform
from schedy.settings import Settings
from tests.support import running_service, wait_until

SPACE = {"x": Uniform(-5, 5)}


def square(job: schedy.Job) -> None:
    job.results["r"] = job.hyperparameters["x"] ** 2


def work(experiment: schedy.Experiment, do: Callable[[schedy.Job], None] = square) -> None:
    """Work as one worker until nothing is left."""
    while True:
        try:
            job = experiment.next_job(timeout=None)
        except schedy.NoJobError:
            return
        with job:
            do(job)


def added(db: schedy.SchedyDB, search: schedy.Experiment) -> Any:
    db.add_experiment(search)
    return db.get_experiment(search.name)


def points(experiment: schedy.Experiment) -> list[Any]:
    return [job.hyperparameters for job in experiment.all_jobs()]


def problem(db: schedy.SchedyDB, name: str) -> str:
    return db.get_experiment(name)._stored.problem or ""


@pytest.mark.parametrize("kind", [schedy.RandomSearch, schedy.SobolSearch, schedy.TPESearch])
def test_one_worker_gets_the_same_jobs_from_the_same_seed(db: schedy.SchedyDB, kind: Any) -> None:
    made = []
    for name in ("One", "Two"):
        experiment = added(db, kind(name, SPACE, minimize="r", seed=5, max_jobs=14))
        work(experiment)
        made.append(points(experiment))
    assert made[0] == made[1]
    assert len(made[0]) == 14


def test_random_makes_the_same_jobs_with_any_number_of_workers(db: schedy.SchedyDB) -> None:
    one, many = (added(db, schedy.RandomSearch(name, SPACE, seed=5, max_jobs=30)) for name in ("One", "Many"))
    threads = [threading.Thread(target=work, args=(experiment,)) for experiment in (one, many, many, many)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert points(one) == points(many)


def test_neither_pushed_nor_retried_jobs_count_in_the_budget(db: schedy.SchedyDB) -> None:
    experiment = added(db, schedy.TPESearch("E", SPACE, minimize="r", max_jobs=5))
    pushed = experiment.add_job({"x": 1.0})
    experiment.add_job({"x": 2.0}, status="DONE", results={"r": 4.0})
    work(experiment)
    jobs = list(experiment.all_jobs())
    assert len(jobs) == 7
    assert db.get_experiment("E").status == "DONE"
    next(job for job in jobs if job.job_id != pushed.job_id).retry()
    assert db.get_experiment("E").status == "RUNNING"
    work(experiment)
    assert len(list(experiment.all_jobs())) == 7
    experiment.max_jobs = 6
    experiment.push_updates()
    work(experiment)
    assert len(list(experiment.all_jobs())) == 8


def test_pushed_jobs_run_before_made_ones(db: schedy.SchedyDB) -> None:
    experiment = added(db, schedy.RandomSearch("E", SPACE, max_jobs=20))
    wait_until(lambda: list(experiment.all_jobs()), what="made jobs")
    pushed = experiment.add_job({"x": 1.0})
    with experiment.next_job(timeout=10) as job:
        assert job.job_id == pushed.job_id


def test_no_job_is_made_after_enough_without_improvement(db: schedy.SchedyDB) -> None:
    def _constant(job: schedy.Job) -> None:
        job.results["r"] = 1.0

    experiment = added(
        db, schedy.RandomSearch("E", SPACE, minimize="r", stop_after_no_improvement=3, ready=0, max_jobs=50)
    )
    work(experiment, _constant)
    assert len(list(experiment.all_jobs())) == 4


def test_a_result_that_is_missing_or_nan_is_reported_and_the_search_goes_on(db: schedy.SchedyDB) -> None:
    experiment = added(db, schedy.TPESearch("E", SPACE, minimize="r", max_jobs=15, ready=0))
    values = iter([{}, {"r": math.nan}, {"r": math.inf}])

    def _put(job: schedy.Job) -> None:
        job.results |= next(values, {"r": 1.0})

    work(experiment, _put)
    assert len(list(experiment.all_jobs())) == 15
    assert "The search does not learn from it." in problem(db, "E")


def test_jobs_of_another_experiment_are_observations(db: schedy.SchedyDB) -> None:
    source = added(db, schedy.RandomSearch("Source", SPACE, minimize="r", max_jobs=40, seed=1))
    work(source)
    learned = added(db, schedy.TPESearch("T", SPACE, minimize="r", max_jobs=10, seed=1, from_experiment="Source"))
    work(learned)
    assert sum(abs(point["x"]) for point in points(learned)) / 10 < 1.5


def test_a_manual_experiment_may_have_a_pruner(db: schedy.SchedyDB) -> None:
    experiment = added(db, schedy.ManualSearch("E", minimize="loss", pruner={"threshold": {"upper": 1.0}}))
    experiment.add_job({})
    with experiment.next_job(timeout=10) as job:
        job.report(1, loss=2.0)
        wait_until(job.should_prune, what="the pruner's answer")
        raise schedy.Pruned
    (ended,) = experiment.all_jobs()
    assert (ended.status, ended.quality) == ("PRUNED", 2.0)


FAILING = """
from schedy_store.search.protocol import Suggestion


class Failing:
    def __init__(self, definition): ...

    def suggest(self, number, history):
        if number == 1:
            raise RuntimeError("no idea")
        return Suggestion({"x": number})
"""


@pytest.fixture
def failing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of an installed algorithm that fails, as the search process and the service find it."""
    (tmp_path / "failing_search.py").write_text(FAILING)
    information = tmp_path / "failing_search-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: failing-search\nVersion: 1\n")
    (information / "entry_points.txt").write_text("[schedy.algorithms]\nfailing = failing_search:Failing\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return "failing"


@pytest.fixture
def db_that_knows_it(settings: Settings, failing: str) -> Iterator[schedy.SchedyDB]:
    with running_service(settings), schedy.SchedyDB(config_override=settings.model_dump()) as connection:
        yield connection


def test_an_algorithm_that_fails_says_so_and_others_go_on(db_that_knows_it: schedy.SchedyDB, failing: str) -> None:
    db = db_that_knows_it
    experiment = added(db, schedy.Search("E", failing, SPACE))
    with experiment.next_job(timeout=10) as job:
        job.results["r"] = 1
    expected = "The search failed and is tried again: RuntimeError: no idea"
    wait_until(lambda: problem(db, "E") == expected, what="the problem")
    with pytest.raises(schedy.NoJobError):
        experiment.next_job()
    pushed = experiment.add_job({"x": 1.0})
    with experiment.next_job(timeout=10) as job:
        assert job.job_id == pushed.job_id
    other = added(db, schedy.RandomSearch("Other", SPACE, max_jobs=3))
    work(other)
    assert len(points(other)) == 3
