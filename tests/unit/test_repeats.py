"""Searches without repeats, in a space of six points and in an endless one."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest

from schedy.errors import InvalidValueError
from schedy.search.algorithms import ALGORITHMS
from schedy.search.checks import check_definition
from schedy.search.definition import Definition
from schedy.wire.values import json_key
from schedy_store.search.catalogue import make_algorithm, missing_requirement
from schedy_store.search.filtered import Filtered
from schedy_store.search.protocol import Algorithm, Exhausted, History, Suggestion
from schedy_store.search.tried import TriedPoints
from tests.unit.search_support import Experiment, define, minimize

SIX = {
    "kind": {
        "choice": {
            "values": [1, True, "1"],
            "then": {"true": {"size": {"quniform": {"low": 0, "high": 0.3, "q": 0.1}}}},
        }
    }
}
"""Two points and four more: `size` is 0, 0.1, 0.2 or 0.3."""
REPEATING = [name for name, rules in ALGORITHMS.items() if rules.may_repeat and not rules.continues_jobs]


class Stuck:
    """An algorithm of a user's own that has one idea."""

    def __init__(self, definition: Definition) -> None:
        pass

    def suggest(self, number: int, history: History) -> Suggestion:
        return Suggestion({"kind": 1}, state={"number": number})


def made_by(
    name: str, definition: Definition, pushed: Mapping[str, Any], *, rebuild: bool, most: int = 10
) -> list[Any]:
    """The points of a search by an algorithm, and the reason for its end, with a pushed job to begin with."""
    tried = TriedPoints(definition)
    tried.remember(pushed)
    make = Stuck if name == "own" else partial(make_algorithm, name)

    def _new() -> Algorithm:
        return Filtered(definition, make, tried)

    experiment, algorithm = Experiment(definition), _new()
    made: list[Any] = []
    for number in range(most):
        if rebuild:
            algorithm = _new()
        suggestion = algorithm.suggest(number, History(experiment.ended, experiment.pending))
        if isinstance(suggestion, Exhausted):
            return [*made, suggestion.reason]
        job = experiment.make(number, algorithm)
        assert job.hyperparameters == getattr(suggestion, "hyperparameters", None)
        made.append(job.hyperparameters)
        tried.remember(job.hyperparameters)
        if number % 2:
            experiment.end(experiment.pending[0], {"loss": float(number % 3), "cost": 1.0})
    return made


@pytest.mark.parametrize("name", [*REPEATING, "own"])
def test_every_point_is_made_once_and_then_the_search_ends(name: str) -> None:
    objectives = minimize("loss", "cost") if name == "nsga2" else minimize("loss")
    definition = define(SIX, objectives=objectives, exact=True)
    assert definition.avoids_repeats
    assert definition.space().count == 6
    if missing_requirement(name, definition):
        assert name == "gp", "all others are installed for development"
        pytest.skip("gp needs PyTorch, which takes 4 GB")
    pushed = {"kind": True, "size": 0.30000000000000004}
    *points, reason = made_by(name, definition, pushed, rebuild=False)
    assert reason == "All 6 points have been tried."
    every = [{"kind": 1}, {"kind": "1"}, *({"kind": True, "size": size} for size in (0.0, 0.1, 0.2))]
    assert sorted(map(json_key, points)) == sorted(map(json_key, every))
    assert made_by(name, definition, pushed, rebuild=True) == [*points, reason]
    other = definition.model_copy(update={"seed": 8})
    assert name == "own" or made_by(name, other, pushed, rebuild=False) != [*points, reason]


def test_where_the_space_is_endless_a_stuck_algorithm_goes_on_at_random() -> None:
    definition = define(
        {"kind": {"choice": {"values": [1, 2]}}, "x": {"normal": {"mean": 0, "std": 1}}}, no_repeats=True
    )
    made = made_by("own", definition, {"kind": 1}, rebuild=False)
    assert len({json_key(point) for point in made}) == 10
    assert all(definition.space().holds(point) for point in made)


def test_a_repeat_keeps_the_state_of_the_proposal_whose_place_it_takes() -> None:
    definition = define(SIX, exact=True)
    tried = TriedPoints(definition)
    tried.remember({"kind": 1})
    suggestion = Filtered(definition, Stuck, tried).suggest(4, History([], []))
    assert isinstance(suggestion, Suggestion)
    assert (suggestion.state, suggestion.hyperparameters != {"kind": 1}) == (
        {"number": 4, "why": {"drawn": True}},
        True,
    )


def test_points_outside_of_the_space_do_not_count_as_its_own() -> None:
    tried = TriedPoints(define(SIX))
    for point in ({"kind": 1.0}, {"kind": 1}, {"kind": 1}, {"kind": True}, {"kind": True, "size": 0}, {}):
        tried.remember(point)
    assert tried.count == 2
    assert tried.has({"kind": 1.0})
    assert tried.has({"kind": True, "size": 0.0})
    assert not tried.has({"kind": "1"})


@pytest.mark.parametrize(
    ("space", "settings", "avoids"),
    [
        (SIX, {"exact": True}, True),
        (SIX, {}, False),
        (SIX, {"no_repeats": True}, True),
        (SIX, {"exact": True, "no_repeats": False}, False),
        ({**SIX, "x": {"uniform": {"low": 0, "high": 1}}}, {"exact": True}, False),
        ({**SIX, "x": {"uniform": {"low": 0, "high": 1}}}, {"no_repeats": True}, True),
        ({"x": {"int": {"low": 0, "high": 10**30}}}, {"exact": True}, True),
    ],
)
def test_is_on_where_it_was_asked_for_or_results_are_exact(space: Any, settings: Any, avoids: bool) -> None:
    assert define(space, **settings).avoids_repeats == avoids


def test_a_space_counts_what_can_be_drawn() -> None:
    odd = {"choice": {"values": ["a", "a", "b", "c"], "weights": [1, 1, 1, 0]}}
    space = define({"kind": odd, "n": {"int": {"low": 1, "high": 3}}, "c": {"const": [1]}}).space()
    assert space.count == 6
    assert [space.holds({"kind": kind, "n": 3.0, "c": [1]}) for kind in "abc"] == [True, True, False]
    twice = {"choice": {"values": ["a", "b", "a"], "weights": [0, 1, 1]}}
    assert define({"kind": twice}).space().holds({"kind": "a"})


@pytest.mark.parametrize("setting", ["exact", "no_repeats"])
def test_population_based_training_has_none(setting: str) -> None:
    with pytest.raises(InvalidValueError, match=f"pbt continues jobs, .* so it has no {setting}"):
        check_definition("pbt", define(SIX, objectives=minimize("loss"), **{setting: True}))
    with pytest.raises(InvalidValueError, match=setting):
        define(SIX, **{setting: 1})
