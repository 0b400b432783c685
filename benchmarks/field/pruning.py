"""What early stopping saves: simulated time until the best known loss is nearly reached, with 8 workers.

A job takes steps, each as long as the others of the job, and reports its loss after each; the pruner is asked each
time. Schedy's `auto` beside Optuna's default, each with no pruner and with the same ones.
"""

import heapq
import itertools
import math
import random
import statistics
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import optuna
from optuna.samplers import TPESampler
from optuna.trial import TrialState
from sklearn.linear_model import SGDClassifier
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from benchmarks.field.kept import Run, made
from benchmarks.field.problems import Values, choice, digits, integer, log
from benchmarks.field.simulation import WORKERS
from schedy.search.definition import Definition, read_definition
from schedy_store.search.catalogue import make_algorithm, make_pruner
from schedy_store.search.optuna.space import Axes
from schedy_store.search.protocol import History, Suggestion, Trial

STEPS = 27
_JOBS_IN_TIME = 40
"""Without a pruner so many jobs end on average."""
_NEAR = 1.01
_LEARNED = 120
_LEAST_LIKELY = 1e-15
PRUNERS: dict[str, dict[str, Any] | None] = {"none": None, "median": {"median": {}}, "asha": {"asha": {}}}
_OPTUNAS: dict[str, Callable[[], optuna.pruners.BasePruner]] = {
    "none": optuna.pruners.NopPruner,
    "median": optuna.pruners.MedianPruner,
    "asha": optuna.pruners.SuccessiveHalvingPruner,
}
_SIDES = {"auto": "`auto`", "tpe": "Optuna's default"}


@dataclass(frozen=True, slots=True)
class Trained:
    """Something to train: `curve` yields the loss after each step."""

    name: str
    space: Mapping[str, Any]
    curve: Callable[[Values], Iterator[float]]


class Side(Protocol):
    """A search with a pruner."""

    def ask(self, key: int) -> Mapping[str, Any]:
        """Return the hyperparameters of job `key`."""

    def report(self, key: int, step: int, loss: float) -> bool:
        """Note the loss of a job after a step; return whether to prune it."""

    def tell(self, key: int, loss: float, *, is_pruned: bool) -> None:
        """Note that a job has ended with this loss."""


def problems() -> list[Trained]:
    """All of them: networks and linear models, trained step by step."""
    network = {
        "width": {"int": {"low": 4, "high": 64, "log": True}},
        "rate": log(1e-4, 0.3),
        "alpha": log(1e-6, 1),
        "batch": integer(8, 64),
        "activation": choice("relu", "tanh", "logistic"),
    }
    linear = {"rate": log(1e-5, 1), "alpha": log(1e-7, 0.1), "mix": {"uniform": {"low": 0, "high": 1}}}
    return [Trained("network on digits", network, _network), Trained("linear model on digits", linear, _linear)]


def _network(values: Values) -> Iterator[float]:
    machine = MLPClassifier(
        (values["width"],),
        activation=values["activation"],
        alpha=values["alpha"],
        learning_rate_init=values["rate"],
        batch_size=values["batch"],
        random_state=0,
    )
    return _trained(machine)


def _linear(values: Values) -> Iterator[float]:
    machine = SGDClassifier(
        loss="log_loss",
        penalty="elasticnet",
        l1_ratio=values["mix"],
        alpha=values["alpha"],
        learning_rate="constant",
        eta0=values["rate"],
        random_state=0,
    )
    return _trained(machine)


def _trained(machine: Any) -> Iterator[float]:
    data, target = digits()
    for _step in range(STEPS):
        machine.partial_fit(data[:_LEARNED], target[:_LEARNED], classes=np.arange(10))
        likely = machine.predict_proba(data[_LEARNED:])[np.arange(len(data) - _LEARNED), target[_LEARNED:]]
        yield float(-np.log(np.maximum(likely, _LEAST_LIKELY)).mean())


def simulate(problem: Trained, side: Side, seed: int) -> list[tuple[float, float]]:
    """Return when the best loss of all steps got better, in steps of a mean job, and what it was then."""
    lasting = random.Random(seed)  # noqa: S311 - nothing secret
    until = _JOBS_IN_TIME * STEPS / WORKERS
    keys = itertools.count()
    curves: dict[int, Iterator[tuple[int, float]]] = {}
    events: list[tuple[float, int, float]] = []

    def _begin(now: float) -> None:
        key, pace = next(keys), lasting.uniform(0.5, 1.5)
        curves[key] = enumerate(problem.curve(side.ask(key)), 1)
        heapq.heappush(events, (now + pace, key, pace))

    for _worker in range(WORKERS):
        _begin(0.0)
    best: list[tuple[float, float]] = []
    while events[0][0] <= until:
        now, key, pace = heapq.heappop(events)
        step, loss = next(curves[key])
        if not best or loss < best[-1][1]:
            best.append((round(now, 3), round(loss, 6)))
        is_pruned = side.report(key, step, loss) and step < STEPS
        if is_pruned or step == STEPS:
            side.tell(key, loss, is_pruned=is_pruned)
            _begin(now)
        else:
            heapq.heappush(events, (now + pace, key, pace))
    return best


def _define(problem: Trained, seed: int, pruner: str) -> Definition:
    settings = {"hyperparameters": dict(problem.space), "seed": seed}
    settings["objectives"] = [{"result": "loss", "direction": "minimize"}]
    if PRUNERS[pruner] is not None:
        settings["pruner"] = PRUNERS[pruner]
    return read_definition(settings)


class _Schedy:
    def __init__(self, problem: Trained, seed: int, pruner: str) -> None:
        definition = _define(problem, seed, pruner)
        self._algorithm, self._pruner = make_algorithm("auto", definition), make_pruner(definition)
        self._ended: list[Trial] = []
        self._pending: dict[int, Trial] = {}

    def ask(self, key: int) -> Mapping[str, Any]:
        made = self._algorithm.suggest(key, History(self._ended, list(self._pending.values())))
        assert isinstance(made, Suggestion)
        self._pending[key] = Trial(f"J{key:05}", key, key, "RUNNING", made.hyperparameters, {}, None, state=made.state)
        return made.hyperparameters

    def report(self, key: int, step: int, loss: float) -> bool:
        trial = self._pending[key]
        self._pending[key] = trial = replace(trial, curve={**trial.curve, step: loss})
        if self._pruner is None:
            return False
        verdict, state = self._pruner.prune(trial, History(self._ended, list(self._pending.values())))
        self._pending[key] = replace(trial, state=state)
        return verdict

    def tell(self, key: int, loss: float, *, is_pruned: bool) -> None:
        trial, values = self._pending.pop(key), None if is_pruned else (loss,)
        self._ended.append(replace(trial, status="PRUNED" if is_pruned else "DONE", values=values))


class _Optuna:
    def __init__(self, problem: Trained, seed: int, pruner: str) -> None:
        definition = _define(problem, seed, pruner)
        self._axes = Axes(definition.space(), definition.hyperparameters)
        self._study = optuna.create_study(sampler=TPESampler(seed=seed), pruner=_OPTUNAS[pruner]())
        self._asked: dict[int, optuna.Trial] = {}

    def ask(self, key: int) -> Mapping[str, Any]:
        self._asked[key] = self._study.ask()
        return self._axes.draw(self._asked[key]._suggest)

    def report(self, key: int, step: int, loss: float) -> bool:
        self._asked[key].report(loss, step)
        return self._asked[key].should_prune()

    def tell(self, key: int, loss: float, *, is_pruned: bool) -> None:
        trial = self._asked.pop(key)
        self._study.tell(trial, None if is_pruned else loss, TrialState.PRUNED if is_pruned else TrialState.COMPLETE)


def lines(folder: Path, seeds: int) -> Iterator[str]:
    """Yield a table as Markdown: the time until the best known loss was reached but for 1 %, by problem and pruner."""
    names = [problem.name for problem in problems()]
    tools = [f"{side}-{pruner}" for pruner in PRUNERS for side in _SIDES]
    wanted = [(tool, name, seed) for seed in range(seeds) for name in names for tool in tools]
    found = made(folder, wanted, _run, is_enough=bool)
    heads = [f"problem ({seeds} seeds, {WORKERS} workers)", "pruner", *_SIDES.values()]
    yield f"| {' | '.join(heads)} |"
    yield "|---" * len(heads) + "|"
    for name in names:
        known = min(run[-1][1] for (_tool, problem, _seed), run in found.items() if problem == name)
        for pruner in PRUNERS:
            times = (
                [_reached(found[f"{side}-{pruner}", name, seed], _NEAR * known) for seed in range(seeds)]
                for side in _SIDES
            )
            yield f"| {' | '.join([name, pruner, *map(_spread, times)])} |"


def _run(run: Run) -> list[tuple[float, float]]:
    tool, name, seed = run
    side, pruner = tool.split("-")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    problem = next(each for each in problems() if each.name == name)
    with threadpool_limits(1):
        made_by = _Schedy if side == "auto" else _Optuna
        return simulate(problem, made_by(problem, seed, pruner), seed)


def _reached(best: Sequence[tuple[float, float]], wanted: float) -> float:
    return next((time for time, loss in best if loss <= wanted), math.inf)


def _spread(times: Sequence[float]) -> str:
    """Return the median of the times, and how many there are."""
    there = sum(map(math.isfinite, times))
    middle = statistics.median(times)
    return f"{middle:.0f} ({there} of {len(times)})" if math.isfinite(middle) else f"- ({there} of {len(times)})"
