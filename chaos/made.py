"""The experiment whose jobs the results service makes by itself."""

import itertools
from typing import Any

import schedy
from schedy.random import Choice, Int, Uniform
from schedy_store.search.algorithms.random import RandomSearch
from schedy_store.search.protocol import Definition, History, Suggestion

NAME = "chaos-made"
FIRST_BUDGET = 20
_MOST_ATTEMPTS = 50
_SPACE = {"seconds": Uniform(0.05, 0.8), "steps": Int(0, 3), "fails": Choice([False, True])}


def make_experiment(seed: int) -> schedy.RandomSearch:
    search = schedy.RandomSearch(NAME, _SPACE, seed=seed, ready=2, max_jobs=FIRST_BUDGET, max_attempts=_MOST_ATTEMPTS)
    search.stop_after_crashes = None  # half of the jobs are meant to crash, the first ones by chance
    return search


def suggestions(seed: int, count: int) -> list[dict[str, Any]]:
    """Return the hyperparameters of the first jobs, as a search makes them that nothing disturbs."""
    algorithm = RandomSearch(Definition(hyperparameters=_SPACE, seed=seed))
    made = (algorithm.suggest(number, History([], [])) for number in itertools.count())
    return [dict(each.hyperparameters) for each in itertools.islice(made, count) if isinstance(each, Suggestion)]
