"""Searches that are asked for points and told of losses: Schedy's algorithms, Optuna's samplers, and Nevergrad's."""

import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
from optuna.samplers import BaseSampler, CmaEsSampler, RandomSampler, TPESampler
from optuna.trial import TrialState

from benchmarks.field.problems import Task
from benchmarks.field.simulation import WORKERS
from benchmarks.peers.pushes import PYTHON
from schedy.search.algorithms import ALGORITHMS
from schedy.search.definition import Definition, read_definition
from schedy_store.search.catalogue import make_algorithm
from schedy_store.search.gaussian.cube import Floats
from schedy_store.search.optuna.space import Axes
from schedy_store.search.protocol import Algorithm, History, Suggestion, Trial

_VIOLATION = "violation"
_NEVERGRAD = Path(__file__).parent.parent / "peers" / "nevergrad_peer.py"


def define(task: Task, seed: int) -> Definition:
    """Return a problem as Schedy's algorithms get it."""
    constraints = [] if task.violation is None else [{"result": _VIOLATION, "at_most": 0}]
    objective = {"result": "loss", "direction": "minimize"}
    space = dict(task.space)
    return read_definition(
        {"hyperparameters": space, "objectives": [objective], "constraints": constraints, "seed": seed}
    )


class Schedy:
    """An algorithm of Schedy. Jobs are made ahead where the service does so with one worker, or as many as `ahead`."""

    def __init__(
        self,
        name: str,
        task: Task,
        seed: int,
        jobs: int,
        *,
        algorithm: Algorithm | None = None,
        ahead: int | None = None,
    ) -> None:
        self._algorithm = algorithm or make_algorithm(name, define(task, seed))
        self._is_constrained = task.violation is not None
        self._ahead = ALGORITHMS[name].ready if ahead is None else ahead
        self._jobs = jobs
        self._ended: list[Trial] = []
        self._pending: dict[int, Trial] = {}

    def ask(self, key: int) -> Mapping[str, Any]:
        for later in range(max(self._pending, default=key - 1) + 1, min(key + self._ahead, self._jobs - 1) + 1):
            self._make(later)
        return self._pending[key].hyperparameters

    def tell(self, key: int, loss: float | None, violation: float) -> None:
        trial = self._pending.pop(key)
        violations = (violation,) if self._is_constrained else ()
        if loss is None:
            self._ended.append(replace(trial, status="CRASHED"))
        else:
            ended = replace(trial, status="DONE", results={"loss": loss}, values=(loss,), violations=violations)
            self._ended.append(ended)

    def _make(self, key: int) -> None:
        made = self._algorithm.suggest(key, History(self._ended, list(self._pending.values())))
        assert isinstance(made, Suggestion)
        self._pending[key] = Trial(f"J{key:05}", key, key, "QUEUED", made.hyperparameters, {}, None, state=made.state)


SAMPLERS: dict[str, Callable[[int], BaseSampler]] = {
    "random": lambda seed: RandomSampler(seed=seed),
    "tpe": lambda seed: TPESampler(seed=seed),
    "cmaes": lambda seed: CmaEsSampler(seed=seed),
}


class Optuna:
    """A sampler of Optuna, by ask and tell. One that knows no constraints is told of a failure."""

    def __init__(self, name: str, task: Task, seed: int) -> None:
        definition = define(task, seed)
        self._axes = Axes(definition.space(), definition.hyperparameters)
        self._knows_constraints = name == "tpe"
        self._study = optuna.create_study(sampler=SAMPLERS[name](seed))
        self._asked: dict[int, optuna.Trial] = {}

    def ask(self, key: int) -> Mapping[str, Any]:
        self._asked[key] = self._study.ask()
        return self._axes.draw(self._asked[key]._suggest)

    def tell(self, key: int, loss: float | None, violation: float) -> None:
        trial = self._asked.pop(key)
        if self._knows_constraints:
            trial.set_constraint(_VIOLATION, violation)
        if loss is None or (violation > 0 and not self._knows_constraints):
            self._study.tell(trial, None, TrialState.FAIL)
        else:
            self._study.tell(trial, loss, TrialState.COMPLETE)


class Nevergrad:
    """NGOpt, which chooses among its methods by rules, in the environment of the peers. It is told the budget."""

    def __init__(self, task: Task, seed: int, jobs: int) -> None:
        self._space = define(task, seed).space()
        self._process = subprocess.Popen([PYTHON, _NEVERGRAD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        axes = {name: distribution.to_json() for name, distribution in self._space.parameters.items()}
        self._say({"axes": axes, "seed": seed, "jobs": jobs, "workers": WORKERS})

    def ask(self, key: int) -> Mapping[str, Any]:
        self._say({"ask": key})
        assert self._process.stdout is not None
        values = json.loads(self._process.stdout.readline())
        return self._space.draw(lambda name, _distribution: values[name])

    def tell(self, key: int, loss: float | None, violation: float) -> None:
        self._say({"tell": key, "loss": loss, "violation": violation})

    def close(self) -> None:
        """End its process."""
        self._process.communicate()

    def _say(self, message: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()


class Unwarped:
    """Losses as they are, but for their mean and deviation, as a Gaussian process may see them instead of warped."""

    def __init__(self, losses: Floats) -> None:
        self._mean, self._deviation = float(losses.mean()), float(losses.std()) or 1.0

    def of(self, losses: Floats) -> Floats:
        standard: Floats = (losses - self._mean) / self._deviation
        return standard

    def undone(self, warped: float) -> float:
        return warped * self._deviation + self._mean
