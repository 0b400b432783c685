"""Searches through a real broker and a real store."""

import pytest

import schedy
from schedy.random import Uniform

pytestmark = pytest.mark.usefixtures("service")


def test_a_search_is_stored_read_typed_and_changed(db: schedy.SchedyDB) -> None:
    db.add_experiment(schedy.TPESearch("T", {"x": Uniform(0, 1)}, minimize="r", max_jobs=0, seed=3, startup_jobs=4))
    first, second = db.get_experiment("T"), db.get_experiment("T")
    assert isinstance(first, schedy.TPESearch)
    assert isinstance(second, schedy.TPESearch)
    assert (first.max_jobs, first.seed, first.options) == (0, 3, {"startup_jobs": 4})
    first.ready = 0
    first.pruner = "median"
    first.push_updates()
    second.max_attempts = 7
    second.push_updates()
    after = db.get_experiment("T")
    assert isinstance(after, schedy.TPESearch)
    assert (after.ready, after.pruner, after.max_attempts) == (0, {"median": {}}, 7)
