"""The search `auto`: which algorithm it asks, and what its Gaussian process makes of all kinds of jobs."""

import math
import statistics
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.special import ndtr

from schedy.search.definition import Definition
from schedy_store.search.algorithms.auto import Auto
from schedy_store.search.gaussian.cube import Cube
from schedy_store.search.gaussian.model import _log_h
from schedy_store.search.gaussian.observed import Warp
from schedy_store.search.gaussian.process import GaussianProcess
from schedy_store.search.protocol import History, Suggestion, Trial
from tests.unit.search_support import Experiment, define, minimize, trial

NUMBERS = {"x": {"uniform": {"low": -5, "high": 10}}, "y": {"loguniform": {"low": 1e-4, "high": 1}}}
MIXED = {
    **NUMBERS,
    "n": {"int": {"low": 1, "high": 5}},
    "kind": {"choice": {"values": ["a", "b", "c"]}},
    "one": {"const": [1]},
}
BRANCHES = {"kind": {"choice": {"values": ["a", "b"], "then": {"a": {"n": {"int": {"low": 1, "high": 3}}}}}}}


def loss_of(point: Mapping[str, Any]) -> float:
    bonus = {"a": 0.0, "b": 1.0, "c": 2.0}[point.get("kind", "a")]
    return float((point["x"] - 2) ** 2 + (math.log10(point["y"]) + 2) ** 2 + (point.get("n", 3) - 3) ** 2) + bonus


def simulated(definition: Definition, jobs: int, **ends: Any) -> Experiment:
    """Run jobs by `auto`, four at a time; `ends` has changes of the jobs that end, by `each`: every so many."""
    experiment, algorithm = Experiment(definition), Auto(definition)
    each = ends.pop("each", 0)
    for number in range(jobs):
        if len(experiment.pending) == 4:
            job = experiment.pending[0]
            changes = ends if each and job.key % each == 0 else {}
            experiment.end(job, {"loss": loss_of(job.hyperparameters)}, **changes)
        experiment.make(number, algorithm)
    return experiment


def asked(experiment: Experiment) -> Counter[str]:
    return Counter(str(job.state["by"]) for job in [*experiment.ended, *experiment.pending])


def is_by_process(job: Trial) -> bool:
    return str(job.state["by"]) == "gaussian process"


@pytest.mark.parametrize("space", [NUMBERS, MIXED], ids=["numbers", "mixed"])
def test_it_takes_the_process_and_the_trees_in_turns_and_comes_close(space: dict[str, Any]) -> None:
    experiment = simulated(define(space, objectives=minimize("loss")), 60)
    by = asked(experiment)
    assert by["quasi-random"] == 8
    assert by["gaussian process"] == pytest.approx(3 * by["tpe"], abs=4)
    assert all(experiment.definition.space().holds(job.hyperparameters) for job in experiment.ended)
    assert min(loss_of(job.hyperparameters) for job in experiment.ended) < 0.5  # of a range to 70


@pytest.mark.parametrize(
    "definition",
    [
        define(BRANCHES, objectives=minimize("loss")),
        define(NUMBERS, objectives=minimize("loss", "cost")),
        define({"a": {"choice": {"values": [1, 2]}}, "b": {"choice": {"values": [1, 2]}}}, objectives=minimize("loss")),
    ],
    ids=["branches", "two objectives", "choices"],
)
def test_the_trees_go_on_alone_where_a_process_cannot_learn(definition: Definition) -> None:
    experiment, algorithm = Experiment(definition), Auto(definition)
    for number in range(16):
        experiment.end(experiment.make(number, algorithm), {"loss": float(number), "cost": 1.0})
    assert asked(experiment) == {"quasi-random": 8, "tpe": 8}


def test_a_suggestion_depends_on_definition_number_and_history_alone() -> None:
    definition = define(MIXED, objectives=minimize("loss"))
    experiment = simulated(definition, 40)
    history, kept = History(experiment.ended, experiment.pending), Auto(definition)
    forward = [kept.suggest(number, history) for number in range(40, 44)]
    assert [Auto(definition).suggest(number, history) for number in range(40, 44)] == forward
    assert Auto(define(MIXED, objectives=minimize("loss"), seed=8)).suggest(40, history) != forward[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "CRASHED", "values": None},
        {"status": "PRUNED", "values": None, "curve": {1: 50.0, 2: 40.0}},
        {"status": "PRUNED", "values": None},
        {"values": (math.inf,)},
    ],
    ids=["crashed", "pruned", "pruned, no curve", "infinite"],
)
def test_jobs_that_failed_are_learned_from_as_bad_ones(changes: dict[str, Any]) -> None:
    experiment = simulated(define(NUMBERS, objectives=minimize("loss")), 50, each=5, **changes)
    losses = [loss_of(job.hyperparameters) for job in experiment.ended]
    by_process = [loss for loss, job in zip(losses, experiment.ended, strict=True) if is_by_process(job)]
    assert len(by_process) > 20
    assert statistics.median(by_process[-10:]) < statistics.median(losses[:8]) / 2


def test_a_region_that_crashes_is_left() -> None:
    definition = define(NUMBERS, objectives=minimize("loss"))
    experiment, algorithm = Experiment(definition), Auto(definition)
    for number in range(60):
        job = experiment.make(number, algorithm)
        if job.hyperparameters["x"] > 1:  # the minimum is beyond
            experiment.end(job, {}, status="CRASHED")
        else:
            experiment.end(job, {"loss": loss_of(job.hyperparameters)})
    late = [job.status for job in experiment.ended[30:] if is_by_process(job)]
    assert late.count("CRASHED") < len(late) / 2


def test_a_very_bad_job_does_not_hide_the_differences_among_good_ones() -> None:
    warp = Warp(np.array([*range(20), 1e12]))
    best, good, middle, bad, worst = warp.of(np.array([0.0, 1.0, 10.0, 100.0, 1e12]))
    assert good - best > 0.05
    assert middle - best > 1
    assert bad == worst
    assert warp.undone(middle) == pytest.approx(10.0)


@pytest.mark.parametrize(("missing", "most"), [(0, 0.81), (5, 0.9)], ids=["all results", "without some"])
def test_it_finds_the_best_on_the_border_of_a_constraint(missing: int, most: float) -> None:
    space = {name: {"uniform": {"low": 0, "high": 1}} for name in "xy"}
    constraints = [{"result": "c", "at_most": 0}]
    definition = define(space, objectives=minimize("loss"), constraints=constraints)
    experiment, algorithm = Experiment(definition), Auto(definition)
    for number in range(50):
        job = experiment.make(number, algorithm)
        x, y = job.hyperparameters["x"], job.hyperparameters["y"]
        violation = math.inf if missing and number % missing == 0 else 0.8 - x * y - x
        experiment.end(job, {"loss": x + y}, violations=(violation,))
    kept = [job.values[0] for job in experiment.ended if job.values and job.violations[0] <= 0]
    assert min(kept) < most  # x = 0.8, y = 0
    assert len(kept) > 10


def test_it_looks_for_a_point_that_keeps_the_constraints_first() -> None:
    space = {name: {"uniform": {"low": 0, "high": 1}} for name in "xyz"}
    constraints = [{"result": "c", "at_most": 0}]
    definition = define(space, objectives=minimize("loss"), constraints=constraints)
    experiment, algorithm = Experiment(definition), Auto(definition)
    for number in range(30):
        job = experiment.make(number, algorithm)
        away = max(abs(value - 0.85) for value in job.hyperparameters.values())
        experiment.end(job, {"loss": 1e6 * away}, violations=(away - 0.05,))
    assert any(job.violations[0] <= 0 for job in experiment.ended)  # a thousandth of the space


@pytest.mark.parametrize("value", [1e300, -1e300, 1e-300, 0.0], ids=str)
@pytest.mark.parametrize("step", [0.0, 1.0], ids=["constant", "different"])
def test_any_numbers_may_be_objectives(value: float, step: float) -> None:
    process = GaussianProcess(define(NUMBERS, objectives=minimize("loss")))
    points = [{"x": float(place), "y": 0.1} for place in range(6)]
    trials = [
        trial(place, status="DONE", hyperparameters=point, values=(value * (1 + step * place / 10),))
        for place, point in enumerate(points)
    ]
    suggestion = process.suggest(6, History(trials, []))
    assert suggestion is None or process._cube.inward(suggestion.hyperparameters) is not None
    assert (suggestion is None) == (not step or not value)


def test_it_maximizes_too() -> None:
    up = [{"result": "loss", "direction": "maximize"}]
    experiment = simulated(define(NUMBERS, objectives=minimize("loss")), 30)
    upside_down = [replace(job, values=(-job.values[0],)) for job in experiment.ended if job.values is not None]
    straight = GaussianProcess(define(NUMBERS, objectives=minimize("loss"))).suggest(30, History(experiment.ended, []))
    other = GaussianProcess(define(NUMBERS, objectives=up)).suggest(30, History(upside_down, []))
    assert isinstance(straight, Suggestion)
    assert isinstance(other, Suggestion)
    assert other.hyperparameters == straight.hyperparameters
    assert [each.state["why"]["expected"] for each in (straight, other)] == [
        pytest.approx(-other.state["why"]["expected"]),
        other.state["why"]["expected"],
    ]


def test_a_cube_has_a_column_for_each_value_of_a_choice_and_snaps_to_what_can_be_drawn() -> None:
    definition = define(MIXED)
    cube = Cube(definition.space(), definition.hyperparameters)
    assert cube.dimensions == 4
    points = cube.snapped(np.random.default_rng(1).uniform(-0.1, 1.1, (50, 4)))
    assert cube.columns(points).shape == (50, 6)
    for point in points:
        hyperparameters = cube.outward(point)
        again = cube.inward(hyperparameters)
        assert again is not None
        assert again == pytest.approx(point, abs=1e-9)
    assert cube.inward({"x": 99, "y": 0.1, "n": 3, "kind": "a", "one": 1}) is None


def test_the_promise_of_a_point_is_right_for_any_distance() -> None:
    near = np.array([-4.0, -1.5, -1.0, -0.5, 0.0, 1.0, 30.0])
    exact = np.exp(-near * near / 2) / math.sqrt(2 * math.pi) + near * ndtr(near)
    assert _log_h(near) == pytest.approx(np.log(exact), rel=1e-6)
    wide = _log_h(np.array([-1e150, -1e5, -20.1, -19.9, -1.1, -0.9, 0.0, 1e5, 1e150]))
    assert np.all(np.isfinite(wide))
    assert np.all(np.diff(wide) > 0)
