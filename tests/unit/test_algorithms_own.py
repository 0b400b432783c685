"""Random, grid and Sobol' search, and the catalogue."""

import sys
from importlib import metadata
from typing import Any

import pytest

from schedy.errors import InvalidValueError
from schedy.search.algorithms import ALGORITHMS
from schedy_store.search import catalogue
from schedy_store.search.algorithms import grid
from schedy_store.search.algorithms.grid import Grid
from schedy_store.search.algorithms.random import RandomSearch
from schedy_store.search.algorithms.sobol import Sobol
from schedy_store.search.protocol import Exhausted, History, Suggestion
from tests.unit.search_support import define, minimize, run

NOTHING = History([], [])
SPACE = {
    "x": {"uniform": {"low": 0, "high": 1}},
    "kind": {"choice": {"values": ["a", "b"], "then": {"a": {"n": {"int": {"low": 1, "high": 3}}}}}},
    "one": {"const": [1]},
}


def _point(made: Any) -> dict[str, Any]:
    assert isinstance(made, Suggestion), made
    return dict(made.hyperparameters)


@pytest.mark.parametrize("algorithm", [RandomSearch, Sobol])
def test_points_lie_in_the_space_and_differ(algorithm: Any) -> None:
    definition = define(SPACE)
    points = [_point(algorithm(definition).suggest(number, NOTHING)) for number in range(64)]
    assert all(definition.space().holds(point) for point in points)
    assert len({point["x"] for point in points}) == 64


@pytest.mark.parametrize("algorithm", [RandomSearch, Sobol])
def test_a_suggestion_depends_on_its_number_and_the_seed_alone(algorithm: Any) -> None:
    definition = define(SPACE)
    kept = algorithm(definition)
    forward = [kept.suggest(number, NOTHING) for number in range(20)]
    assert [algorithm(definition).suggest(number, NOTHING) for number in range(20)] == forward
    assert [kept.suggest(number, NOTHING) for number in (7, 3, 3, 0, 0, 19)] == [
        forward[n] for n in (7, 3, 3, 0, 0, 19)
    ]
    assert algorithm(define(SPACE, seed=8)).suggest(3, NOTHING) != forward[3]


def test_random_points_follow_the_distribution() -> None:
    search = RandomSearch(define({"c": {"choice": {"values": ["a", "b"], "weights": [1, 3]}}}))
    found = [_point(search.suggest(number, NOTHING))["c"] for number in range(2000)]
    assert found.count("b") == pytest.approx(1500, abs=80)


def test_sobol_points_fill_every_part_of_the_space_alike() -> None:
    search = Sobol(define({name: {"uniform": {"low": 0, "high": 1}} for name in "xy"}))
    points = [_point(search.suggest(number, NOTHING)) for number in range(256)]
    cells = [(int(point["x"] * 16), int(point["y"] * 16)) for point in points]
    assert len(set(cells)) == 256


def _every_point(values: list[float]) -> list[dict[str, Any]]:
    """The points of a grid over SPACE, the last hyperparameter changing fastest."""
    opened: list[dict[str, Any]] = [{"kind": "a", "n": 1}, {"kind": "a", "n": 2}, {"kind": "a", "n": 3}, {"kind": "b"}]
    return [{"x": x, **kind, "one": [1]} for x in values for kind in opened]


def test_a_grid_has_every_combination_once() -> None:
    definition = define(SPACE, options={"points": 5})
    search = Grid(definition)
    points = [_point(search.suggest(number, NOTHING)) for number in range(search.size)]
    wanted = _every_point([0.0, 0.25, 0.5, 0.75, 1.0])
    assert search.size == len(wanted) == 20
    assert sorted(map(repr, points)) == sorted(map(repr, wanted))
    assert points != wanted
    assert search.suggest(20, NOTHING) == Exhausted("All 20 points of the grid were made.")
    assert [_point(Grid(definition).suggest(number, NOTHING)) for number in range(20)] == points


def test_a_grid_that_is_not_shuffled_counts_up() -> None:
    definition = define(SPACE, options={"points": {"x": 5}, "shuffle": False})
    points = [_point(Grid(definition).suggest(number, NOTHING)) for number in range(20)]
    assert points == _every_point([0.0, 0.25, 0.5, 0.75, 1.0])
    assert [list(point) for point in points[:2]] == [["x", "kind", "n", "one"]] * 2


@pytest.mark.parametrize(
    ("space", "options", "message"),
    [
        (SPACE, {}, "x: uniform has endless values, so a grid needs a number of `points`"),
        ({"n": {"int": {"low": 0, "high": 2**50}}}, {}, "n has 1,125,899,906,842,625 values, more than 10,000,000"),
        ({"q": {"quniform": {"low": 0, "high": 1, "q": 2**-30}}}, {}, "q has 1,073,741,825 values"),
        ({name: {"int": {"low": 1, "high": 300}} for name in "abc"}, {}, "The grid has 27,000,000 points"),
        (SPACE, {"points": 0}, "x: a grid has from 1 to 10,000,000 points, not 0"),
    ],
)
def test_a_grid_that_cannot_be_made_is_refused(space: Any, options: Any, message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        Grid(define(space, options=options))


def test_a_large_grid_is_handed_out_at_once() -> None:
    search = Grid(define({name: {"int": {"low": 1, "high": 200}} for name in "abc"}, options={"shuffle": False}))
    assert search.size == 8_000_000 <= grid.MOST_POINTS
    assert _point(search.suggest(7_999_999, NOTHING)) == {"a": 200, "b": 200, "c": 200}


def test_all_algorithms_of_the_definitions_are_known() -> None:
    assert catalogue._OWN.keys() == ALGORITHMS.keys()
    for name in ALGORITHMS.keys() - {"gp", "pbt"}:
        search = catalogue.make_algorithm(name, _definition_for(name))
        assert isinstance(search.suggest(0, NOTHING), Suggestion)


def _definition_for(name: str) -> Any:
    results = ["a", "b"][: max(1, ALGORITHMS[name].objectives[0])]
    return define({"n": {"int": {"low": 1, "high": 3}}}, objectives=minimize(*results))


def test_an_unknown_algorithm_is_named_with_a_close_one() -> None:
    with pytest.raises(InvalidValueError, match=r"There is no algorithm 'cmase'\. Did you mean 'cmaes'\?"):
        catalogue.make_algorithm("cmase", define(SPACE))


def test_an_entry_point_is_a_scheduler_but_takes_no_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    place = f"{__name__}:RandomSearch"
    others = [metadata.EntryPoint(name, place, catalogue.GROUP) for name in ("mine", "tpe")]
    monkeypatch.setattr(catalogue, "entry_points", lambda group: others)
    assert catalogue.known_schedulers()["tpe"].value == "schedy_store.search.algorithms.tpe:Tpe"
    assert isinstance(catalogue.make_algorithm("mine", define(SPACE)), RandomSearch)


def test_what_is_missing_is_said_with_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    definition = define(SPACE, objectives=minimize("loss"), pruner={"median": {}})
    assert catalogue.missing_requirement("tpe", definition) is None
    present = {"numpy", "scipy"}
    monkeypatch.setattr(catalogue, "find_spec", lambda module: module in present or None)
    how = "Install it where the results service runs: pip install 'schedy-mq[optuna]'"
    assert catalogue.missing_requirement("tpe", definition) == f"tpe needs Optuna. {how}"
    assert catalogue.missing_requirement("random", definition) == f"A pruner needs Optuna. {how}"
    assert catalogue.missing_requirement("sobol", define(SPACE)) is None
    assert catalogue.missing_requirement("of-my-own", define(SPACE)) is None
    present.add("optuna")
    assert str(catalogue.missing_requirement("gp", definition)).endswith("'schedy-mq[gp]'")


def test_listing_the_algorithms_imports_none() -> None:
    before = set(sys.modules)
    catalogue.known_schedulers()
    assert not {name for name in set(sys.modules) - before if name.startswith(("optuna", "scipy", "schedy"))}


def test_random_search_needs_no_history() -> None:
    definition = define(SPACE)
    assert len(run(definition, lambda: RandomSearch(definition), lambda _values: {}, jobs=10, parallel=2)) == 10
