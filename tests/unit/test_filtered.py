"""Conditions among hyperparameters: every algorithm keeps them, and a space without room is refused."""

from functools import partial
from typing import Any

import pytest

from schedy.errors import InvalidValueError
from schedy.search.algorithms import ALGORITHMS
from schedy.search.checks import check_definition
from schedy.search.definition import Definition
from schedy_store.search.algorithms.grid import Grid
from schedy_store.search.catalogue import make_algorithm, missing_requirement
from schedy_store.search.filtered import Filtered
from schedy_store.search.gaussian.process import GaussianProcess
from schedy_store.search.protocol import Algorithm, Exhausted, History, Suggestion
from schedy_store.search.tried import TriedPoints
from tests.unit.search_support import define, minimize, run, trial

SPACE = {
    "batch": {"choice": {"values": [16, 32, 64, 128]}},
    "accumulate": {"int": {"low": 1, "high": 16}},
    "lr": {"loguniform": {"low": 1e-4, "high": 1}},
}
WHERE = ["batch * accumulate <= 256", "lr < 0.01 or batch >= 32"]


def keeps(point: Any) -> bool:
    return bool(point["batch"] * point["accumulate"] <= 256 and (point["lr"] < 0.01 or point["batch"] >= 32))


@pytest.mark.parametrize("name", [name for name, rules in ALGORITHMS.items() if not rules.continues_jobs])
@pytest.mark.parametrize("rebuild", [False, True], ids=["one process", "made anew each time"])
def test_every_job_that_is_made_keeps_all_conditions(name: str, *, rebuild: bool) -> None:
    objectives = minimize("loss", "cost") if name == "nsga2" else minimize("loss")
    points = {"options": {"points": {"lr": 3}}} if name == "grid" else {}
    definition = define(SPACE, objectives=objectives, where=WHERE, **points)
    if missing_requirement(name, definition):
        assert name == "gp", "all others are installed for development"
        pytest.skip("gp needs PyTorch, which takes 4 GB")
    check_definition(name, definition)
    make = partial(make_algorithm, name, definition)

    def _new() -> Algorithm:
        return make() if name == "grid" else Filtered(definition, partial(make_algorithm, name), None)

    def _results(point: Any) -> dict[str, float]:
        return {"loss": -point["batch"] * point["accumulate"] + point["lr"], "cost": point["lr"]}

    made = [job.hyperparameters for job in run(definition, _new, _results, jobs=25, parallel=2, rebuild=rebuild)]
    assert all(map(keeps, made))
    assert len({str(point) for point in made}) > 12
    assert any(point["batch"] == 16 for point in made)


def test_a_grid_has_the_points_that_keep_them() -> None:
    grid = Grid(define({"x": {"int": {"low": 1, "high": 4}}, "y": {"int": {"low": 1, "high": 4}}}, where=["x < y"]))
    made: list[Any] = []
    while isinstance(suggestion := grid.suggest(len(made), History([], [])), Suggestion):
        made.append((suggestion.hyperparameters["x"], suggestion.hyperparameters["y"]))
    assert sorted(made) == [(1, 2), (1, 3), (1, 4), (2, 3), (2, 4), (3, 4)]
    assert suggestion == Exhausted("All 6 points of the grid that keep the conditions were made.")
    with pytest.raises(InvalidValueError, match="None of the 2 points of the grid keeps the conditions"):
        Grid(define({"x": {"int": {"low": 1, "high": 2}}}, where=["x > 2"])).suggest(0, History([], []))


def test_a_gaussian_process_proposes_the_best_of_what_is_allowed() -> None:
    space = {name: {"uniform": {"low": 0, "high": 1}} for name in "xy"}
    definition = define(space, objectives=minimize("loss"), where=["x + y <= 1"])
    points = [(x / 4, y / 4) for x in range(5) for y in range(5)]
    ended = [
        trial(number, status="DONE", hyperparameters={"x": x, "y": y}, values=((x - 1) ** 2 + (y - 0.5) ** 2,))
        for number, (x, y) in enumerate(points)
    ]
    suggestion = GaussianProcess(definition).suggest(25, History(ended, []))
    assert suggestion is not None
    x, y = suggestion.hyperparameters["x"], suggestion.hyperparameters["y"]
    assert x + y <= 1  # the best of all, x = 1 and y = 0.5, is not allowed
    assert (x, y) == (pytest.approx(0.75, abs=0.12), pytest.approx(0.25, abs=0.12))


@pytest.mark.parametrize(
    ("space", "where", "has_room"),
    [
        ({"x": {"uniform": {"low": 0, "high": 1}}}, "x < 0.05", True),
        ({"x": {"uniform": {"low": 0, "high": 1}}}, "x < 1e-6", False),
        ({"x": {"uniform": {"low": 0, "high": 1}}}, "x == 0.5", False),
        ({"x": {"int": {"low": 1, "high": 50_000}}}, "x == 7", True),  # few points: all are looked at
        ({"x": {"int": {"low": 1, "high": 50_000}}}, "x == 0", False),
        ({"x": {"int": {"low": 1, "high": 9}}}, "x / 0 > 1", False),
    ],
)
def test_a_space_without_room_is_refused(space: Any, where: str, *, has_room: bool) -> None:
    definition = define(space, where=[where], objectives=minimize("loss"))
    make = partial(make_algorithm, "random")
    if has_room:
        suggestion = Filtered(definition, make, None).suggest(0, History([], []))
        assert isinstance(suggestion, Suggestion)
        assert definition.conditions[0].holds(suggestion.hyperparameters)
    else:
        with pytest.raises(InvalidValueError, match="Hardly a point keeps the conditions"):
            Filtered(definition, make, None)


def test_the_search_ends_when_all_points_that_keep_them_were_tried() -> None:
    definition = define({"x": {"int": {"low": 1, "high": 9}}}, where=["x % 4 == 1"], exact=True)
    tried = TriedPoints(definition)
    algorithm = Filtered(definition, partial(make_algorithm, "random"), tried)
    made: list[Any] = []
    while isinstance(suggestion := algorithm.suggest(len(made), History([], [])), Suggestion):
        made.append(suggestion.hyperparameters["x"])
        tried.remember(suggestion.hyperparameters)
    assert sorted(made) == [1, 5, 9]
    assert suggestion == Exhausted("All points that keep the conditions have been tried.")


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("random", {"where": ["batch * acumulate < 3"]}, "where: batch * acumulate < 3: there is no hyperparameter"),
        ("random", {"where": ["batch * acumulate < 3"]}, "'acumulate'. Did you mean 'accumulate'?"),
        ("pbt", {"where": WHERE}, "pbt continues jobs, at the same point or another, so it has no where."),
        ("manual", {"where": WHERE, "hyperparameters": {}}, "A manual experiment makes no jobs, so it has no where."),
    ],
)
def test_what_no_search_can_have_is_refused(name: str, changes: dict[str, Any], said: str) -> None:
    settings = define(SPACE, objectives=minimize("loss")).as_json() | {"options": {}, "seed": None} | changes
    with pytest.raises(InvalidValueError) as raised:
        check_definition(name, Definition.model_validate(settings))
    assert said in str(raised.value)
