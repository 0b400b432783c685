"""How a search has come to its jobs."""

import math

import pytest

import schedy
from schedy.errors import NotFoundError
from schedy.wire.answers import WhyAnswer
from schedy.wire.requests import GetWhy

pytestmark = pytest.mark.usefixtures("service")

SPACE = {"x": "uniform(-5, 10)", "y": "uniform(0, 15)"}


def bowl(job: schedy.Job) -> dict[str, float]:
    return {"loss": (job.hyperparameters["x"] - 2) ** 2 + (job.hyperparameters["y"] - 3) ** 2}


def why(db: schedy.SchedyDB, job: schedy.Job, experiment: schedy.Experiment) -> WhyAnswer:
    return db.session.read(GetWhy(experiment_uid=experiment.uid, job_id=job.job_id))


def test_a_job_of_auto_has_its_algorithm_and_what_was_expected_of_it(db: schedy.SchedyDB) -> None:
    search = schedy.AutoSearch("Auto", SPACE, maximize="score", max_jobs=40, seed=1)
    db.add_experiment(search)
    assert search.work(lambda job: {"score": 1000 - bowl(job)["loss"]}, timeout=60) == 40
    jobs = list(search.all_jobs())
    told = [why(db, job, search) for job in jobs]
    assert [each.number for each in told] == list(range(40))
    assert [(each.ended, each.pending) for each in told] == [(number, 0) for number in range(40)]
    predicted = [(job, each) for job, each in zip(jobs, told, strict=True) if each.expected is not None]
    assert {each.algorithm for _job, each in predicted} == {"gaussian process"}
    assert len(predicted) > 15
    sure = [
        (each.expected, job.results["score"])
        for job, each in predicted[-12:]
        if each.expected is not None and each.deviation is not None and each.deviation < 1
    ]
    assert len(sure) > 4  # where it is not, it knows very bad results as bad ones
    assert all(math.isclose(expected, found, abs_tol=1.0) for expected, found in sure)
    with pytest.raises(NotFoundError):
        db.session.read(GetWhy(experiment_uid=search.uid, job_id="nosuch"))


def test_a_pushed_job_and_one_that_learns_nothing_have_nothing_to_tell(db: schedy.SchedyDB) -> None:
    search = schedy.RandomSearch("Random", SPACE, max_jobs=1)
    db.add_experiment(search)
    pushed = search.add_job({"x": 1.0, "y": 2.0})
    assert search.work(bowl, timeout=60) == 2
    assert why(db, pushed, search) == WhyAnswer()
    (made,) = (job for job in search.all_jobs() if job.job_id != pushed.job_id)
    assert why(db, made, search) == WhyAnswer(number=0)


def test_a_point_that_is_drawn_in_the_place_of_another_says_so(db: schedy.SchedyDB) -> None:
    search = schedy.TPESearch("Small", {"x": "choice(1, 2, 3, 4)"}, minimize="loss", no_repeats=True, seed=3)
    db.add_experiment(search)
    assert search.work(lambda job: {"loss": job.hyperparameters["x"]}, timeout=60) == 4
    told = [why(db, job, search) for job in search.all_jobs()]
    assert [each.ended for each in told] == [0, 1, 2, 3]
    assert not told[0].drawn


def test_a_job_of_a_population_has_its_ancestors(db: schedy.SchedyDB) -> None:
    search = schedy.PopulationBasedTraining(
        "Pbt",
        schedy.pbt.MINIMIZE,
        "loss",
        initial_distributions={"x": schedy.random.Uniform(0, 1)},
        population_size=2,
        max_generations=4,
        explore={"x": schedy.pbt.Perturb()},
        seed=1,
    )
    db.add_experiment(search)
    assert search.work(lambda job: {"loss": job.hyperparameters["x"]}, timeout=60) == 8
    jobs = {job.job_id: job for job in search.all_jobs()}
    last = max(jobs.values(), key=lambda job: job.generation or 0)
    ancestors = why(db, last, search).ancestors
    expected = [jobs[last.parent or ""]]
    while expected[-1].parent is not None:
        expected.append(jobs[expected[-1].parent])
    assert [(each.job_id, each.generation, each.hyperparameters) for each in ancestors] == [
        (job.job_id, job.generation, job.hyperparameters) for job in expected
    ]
    assert len(ancestors) > 1
    expected[1].delete()
    assert why(db, last, search).ancestors == ancestors[:1]
