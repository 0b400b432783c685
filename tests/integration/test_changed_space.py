"""Searches whose hyperparameters are changed while they run."""

from typing import Any

import pytest

import schedy
from schedy.errors import InvalidValueError
from schedy.wire.requests import GetExperiments, GetMadeBy

pytestmark = pytest.mark.usefixtures("service")

BEFORE = {"x": "uniform(0, 1)", "y": "uniform(-5, 5)"}
AFTER = {"x": "uniform(0.5, 2)", "y": "uniform(-5, 5)", "z": "int(1, 8)"}


def results(job: schedy.Job) -> dict[str, float]:
    return {"loss": job.hyperparameters["x"] ** 2 + job.hyperparameters["y"] ** 2, "size": job.hyperparameters["x"]}


def begun(db: schedy.SchedyDB, kind: Any, *, jobs: int = 12, **settings: Any) -> Any:
    """A search with as many jobs, all DONE."""
    search = kind("S", BEFORE, seed=1, max_jobs=jobs, **{"minimize": "loss", **settings})
    db.add_experiment(search)
    assert search.work(results, timeout=60) == jobs
    return search


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (schedy.AutoSearch, {}),
        (schedy.TPESearch, {"startup_jobs": 4}),
        (schedy.CMAESSearch, {"startup_jobs": 2, "population_size": 4}),
        (schedy.NSGA2Search, {"population_size": 4, "minimize": ["loss", "size"]}),
        (schedy.RandomSearch, {}),
        (schedy.SobolSearch, {}),
    ],
    ids=lambda value: getattr(value, "scheduler", ""),
)
def test_a_search_goes_on_in_its_new_space(db: schedy.SchedyDB, kind: Any, options: dict[str, Any]) -> None:
    search = begun(db, kind, **options)
    before = {job.job_id for job in search.all_jobs()}
    search.hyperparameters, search.assumed, search.max_jobs = AFTER, {"z": 1}, 24
    search.push_updates()
    assert search.work(results, timeout=60) == 12
    read = db.get_experiment("S")
    assert (db.session.read(GetExperiments(name="S")).experiments[0].problem, read.status) == (None, "DONE")
    space = read.definition.space()
    made = [job.hyperparameters for job in read.all_jobs() if job.job_id not in before]
    assert len(made) == 12
    assert all(map(space.holds, made))
    assert any(point["x"] > 1 for point in made)


@pytest.mark.parametrize(("assumed", "learned"), [({"z": 1}, 1), ({}, 0)])
def test_jobs_that_lack_a_hyperparameter_count_if_it_is_said_what_it_was(
    db: schedy.SchedyDB, assumed: dict[str, Any], learned: int
) -> None:
    """The Gaussian process makes job 13 if there are three jobs to learn from."""
    search = begun(db, schedy.AutoSearch)
    by = {each.algorithm: each.jobs for each in db.session.read(GetMadeBy(experiment_uid=search.uid)).algorithms}
    search.hyperparameters, search.assumed, search.max_jobs = AFTER, assumed, 14
    search.push_updates()
    assert search.work(results, timeout=60) == 2
    after = {each.algorithm: each.jobs for each in db.session.read(GetMadeBy(experiment_uid=search.uid)).algorithms}
    assert after["gaussian process"] - by["gaussian process"] == learned


def test_a_warm_start_from_fewer_hyperparameters_counts_with_what_they_were(db: schedy.SchedyDB) -> None:
    begun(db, schedy.RandomSearch)
    larger = schedy.AutoSearch(
        "Larger", AFTER, minimize="loss", from_experiment="S", assumed={"z": 2}, seed=1, max_jobs=11
    )
    db.add_experiment(larger)
    assert larger.work(results, timeout=60) == 11
    by = {each.algorithm: each.jobs for each in db.session.read(GetMadeBy(experiment_uid=larger.uid)).algorithms}
    assert by == {"quasi-random": 8, "gaussian process": 2, "tpe": 1}


def test_what_cannot_be_changed_is_refused(db: schedy.SchedyDB) -> None:
    grid = schedy.GridSearch("Grid", {"x": "int(1, 4)"})
    db.add_experiment(grid)
    with pytest.raises(InvalidValueError, match="grid cannot change hyperparameters once it has begun; auto, random"):
        grid.hyperparameters = {"x": "int(1, 8)"}
    search = schedy.RandomSearch("Random", BEFORE)
    db.add_experiment(search)
    for name, value, words in [
        ("where", "x > 2", "Hardly a point keeps the conditions"),
        ("where", "z > 2", "there is no hyperparameter 'z'"),
        ("assumed", {"y": 7}, "y = 7 is no value of uniform"),
        ("assumed", {"z": 7}, "no job has a hyperparameter 'z'"),
        ("hyperparameters", {}, "random needs at least one hyperparameter"),
        ("hyperparameters", {"x": "unifrm(0, 1)"}, "Did you mean 'uniform'"),
    ]:
        with pytest.raises(InvalidValueError, match=words):
            setattr(search, name, value)
    search.redefine(where=None, assumed=None, stop_at=None)
    assert db.get_experiment("Random").definition.as_json() == search.settings()
