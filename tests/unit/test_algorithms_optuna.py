"""Searches by Optuna's samplers: the points that Optuna's own storage gives, the same ones after every restart."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, CmaEsSampler, NSGAIISampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from schedy.random import Choice, distributions_from_json
from schedy.search.definition import Definition
from schedy_store.search.algorithms import tpe
from schedy_store.search.algorithms.cmaes import Cmaes
from schedy_store.search.algorithms.nsga2 import Nsga2
from schedy_store.search.algorithms.tpe import Tpe
from schedy_store.search.optuna.space import Axes, optunas
from schedy_store.search.optuna.storage import View, directions
from schedy_store.search.protocol import Algorithm, History, Suggestion, Trial, generator, numeric_seed
from tests.unit.search_support import Experiment, define, minimize, run, trial

NUMBERS = {
    "x": {"uniform": {"low": -5, "high": 10}},
    "lr": {"loguniform": {"low": 1e-5, "high": 1}},
    "n": {"int": {"low": 1, "high": 64, "log": True}},
    "m": {"int": {"low": -3, "high": 3}},
}
MIXED = {**NUMBERS, "c": {"choice": {"values": ["a", "b", "c"]}}}
BRANCHED = {
    "x": {"uniform": {"low": 0, "high": 1}},
    "kind": {
        "choice": {
            "values": ["svm", "tree"],
            "then": {
                "svm": {"c": {"loguniform": {"low": 0.01, "high": 100}}},
                "tree": {"depth": {"int": {"low": 1, "high": 9}}, "gain": {"normal": {"mean": 0, "std": 2}}},
            },
        }
    },
    "one": {"const": 1},
    "odds": {"choice": {"values": [1, 2, 3], "weights": [1, 0, 8]}},
    "q": {"quniform": {"low": 0, "high": 1, "q": 0.1}},
}


def _loss(values: Mapping[str, Any]) -> dict[str, float]:
    total = sum(0.1 * value**2 for value in values.values() if isinstance(value, int | float))
    return {"loss": total + (values.get("c") == "b"), "cost": abs(values["x"] - 1)}


def _tpe(**options: Any) -> tuple[type[Algorithm], Definition]:
    return Tpe, define(MIXED, objectives=minimize("loss"), options=options)


CASES: dict[str, tuple[type[Algorithm], Definition, Callable[[int], BaseSampler]]] = {
    "tpe": (*_tpe(), lambda seed: TPESampler(seed=seed)),
    "tpe one by one": (*_tpe(multivariate=False), lambda seed: TPESampler(seed=seed, multivariate=False)),
    "tpe of two": (
        Tpe,
        define(MIXED, objectives=minimize("loss", "cost")),
        lambda seed: TPESampler(seed=seed, multivariate=False),
    ),
    "cmaes": (Cmaes, define(NUMBERS, objectives=minimize("loss")), lambda seed: CmaEsSampler(seed=seed)),
    "cmaes mixed": (
        Cmaes,
        define(MIXED, objectives=minimize("loss")),
        lambda seed: CmaEsSampler(seed=seed, warn_independent_sampling=False),
    ),
    "nsga2": (
        Nsga2,
        define(MIXED, objectives=minimize("loss", "cost"), options={"population_size": 8}),
        lambda seed: NSGAIISampler(seed=seed, population_size=8),
    ),
}


def _outward(definition: Definition, parameters: Mapping[str, Any]) -> dict[str, Any]:
    axes = {name: distribution.axis() for name, distribution in definition.space().parameters.items()}
    return {name: axis.outward(parameters[name]) for name, axis in axes.items() if axis is not None}


def _by_optuna(definition: Definition, make_sampler: Callable[[int], BaseSampler], jobs: int) -> list[Any]:
    distributions = Axes(definition.space(), definition.hyperparameters).distributions
    study = optuna.create_study(directions=directions(definition))
    found = []
    for number in range(jobs):
        study.sampler = make_sampler(numeric_seed(definition, number))
        asked = study.ask(distributions)
        values = _outward(definition, asked.params)
        found.append(values)
        study.tell(asked, [_loss(values)[objective.result] for objective in definition.objectives])
    return found


@pytest.mark.parametrize("name", CASES)
def test_it_proposes_what_optunas_storage_gives(name: str) -> None:
    algorithm, definition, make_sampler = CASES[name]
    ours = [dict(job.hyperparameters) for job in run(definition, lambda: algorithm(definition), _loss, jobs=61)]
    assert ours == _by_optuna(definition, make_sampler, 61)


@pytest.mark.parametrize("parallel", [1, 4])
@pytest.mark.parametrize("name", CASES)
def test_a_restart_before_every_suggestion_changes_nothing(name: str, parallel: int) -> None:
    algorithm, definition, _ = CASES[name]
    kept, rebuilt = (
        run(definition, lambda: algorithm(definition), _loss, jobs=50, parallel=parallel, rebuild=rebuild)
        for rebuild in (False, True)
    )
    assert [_seen(job) for job in kept] == [_seen(job) for job in rebuilt]
    assert len({str(job.hyperparameters) for job in kept}) > 40


def _seen(job: Trial) -> Any:
    """A job without the bytes of a pickle, which may differ for equal objects."""
    state = {entry: {k: v for k, v in kept.items() if "cma:optimizer" not in k} for entry, kept in job.state.items()}
    return replace(job, state=state)


@pytest.mark.parametrize("options", [{}, {"multivariate": True}])
def test_a_branched_space_is_searched_and_survives_restarts(options: dict[str, Any]) -> None:
    definition = define(BRANCHED, objectives=minimize("loss"), options=options)
    kept, rebuilt = (
        run(definition, lambda: Tpe(definition), _branched_loss, jobs=60, parallel=3, rebuild=rebuild)
        for rebuild in (False, True)
    )
    assert kept == rebuilt
    assert all(definition.space().holds(job.hyperparameters) for job in kept)
    kinds = [job.hyperparameters["kind"] for job in kept[20:]]
    assert kinds.count("tree") > 30, kinds


def _branched_loss(values: Mapping[str, Any]) -> dict[str, float]:
    return {"loss": values["depth"] / 10 if values["kind"] == "tree" else 5 + values["c"]}


def test_cmaes_searches_a_branched_space() -> None:
    definition = define(BRANCHED, objectives=minimize("loss"))
    for job in run(definition, lambda: Cmaes(definition), _branched_loss, jobs=40, parallel=3):
        assert definition.space().holds(job.hyperparameters)
        assert [entry.split()[0] for entry in job.state] in ([], ["sampler"])


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ({"uniform": {"low": 0, "high": 3}}, 1.5),
        ({"loguniform": {"low": 0.1, "high": 3}}, 1.5),
        ({"int": {"low": 1, "high": 9}}, 4),
        ({"quniform": {"low": 0, "high": 1, "q": 0.1}}, 0.3),
        ({"normal": {"mean": 1, "std": 2}}, 2.5),
        ({"lognormal": {"mean": 1, "std": 2}}, 2.5),
        ({"choice": {"values": [1, True, "1", [1], None]}}, True),
        ({"choice": {"values": [1, 2], "weights": [1, 3]}}, 2),
    ],
    ids=str,
)
def test_a_value_goes_to_optuna_and_back(form: dict[str, Any], value: Any) -> None:
    axis = distributions_from_json({"x": form})["x"].axis()
    assert axis is not None
    inward, distribution = axis.inward(value), optunas(axis.span)
    assert distribution._contains(distribution.to_internal_repr(inward))
    assert axis.outward(inward) == pytest.approx(value)
    assert type(axis.outward(inward)) is type(value)


def test_a_value_that_is_never_drawn_is_never_proposed() -> None:
    axis = Choice(["a", "b"], weights=[1, 0]).axis()
    assert axis is not None
    assert axis.outward(1.0) == "a"


def _shown(definition: Definition, *trials: Any) -> list[FrozenTrial]:
    view = View(definition, None, state="sampler")
    view.show(History(trials, []), view.asked(99))
    return view.get_all_trials(0)


@pytest.mark.parametrize(
    ("changes", "state", "value"),
    [
        ({"status": "DONE", "values": (2.0,)}, TrialState.COMPLETE, 2.0),
        ({"status": "DONE"}, TrialState.FAIL, None),
        ({"status": "CRASHED"}, TrialState.FAIL, None),
        ({"status": "PRUNED", "curve": {3: 0.5, 1: 0.9}}, TrialState.PRUNED, 0.5),
        ({"status": "PRUNED"}, TrialState.FAIL, None),
        ({"status": "RUNNING", "curve": {1: 0.9}}, TrialState.RUNNING, None),
    ],
)
def test_a_status_is_one_of_optunas_states(changes: dict[str, Any], state: TrialState, value: float | None) -> None:
    (frozen,) = _shown(define(NUMBERS, objectives=minimize("loss")), trial(0, **changes))
    assert (frozen.state, frozen.value) == (state, value)
    assert frozen.intermediate_values == changes.get("curve", {})


def test_violations_are_constraints() -> None:
    frozen, free = _shown(
        define(NUMBERS, objectives=minimize("loss")),
        trial(0, status="DONE", values=(1.0,), violations=(-1.0, 2.0)),
        trial(1, status="DONE", values=(1.0,)),
    )
    assert (list(frozen.constraints.values()), free.constraints) == ([-1.0, 2.0], {})


def test_tpe_learns_to_keep_a_constraint() -> None:
    definition = define(
        {"x": {"uniform": {"low": 0, "high": 1}}},
        objectives=minimize("loss"),
        constraints=[{"result": "x", "at_least": 0.8}],
    )
    experiment, algorithm = Experiment(definition), Tpe(definition)
    for number in range(60):
        job = experiment.make(number, algorithm)
        x = job.hyperparameters["x"]
        experiment.end(job, {"loss": x}, violations=(0.8 - x,))
    late = [job.hyperparameters["x"] for job in experiment.ended[30:]]
    assert sum(abs(x - 0.8) < 0.1 for x in late) > 15, late


def test_a_job_outside_of_the_space_is_no_observation() -> None:
    definition = define({"x": {"uniform": {"low": 0, "high": 1}}}, objectives=minimize("loss"))
    inside = [trial(n, status="DONE", hyperparameters={"x": n / 20}, values=(n / 20,)) for n in range(20)]
    outside: list[dict[str, Any]] = [{"x": 2.0}, {}, {"x": 0.5, "y": 1}, {"x": "0.5"}]
    strange = [
        replace(inside[0], key=10**6 + n, number=None, hyperparameters=values) for n, values in enumerate(outside)
    ]
    with_them, without = (Tpe(definition).suggest(20, History(ended, [])) for ended in ([*strange, *inside], inside))
    assert with_them == without


def test_what_another_experiment_lends_is_learned_from() -> None:
    definition = define({"x": {"uniform": {"low": 0, "high": 1}}}, objectives=minimize("loss"))
    lent = [
        trial(1000 + n, number=None, status="DONE", hyperparameters={"x": n / 40}, values=((n / 40 - 0.7) ** 2,))
        for n in range(40)
    ]
    for algorithm in (Tpe, Cmaes):
        made = [algorithm(definition).suggest(number, History(lent, [])) for number in range(10)]
        found = [each.hyperparameters["x"] for each in made if isinstance(each, Suggestion)]
        assert sum(abs(x - 0.7) < 0.2 for x in found) >= 8, (algorithm, found)


def test_nsga2_takes_lent_jobs_as_its_first_generation() -> None:
    _, definition, _ = CASES["nsga2"]
    drawn = generator(definition, 0)
    lent = []
    for n in range(8):
        values = {name: each.at(drawn.random()) for name, each in definition.space().parameters.items()}
        lent.append(trial(1000 + n, number=None, status="DONE", hyperparameters=values, values=(float(n), float(n))))
    made = Nsga2(definition).suggest(0, History(lent, []))
    assert isinstance(made, Suggestion)
    assert next(iter(made.state.values()))["NSGAIISampler:generation"] == 1
    assert any(made.hyperparameters[name] == lent[0].hyperparameters[name] for name in MIXED)


def test_a_job_that_changed_is_converted_anew() -> None:
    definition = define({"x": {"uniform": {"low": 0, "high": 1}}}, objectives=minimize("loss"))
    jobs = [trial(n, status="DONE", hyperparameters={"x": n / 20}, values=(n / 20,)) for n in range(20)]
    kept = Tpe(definition)
    kept.suggest(20, History(jobs, []))
    amended = [replace(job, values=(-job.values[0],)) for job in jobs if job.values is not None]
    assert kept.suggest(20, History(amended, [])) == Tpe(definition).suggest(20, History(amended, []))
    assert kept.suggest(20, History(amended, [])) != kept.suggest(20, History(jobs, []))


def test_pending_jobs_count() -> None:
    definition = define({"x": {"uniform": {"low": 0, "high": 1}}}, objectives=minimize("loss"))
    jobs = [trial(n, status="DONE", hyperparameters={"x": n / 20}, values=(n / 20,)) for n in range(20)]
    pending = [trial(20 + n, hyperparameters={"x": 0.02}) for n in range(8)]
    alone = Tpe(definition).suggest(30, History(jobs, []))
    assert Tpe(definition).suggest(30, History(jobs, pending)) != alone


def _frozen(number: int, value: float, state: TrialState = TrialState.COMPLETE, **attributes: Any) -> FrozenTrial:
    x: dict[str, BaseDistribution] = {"x": FloatDistribution(0, 1), "n": IntDistribution(0, 1)}
    made = optuna.trial.create_trial(
        state=state, value=value, params={"x": 0.5, "n": 0}, distributions=x, system_attrs=attributes
    )
    made.number = number
    return made


def test_a_long_history_is_capped_to_the_best_and_the_newest() -> None:
    select = tpe.BestAndNewest([optuna.study.StudyDirection.MINIMIZE], 6)
    ended = [_frozen(n, abs(n - 3.1)) for n in range(12)]
    ended[3] = _frozen(3, 0.0, constraints=[1.0])
    assert [each.number for each in select(ended)] == [2, 4, 5, 9, 10, 11]
    assert select(ended[:6]) == ended[:6], "an earlier moment"
    assert [each.number for each in select([*ended, _frozen(12, 0.05)])] == [2, 4, 9, 10, 11, 12]


def test_pruned_jobs_are_kept_behind_complete_ones() -> None:
    select = tpe.BestAndNewest([optuna.study.StudyDirection.MAXIMIZE], 4)
    ended = [_frozen(0, 99.0, TrialState.PRUNED), *(_frozen(n, -n) for n in range(1, 9))]
    assert [each.number for each in select(ended)] == [1, 2, 7, 8]


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("create_new_study", ([],)),
        ("delete_study", (0,)),
        ("set_study_user_attr", (0, "a", 1)),
        ("get_all_studies", ()),
        ("set_trial_state_values", (0, TrialState.COMPLETE)),
        ("set_trial_intermediate_value", (0, 1, 1.0)),
        ("set_trial_user_attr", (0, "a", 1)),
    ],
)
def test_a_view_cannot_be_changed(method: str, arguments: tuple[Any, ...]) -> None:
    view = View(define(NUMBERS, objectives=minimize("loss")), None, state="sampler")
    with pytest.raises(RuntimeError, match="cannot be changed"):
        getattr(view, method)(*arguments)
