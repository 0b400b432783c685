"""Population based training: who goes on from whom, and the toy problem of the paper."""

import sys
from dataclasses import replace
from typing import Any

import pytest

from benchmarks import pbt_toy
from schedy import pbt
from schedy.errors import InvalidValueError
from schedy.random import Int, LogNormal, LogUniform, Normal, Numeric, QUniform, Uniform
from schedy.search.checks import check_definition
from schedy_store.search.algorithms.pbt import Pbt
from schedy_store.search.protocol import Exhausted, History, NotYet, Suggestion, Trial
from tests.unit.search_support import Experiment, define, trial

SPACE = {"lr": {"uniform": {"low": 0, "high": 1}}, "n": {"int": {"low": 1, "high": 100}}}


def _define(population: int = 4, generations: int = 3, **options: Any) -> Any:
    options = {
        "population_size": population,
        "max_generations": generations,
        "explore": {"lr": {"perturb": {}}},
        **options,
    }
    return define(SPACE, objectives=[{"result": "score", "direction": "maximize"}], options=options)


def _with_ended(definition: Any, scores: list[float | None]) -> Experiment:
    experiment, algorithm = Experiment(definition), Pbt(definition)
    jobs = [experiment.make(number, algorithm) for number in range(len(scores))]
    for job, score in zip(jobs, scores, strict=True):
        crashed = {"status": "CRASHED"} if score is None else {}
        experiment.end(job, {} if score is None else {"score": score, "at": job.key}, **crashed)
    return experiment


def _suggestion(experiment: Experiment, number: int) -> Suggestion:
    made = Pbt(experiment.definition).suggest(number, History(experiment.ended, []))
    assert isinstance(made, Suggestion)
    return made


def test_a_good_member_goes_on_as_it_is() -> None:
    experiment = _with_ended(_define(), [3.0, 4.0, 1.0, 2.0])
    for number, of in ((4, 0), (5, 1), (7, 3)):
        parent, made = experiment.ended[of], _suggestion(experiment, number)
        assert (made.parent, made.results) == (parent.job_id, parent.results)
        assert (made.hyperparameters, made.generation) == (parent.hyperparameters, 2)
        assert made.state == {"member": of}


def test_a_bad_member_goes_on_from_a_good_one_and_changes() -> None:
    experiment = _with_ended(_define(), [3.0, 4.0, 1.0, 2.0])
    made, best = _suggestion(experiment, 6), experiment.ended[1]
    assert (made.parent, made.results, made.state) == (best.job_id, best.results, {"member": 2})
    factor = made.hyperparameters["lr"] / best.hyperparameters["lr"]
    assert 0.8 <= factor <= 1.2
    assert factor != 1
    assert made.hyperparameters["n"] == best.hyperparameters["n"]


def test_only_what_had_ended_by_then_counts() -> None:
    early = _with_ended(_define(), [3.0, 4.0, 1.0])
    late = Experiment(early.definition, [*early.ended, trial(3, status="DONE", values=(9.0,), state={"member": 3})])
    assert [_suggestion(early, number) for number in (4, 5, 6)] == [_suggestion(late, number) for number in (4, 5, 6)]


def test_a_member_without_a_value_is_replaced_and_starts_anew_if_nobody_has_one() -> None:
    experiment = _with_ended(_define(), [None, 1.0, None, 2.0])
    fresh, replaced = _suggestion(experiment, 4), _suggestion(experiment, 6)
    assert (fresh.parent, fresh.results, fresh.generation, fresh.state) == (None, {}, 2, {"member": 0})
    assert fresh.hyperparameters != experiment.ended[0].hyperparameters
    assert replaced.parent == experiment.ended[1].job_id


def test_it_waits_and_ends() -> None:
    definition = _define(population=2, generations=2)
    experiment, algorithm = _with_ended(definition, [1.0, 2.0]), Pbt(definition)
    assert algorithm.suggest(2, History(experiment.ended[:0], [])) == NotYet()
    assert algorithm.suggest(3, History(experiment.ended[:1], [])) == NotYet()
    for number in (2, 3):
        experiment.end(experiment.make(number, algorithm), {"score": 5.0 + number})
    assert {job.generation for job in experiment.ended} == {1, 2}
    assert algorithm.suggest(4, History(experiment.ended, [])) == Exhausted("All 2 members have come to generation 2.")


def test_a_job_of_the_last_generation_has_no_successor() -> None:
    definition = _define(population=2, generations=2)
    experiment, algorithm = _with_ended(definition, [1.0, 2.0]), Pbt(definition)
    experiment.end(experiment.make(2, algorithm), {"score": 7.0})
    shuffled = [experiment.ended[2], *experiment.ended[:2]]
    made = algorithm.suggest(2, History(shuffled, []))
    assert isinstance(made, Suggestion)
    assert made.state == {"member": 0}


def test_what_was_pushed_is_gone_on_from_but_has_no_successor() -> None:
    experiment = _with_ended(_define(), [3.0, 4.0, 1.0, 2.0])
    pushed = Trial("PUSHED", None, 999, "DONE", {"lr": 0.5, "n": 7}, {"score": 9.0}, (9.0,))
    strange = replace(pushed, job_id="STRANG", key=1000, hyperparameters={"lr": 5}, values=(99.0,))
    experiment.ended[:0] = [pushed, strange]
    made = _suggestion(experiment, 6)
    assert (made.parent, made.hyperparameters["n"]) == ("PUSHED", 7)
    assert _suggestion(experiment, 4).state == {"member": 0}


def test_a_restart_changes_nothing() -> None:
    ways = []
    for rebuild in (False, True):
        definition = _define(population=4, generations=6)
        experiment, algorithm = Experiment(definition), Pbt(definition)
        for number in range(24):
            algorithm = Pbt(definition) if rebuild else algorithm
            job = experiment.make(number, algorithm)
            if len(experiment.pending) == 3 or number < 4:
                oldest = experiment.pending[0]
                experiment.end(oldest, {"score": -abs(oldest.hyperparameters["lr"] - 0.5)})
            assert job.state["member"] in range(4)
        ways.append(experiment.ended)
    assert ways[0] == ways[1]


def _by_hand(**options: Any) -> Any:
    options = {"explore": {"lr": {"perturb": {}}}, **options}
    return define({}, objectives=[{"result": "score", "direction": "maximize"}], options=options)


def _pushed(key: int, score: float | None, **hyperparameters: Any) -> Trial:
    values = None if score is None else (score,)
    return Trial(f"P{key:05}", None, 2**32 + key, "DONE", hyperparameters, {"score": score}, values)


class TestMembersPushedByHand:
    def test_each_has_a_successor_without_end(self) -> None:
        ended = [_pushed(key, float(key), lr=0.1 * key, layers=3, kind="a") for key in range(1, 6)]
        algorithm = Pbt(_by_hand())
        assert algorithm.suggest(0, History([], [])) == NotYet(for_pushed=True)
        for number, parent in enumerate(ended):
            made = algorithm.suggest(number, History(ended[: number + 1], []))
            assert isinstance(made, Suggestion)
            assert (made.generation, made.state) == (2, {"member": parent.key})
            assert made.hyperparameters.keys() == {"lr", "layers", "kind"}
        assert algorithm.suggest(5, History(ended, [])) == NotYet(for_pushed=True)

    def test_a_bad_one_goes_on_from_a_good_one_and_changes_in_its_own_type(self) -> None:
        ended = [_pushed(1, 9.0, lr=0.1, layers=1), _pushed(2, 0.0, lr=0.5, layers=7)]
        for seed in range(9):
            definition = _by_hand(explore={"lr": {"perturb": {}}, "layers": {"perturb": {}}, "none": {"perturb": {}}})
            made = Pbt(definition.model_copy(update={"seed": seed})).suggest(1, History(ended, []))
            assert isinstance(made, Suggestion)
            assert (made.parent, made.results) == (ended[0].job_id, ended[0].results)
            assert 0.08 <= made.hyperparameters["lr"] <= 0.12
            assert made.hyperparameters["layers"] in (0, 2)
            assert type(made.hyperparameters["layers"]) is int

    def test_what_is_no_number_stays(self) -> None:
        for value in ("a", True, None, [1], float("inf"), float("nan"), 10**400):
            ended = [_pushed(1, 9.0, lr=value), _pushed(2, 0.0, lr=0.5)]
            made = Pbt(_by_hand()).suggest(1, History(ended, []))
            assert isinstance(made, Suggestion)
            assert made.hyperparameters["lr"] is value

    def test_one_that_crashed_goes_on_by_itself_while_nobody_has_a_result(self) -> None:
        crashed = replace(_pushed(1, None, lr=0.5), status="CRASHED", results={})
        made = Pbt(_by_hand()).suggest(0, History([crashed], []))
        assert made == Suggestion({"lr": 0.5}, generation=2, state={"member": crashed.key})

    @pytest.mark.parametrize("population", [None, 2])
    def test_they_end_at_the_last_generation(self, population: int | None) -> None:
        size = {} if population is None else {"population_size": population}
        algorithm = Pbt(_by_hand(max_generations=3, **size))
        ended = [_pushed(key, float(key), lr=0.5) for key in (1, 2)]
        for number in range(4):
            made = algorithm.suggest(number, History(ended, []))
            assert isinstance(made, Suggestion)
            assert made.generation == 2 + number // 2
            ended.append(
                trial(number, status="DONE", values=(1.0,), hyperparameters=made.hyperparameters, state=made.state)
            )
            ended[-1] = replace(ended[-1], generation=made.generation)
        over = Exhausted("All 2 members have come to generation 3.")
        assert algorithm.suggest(4, History(ended, [])) == over
        if population is None:
            assert algorithm.suggest(4, History(ended, [_pushed(3, None, lr=1.0)])) == NotYet(for_pushed=True)


def test_without_a_limit_the_generations_go_on() -> None:
    definition = define(SPACE, objectives=[{"result": "score", "direction": "maximize"}])
    check_definition("pbt", definition)
    experiment, algorithm = Experiment(definition), Pbt(definition)
    for number in range(200):
        if number >= 20:
            oldest = experiment.pending[0]
            experiment.end(oldest, {"score": oldest.hyperparameters["lr"]})
        experiment.make(number, algorithm)
    assert {job.state["member"] for job in experiment.ended} == set(range(20))
    assert max(job.generation or 0 for job in experiment.ended) >= 9


@pytest.mark.parametrize(
    ("distribution", "number", "wanted"),
    [
        (Uniform(0, 1), 1.1, 1),
        (LogUniform(0.1, 1), 0.01, 0.1),
        (Int(1, 9), 4.6, 5),
        (Int(1, 9), 11.0, 9),
        (QUniform(0, 1, 0.1), 0.33, 0.3),
        (QUniform(0, 1, 0.1), 7, 1.0),
        (Normal(0, 1), -77.5, -77.5),
        (LogNormal(0, 1), 0.5, 0.5),
        (LogNormal(0, 1), 0.0, sys.float_info.min),
    ],
)
def test_the_nearest_value_lies_in_the_distribution(distribution: Numeric, number: float, wanted: float) -> None:
    assert distribution.nearest(number) == wanted
    assert distribution.rank(distribution.nearest(number)) is not None


@pytest.mark.parametrize(
    ("distribution", "number", "factor", "wanted"),
    [
        (Int(0, 9), 0, 1.1, 1),
        (Int(0, 9), 1, 1.1, 2),
        (Int(0, 9), 2, 1.1, 3),
        (Int(0, 9), 2, 0.9, 1),
        (Int(0, 9), 1, 0.9, 0),
        (Int(0, 9), 0, 0.9, 0),
        (Int(0, 9), 9, 1.1, 9),
        (Int(-9, 9), 0, 0.9, -1),
        (Int(-9, 9), -1, 1.1, -2),
        (Int(-9, 9), -1, 0.9, 0),
        (Int(0, 9), 5, 1.0, 5),
        (Int(0, 90), 50, 1.1, 55),
        (Int(0, 10**30), 10**30, 1.2, 10**30),
        (QUniform(0, 1, 0.25), 0.25, 1.1, 0.5),
        (QUniform(0, 1, 0.25), 0.25, 0.9, 0.0),
        (QUniform(0, 1, 0.25), 0, 1.1, 0.25),
        (QUniform(0, 1, 0.25), 1, 1.1, 1.0),
        (QUniform(0.2, 1, 0.3), 0.2, 0.9, 0.2),
        (QUniform(0.2, 1, 0.3), 0.8, 0.9, 0.5),
        (Uniform(0, 1), 0.5, 1.1, 0.55),
        (Uniform(0, 1), 1, 1.1, 1),
        (Normal(0, 1e300), 1.7e308, 1.2, sys.float_info.max),
        (LogNormal(0, 1), 1.7e308, 1.2, sys.float_info.max),
    ],
)
def test_a_perturbed_value_moves_at_least_one_step(
    distribution: Numeric, number: float, factor: float, wanted: float
) -> None:
    scaled = distribution.scaled(number, factor)
    assert scaled == pytest.approx(wanted)
    assert distribution.rank(scaled) is not None
    assert type(scaled) is type(distribution.at(0.5)) or scaled == number


def test_small_integers_are_explored_both_ways() -> None:
    definition = define(
        {"layers": {"int": {"low": 0, "high": 4}}},
        objectives=[{"result": "score", "direction": "maximize"}],
        options={"population_size": 8, "max_generations": 10, "explore": {"layers": {"perturb": {}}}},
    )
    experiment, algorithm = Experiment(definition), Pbt(definition)
    for number in range(80):
        if number >= 8:
            oldest = experiment.pending[0]
            experiment.end(oldest, {"score": oldest.hyperparameters["layers"]})
        experiment.make(number, algorithm)
    changes = {
        (parent.hyperparameters["layers"], child.hyperparameters["layers"])
        for child in experiment.ended
        for parent in experiment.ended
        if child.parent == parent.job_id
    }
    assert {(3, 4), (4, 3)} <= changes or {(2, 3), (3, 2)} <= changes, changes


def test_the_toy_problem_is_solved_together_and_not_alone() -> None:
    assert pbt_toy.alone() < 1.1
    assert 1.19 < pbt_toy.together() <= 1.2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"exploit": {"truncat": {}}}, "exploit: there is no strategy 'truncat'. Did you mean 'truncate'?"),
        ({"exploit": {}}, 'exploit: a strategy is an object with one name, as {"truncate": {}}.'),
        ({"exploit": {"truncate": 1}}, "truncate takes a JSON object with proportion, not 1."),
        ({"exploit": {"truncate": {"share": 1}}}, "truncate has no 'share'; it takes proportion."),
        ({"exploit": {"truncate": {"proportion": 0.6}}}, "'proportion' is more than 0 and at most 0.5, not 0.6"),
        ({"exploit": {"truncate": {"proportion": "a"}}}, "'proportion' is a finite number, not 'a'"),
        ({"explore": {"lrr": {"perturb": {}}}}, "explore: there is no hyperparameter 'lrr'. Did you mean 'lr'?"),
        ({"explore": {"lr": {"pertub": {}}}}, "explore: lr: .* no strategy 'pertub'. Did you mean 'perturb'?"),
        ({"explore": {"c": {"perturb": {}}}}, "explore: c is a choice; only numbers are perturbed."),
        ({"explore": {"lr": {"perturb": {"min_factor": 2}}}}, r"'min_factor' \(2\) is at least 0 and at most"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    definition = define(
        {**SPACE, "c": {"choice": {"values": [1, 2]}}},
        objectives=[{"result": "score", "direction": "maximize"}],
        options={"population_size": 2, "max_generations": 2, **options},
    )
    with pytest.raises(InvalidValueError, match=message):
        check_definition("pbt", definition)


def test_strategies_come_back_from_json() -> None:
    for exploit in (pbt.Truncate(), pbt.Truncate(proportion=0.3)):
        assert pbt.exploit_from_json(exploit.to_json()) == exploit
    for explore in (pbt.Perturb(), pbt.Perturb(min_factor=0.5, max_factor=2)):
        assert pbt.explore_from_json(explore.to_json()) == explore
    assert pbt.Truncate(0.3).to_json() == {"truncate": {"proportion": 0.3}}
    assert (pbt.MINIMIZE, pbt.MAXIMIZE) == ("minimize", "maximize")
