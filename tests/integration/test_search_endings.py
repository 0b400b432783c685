"""Searches that end by what their jobs were, whatever the algorithm: on SQLite, with a real search process."""

import math
from collections.abc import Iterator
from typing import Any

import pytest

from schedy_store.schema.engine import Store
from tests.integration.simulation import Simulation
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
