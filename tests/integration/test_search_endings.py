"""Searches that end by what their jobs were, whatever the algorithm: on SQLite, with a real search process."""

import math
from collections.abc import Iterator
from typing import Any

import pytest

from schedy.wire.changes import NewJob
from schedy_store.schema.engine import Store
from schedy_store.schema.tables import Job
from tests.integration.simulation import Simulation, stored
from tests.integration.test_search_store import SearchDesk

WRONG = {"lss": 1.0, "accuracy": 0.5}


@pytest.fixture
def desk(sqlite_url: str) -> Iterator[SearchDesk]:
    store = Store.open(sqlite_url)
    made = SearchDesk(store)
    yield made
    made.end()
    store.close()


def is_over(desk: SearchDesk) -> bool:
    desk.go_round()
    desk.look()
    return desk.record().status == "DONE"


class TestJobsWithoutTheObjective:
    def test_five_in_a_row_end_the_search_which_names_their_results(self, desk: SearchDesk) -> None:
        search = Simulation(desk, "random", ready=1)
        for _ in range(5):
            assert not is_over(desk)
            search.run(WRONG)
        assert is_over(desk)
        assert desk.record().made == 5
        assert desk.record().search_end == (
            "The search failed: the last 5 jobs were DONE without a number as the result 'loss'. They had the results"
            " 'lss', 'accuracy'. Report 'loss', then raise stop_after_no_result to go on."
        )
        desk.redefine(search.experiment, stop_after_no_result=7)
        for _ in range(2):
            assert not is_over(desk)
            search.run({})
        assert is_over(desk)
        desk.redefine(search.experiment, stop_after_no_result=None)
        search.run({})
        assert not is_over(desk)

    def test_a_job_with_a_number_or_nan_begins_the_count_again(self, desk: SearchDesk) -> None:
        search = Simulation(desk, "random", ready=1, stop_after_no_result=2)
        results: dict[str, Any]
        for results in (WRONG, {"loss": math.nan}, {"loss": None}, {"loss": math.inf}, {"loss": "a"}, {"loss": 1}):
            search.run(results)
            assert not is_over(desk)
        for results in ({"loss": True}, {"loss": [1.0]}):
            assert not is_over(desk)
            search.run(results)
        assert is_over(desk)

    def test_crashed_and_pushed_jobs_count_neither_way(self, desk: SearchDesk) -> None:
        search = Simulation(desk, "random", ready=1, stop_after_no_result=2)
        search.run(WRONG)
        search.run({}, status="CRASHED")
        assert not is_over(desk)
        search.run(WRONG)
        assert is_over(desk)

    def test_a_search_without_an_objective_goes_on(self, desk: SearchDesk) -> None:
        search = Simulation(desk, "random", ready=1, objectives=[])
        for _ in range(6):
            search.run({})
        assert not is_over(desk)


class TestTarget:
    def test_the_first_done_job_that_keeps_all_bounds_ends_the_search(self, desk: SearchDesk) -> None:
        bounds = [{"result": "loss", "at_most": 0.5}, {"result": "accuracy", "at_least": 0.9}]
        cheap = {"result": "cost", "at_most": 1.0}
        search = Simulation(desk, "tpe", ready=1, stop_at=bounds, constraints=[cheap])
        for results in (
            {"loss": 0.4, "accuracy": 0.8, "cost": 1.0},
            {"loss": 0.4, "cost": 1.0},
            {"loss": 0.4, "accuracy": 0.95, "cost": 2.0},
            {"loss": math.nan, "accuracy": 0.95, "cost": 1.0},
        ):
            search.run(results)
            assert not is_over(desk)
        search.run({"loss": 0.1, "accuracy": 1.0, "cost": 1.0}, status="CRASHED")
        assert not is_over(desk)
        job = search.run({"loss": 0.5, "accuracy": 0.9, "cost": 1.0})
        assert is_over(desk)
        assert desk.record().search_end == (
            f"Job {job.job_id} has reached loss <= 0.5 (it has 0.5), accuracy >= 0.9 (it has 0.9)."
        )
        desk.redefine(search.experiment, stop_at=[])
        assert not is_over(desk)

    def test_a_pushed_job_may_reach_it(self, desk: SearchDesk) -> None:
        search = Simulation(desk, "random", ready=1, stop_at=[{"result": "loss", "at_most": 0.5}])
        search.reports.push(search.experiment, NewJob(hyperparameters={"x": 0.1}, results={"loss": 0.1}, status="DONE"))
        search.run({"loss": 2.0})  # it was made before
        assert is_over(desk)


class TestCrashes:
    def test_ten_at_first_end_the_search(self, desk: SearchDesk) -> None:
        search = Simulation(desk, "random", ready=1)
        for _ in range(10):
            assert not is_over(desk)
            search.run({}, status="CRASHED")
        assert is_over(desk)
        assert desk.record().search_end == (
            "The search failed: all of the first 10 jobs have CRASHED. Look at the error of one, and mend its cause;"
            " then raise stop_after_crashes to go on."
        )
        desk.redefine(search.experiment, stop_after_crashes=11)
        assert not is_over(desk)
        search.run({}, status="CRASHED")
        assert is_over(desk)
        desk.redefine(search.experiment, stop_after_crashes=None)
        search.run({}, status="CRASHED")
        assert not is_over(desk)

    def test_one_that_did_not_crash_is_enough(self, desk: SearchDesk) -> None:
        search = Simulation(desk, "random", ready=1, stop_after_crashes=2)
        search.run({}, status="CRASHED")
        search.run()
        for _ in range(3):
            search.run({}, status="CRASHED")
            assert not is_over(desk)


class TestJobsThatDidNotCrash:
    def test_crashed_jobs_are_replaced_and_no_job_is_made_too_many(self, desk: SearchDesk) -> None:
        search = Simulation(desk, "random", ready=1, max_done=2)
        search.run({}, status="CRASHED")
        one, two = search.next_job(), search.next_job()
        assert not is_over(desk)
        assert len(stored(desk, Job.job_id)) == 3  # one has crashed; no third is under way
        search.end(two, status="CRASHED")
        search.run(status="PRUNED")
        assert not is_over(desk)
        assert len(stored(desk, Job.job_id)) == 4
        search.end(one)
        assert is_over(desk)
        assert desk.record().search_end == "2 jobs have ended without a crash."
        assert len(stored(desk, Job.job_id)) == 4
        desk.redefine(search.experiment, max_done=3)
        search.run()
        assert is_over(desk)


def test_a_number_beyond_all_floats_is_an_observation(desk: SearchDesk) -> None:
    search = Simulation(desk, "random", ready=1, stop_at=[{"result": "loss", "at_most": 0.0}])
    search.run({"loss": 10**400})
    assert not is_over(desk)
    search.run({"loss": -(10**400)})
    assert is_over(desk)


def test_points_are_repeated_through_the_search_process(desk: SearchDesk) -> None:
    search = Simulation(desk, "tpe", ready=1, repeats=2, max_jobs=5)
    made = [search.run().hyperparameters for _ in range(5)]
    assert made[0] == made[1] != made[2] == made[3] != made[4]
    assert is_over(desk)
    assert desk.record().made == 5


@pytest.mark.parametrize(("running", "ahead"), [(7, 0), (16, 2)])
def test_some_jobs_are_made_ahead_where_many_run(desk: SearchDesk, running: int, ahead: int) -> None:
    search = Simulation(desk, "tpe", ready=1)
    for _ in range(running):
        search.next_job()
    desk.redefine(search.experiment, ready=None)
    desk.look()
    assert len(desk.wanted()) == ahead
