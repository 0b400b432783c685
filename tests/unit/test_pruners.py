"""Pruners: what Optuna's say in its own storage, with nothing kept in memory."""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import optuna
import pytest
from optuna import pruners
from optuna.study import StudyDirection

from schedy.errors import InvalidValueError
from schedy.search.checks import check_definition
from schedy_store.search.catalogue import make_pruner
from schedy_store.search.protocol import History, Trial
from schedy_store.search.pruners import OptunaPruner
from tests.unit.search_support import define, trial

CASES: dict[str, tuple[dict[str, Any], Callable[[], pruners.BasePruner]]] = {
    "median": ({"startup_jobs": 3, "warmup_steps": 1}, lambda: pruners.MedianPruner(3, 1)),
    "percentile": ({"percentile": 40.0, "startup_jobs": 2}, lambda: pruners.PercentilePruner(40.0, 2)),
    "asha": ({"reduction_factor": 2}, lambda: pruners.SuccessiveHalvingPruner(1, 2)),
    "hyperband": ({"max_resource": 9}, lambda: pruners.HyperbandPruner(1, 9, 3)),
    "threshold": ({"upper": 0.9}, lambda: pruners.ThresholdPruner(upper=0.9)),
}
JOBS, STEPS = 40, 9


def _value(number: int, step: int) -> float:
    return random.Random(f"{number} {step}").random() * 0.3 + random.Random(number).random() * 0.8  # noqa: S311


def _define(name: str, direction: str, parameters: dict[str, Any]) -> Any:
    return define({}, objectives=[{"result": "loss", "direction": direction}], pruner={name: parameters})


def _by_schedy(definition: Any, *, pushed: bool = False) -> list[int]:
    """The step at which each job is pruned, asked of a new pruner each time; STEPS if it never is."""
    ended: list[Trial] = []
    steps = []
    for number in range(JOBS):
        job = trial(number, status="RUNNING", number=None if pushed else number)
        for step in range(1, STEPS):
            job = replace(job, curve={**job.curve, step: _value(number, step)})
            hopeless, state = OptunaPruner(definition).prune(job, History(ended, [job]))
            assert type(hopeless) is bool, "NumPy's is no JSON"
            job = replace(job, state=state)
            if hopeless:
                break
        steps.append(step if hopeless else STEPS)
        ended.append(replace(job, status="PRUNED") if hopeless else replace(job, status="DONE", values=(1.0,)))
    return steps


@pytest.mark.parametrize("name", ["asha", "hyperband", "median"])
def test_a_verdict_stays_for_a_worker_that_has_not_heard_it(name: str) -> None:
    definition = _define(name, "minimize", CASES[name][0])

    def _verdicts(number: int, value: float) -> tuple[list[bool], Trial]:
        """What is said of a job after each of its points, none of which ends it."""
        job = trial(number, status="RUNNING", number=number)
        said = []
        for step in range(1, STEPS):
            job = replace(job, curve={**job.curve, step: value})
            hopeless, state = OptunaPruner(definition).prune(job, History(ended, [job]))
            job = replace(job, state=state)
            said.append(hopeless)
        return said, job

    ended: list[Trial] = []
    for number in range(12):
        ended.append(replace(_verdicts(number, 0.1)[1], status="DONE", values=(0.1,)))
    said = _verdicts(12, 0.9)[0]
    first = said.index(True)
    assert first < len(said) - 1
    assert all(said[first:])


def _by_optuna(name: str, direction: str, pruner: pruners.BasePruner) -> list[int]:
    study = optuna.create_study(direction=StudyDirection[direction.upper()], pruner=pruner, study_name=name)
    steps = []
    for number in range(JOBS):
        asked = study.ask()
        hopeless = False
        for step in range(1, STEPS):
            asked.report(_value(number, step), step)
            hopeless = asked.should_prune()
            if hopeless:
                break
        steps.append(step if hopeless else STEPS)
        study.tell(asked, None if hopeless else 1.0, optuna.trial.TrialState.PRUNED if hopeless else None)
    return steps


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("direction", ["minimize", "maximize"])
@pytest.mark.parametrize("name", CASES)
def test_it_prunes_what_optuna_prunes(name: str, direction: str) -> None:
    parameters, make = CASES[name]
    steps = _by_schedy(_define(name, direction, parameters))
    assert steps == _by_optuna("schedy-7", direction, make())
    assert 0 < sum(step < STEPS for step in steps) < JOBS, steps


def test_pushed_jobs_are_pruned_like_those_of_a_search() -> None:
    definition = _define("asha", "minimize", {"reduction_factor": 2})
    assert _by_schedy(definition, pushed=True) == _by_schedy(definition)


def test_state_of_others_stays() -> None:
    job = trial(0, status="RUNNING", curve={1: 0.5}, state={"sampler": {"a": 1}})
    _, state = OptunaPruner(_define("asha", "minimize", {})).prune(job, History([], [job]))
    assert state == {"sampler": {"a": 1}, "pruner": {"completed_rung_0": 0.5}}


def test_a_value_that_is_no_number_is_hopeless() -> None:
    done = [trial(n, status="DONE", values=(1.0,), curve={1: 1.0}) for n in range(5)]
    job = trial(9, status="RUNNING", curve={1: float("nan")})
    for name in ("median", "percentile", "asha", "threshold"):
        definition = _define(name, "minimize", {"upper": 1} if name == "threshold" else {})
        assert OptunaPruner(definition).prune(job, History(done, [job]))[0], name


def test_only_a_definition_with_a_pruner_has_one() -> None:
    assert make_pruner(define({})) is None
    assert isinstance(make_pruner(_define("median", "minimize", {})), OptunaPruner)
    with pytest.raises(InvalidValueError, match="no pruner"):
        OptunaPruner(define({}))


@pytest.mark.parametrize(
    ("pruner", "message"),
    [
        ({"hyperband": {"min_resource": 9, "max_resource": 3}}, "min_resource is at most max_resource"),
        ({"threshold": {"lower": 2, "upper": 1}}, "lower is at most upper"),
        ({"threshold": {}}, "a threshold has lower, upper, or both"),
        ({"medium": {}}, "There is no pruner 'medium'. Did you mean 'median'?"),
    ],
)
def test_wrong_parameters_are_refused(pruner: dict[str, Any], message: str) -> None:
    definition = define({}, objectives=[{"result": "loss", "direction": "minimize"}], pruner=pruner)
    with pytest.raises(InvalidValueError, match=message):
        check_definition("manual", definition)
