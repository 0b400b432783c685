"""What the table of algorithms says of them."""

import pytest

from schedy.search.algorithms import makes_ahead


@pytest.mark.parametrize("scheduler", ["manual", "random", "grid", "sobol"])
def test_loops_may_claim_several_jobs_that_do_not_wait_for_results(scheduler: str) -> None:
    assert makes_ahead(scheduler)


@pytest.mark.parametrize("scheduler", ["auto", "tpe", "cmaes", "nsga2", "gp", "pbt", "an algorithm of a user's own"])
def test_loops_claim_no_job_ahead_that_may_depend_on_the_one_before(scheduler: str) -> None:
    assert not makes_ahead(scheduler)
