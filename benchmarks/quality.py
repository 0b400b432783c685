"""How good the points are that Schedy's searches propose, beside Optuna's ask and tell; and what a suggestion costs.

Jobs are simulated: 8 workers, each job lasts a random time by seed, and both sides get the same times. Schedy makes
jobs ahead of demand where the service does; Optuna is asked when a worker is free.
"""

import heapq
import math
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import optuna
from optuna.samplers import BaseSampler, CmaEsSampler, RandomSampler, TPESampler
from scipy.stats import mannwhitneyu
from sklearn.datasets import load_diabetes
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from benchmarks import pbt_toy
from benchmarks.figures import median
from schedy.search.algorithms import ALGORITHMS
from schedy.search.definition import Definition, read_definition
from schedy_store.search.catalogue import make_algorithm
from schedy_store.search.optuna.space import Axes
from schedy_store.search.protocol import Algorithm, History, Suggestion, Trial

Loss = Callable[[Mapping[str, Any]], float]
WORKERS = 8
JOBS = 100
SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True)
class Task:
    """Something to minimize."""

    name: str
    space: Mapping[str, Any]
    loss: Loss


def branin(values: Mapping[str, Any]) -> float:
    x, y = values["x"], values["y"]
    bent = y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6
    return float(bent**2) + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10


_HARTMANN_A = (
    (10, 3, 17, 3.5, 1.7, 8),
    (0.05, 10, 17, 0.1, 8, 14),
    (3, 3.5, 1.7, 10, 17, 8),
    (17, 8, 0.05, 10, 0.1, 14),
)
_HARTMANN_P = (
    (0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886),
    (0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991),
    (0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650),
    (0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381),
)


def hartmann(values: Mapping[str, Any]) -> float:
    x = [values[f"x{place}"] for place in range(6)]
    total = 0.0
    for weight, scales, centre in zip((1.0, 1.2, 3.0, 3.2), _HARTMANN_A, _HARTMANN_P, strict=True):
        total -= weight * math.exp(-sum(a * (b - c) ** 2 for a, b, c in zip(scales, x, centre, strict=True)))
    return total


def rastrigin(values: Mapping[str, Any]) -> float:
    return float(sum(x**2 - 10 * math.cos(2 * math.pi * x) + 10 for x in values.values()))


def diabetes_error() -> Loss:
    """Return the squared error of a support vector regression, cross-validated, in variances of the target."""
    data, target = load_diabetes(return_X_y=True)
    data, target = data[:150], target[:150] / target[:150].std()

    def _error(values: Mapping[str, Any]) -> float:
        machine = SVR(C=values["c"], gamma=values["gamma"], epsilon=values["epsilon"])
        model = make_pipeline(StandardScaler(), machine)
        return -float(cross_val_score(model, data, target, cv=3, scoring="neg_mean_squared_error").mean())

    return _error


def _uniform(low: float, high: float) -> dict[str, Any]:
    return {"uniform": {"low": low, "high": high}}


def tasks() -> list[Task]:
    machine = {
        "c": {"loguniform": {"low": 1e-3, "high": 1e3}},
        "gamma": {"loguniform": {"low": 1e-4, "high": 10}},
        "epsilon": {"loguniform": {"low": 1e-3, "high": 2}},
    }
    return [
        Task("Branin", {"x": _uniform(-5, 10), "y": _uniform(0, 15)}, branin),
        Task("Hartmann-6", {f"x{place}": _uniform(0, 1) for place in range(6)}, hartmann),
        Task("Rastrigin-10", {f"x{place}": _uniform(-5.12, 5.12) for place in range(10)}, rastrigin),
        Task("SVR on diabetes", machine, diabetes_error()),
    ]


SAMPLERS: dict[str, Callable[[int], BaseSampler]] = {
    "random": lambda seed: RandomSampler(seed=seed),
    "tpe": lambda seed: TPESampler(seed=seed),
    "cmaes": lambda seed: CmaEsSampler(seed=seed),
}


def define(space: Mapping[str, Any], seed: int) -> Definition:
    objective = {"result": "loss", "direction": "minimize"}
    return read_definition({"hyperparameters": dict(space), "objectives": [objective], "seed": seed})


def best_by_schedy(
    scheduler: str, task: Task, seed: int, *, jobs: int = JOBS, algorithm: Algorithm | None = None
) -> float:
    """Return the best value after so many jobs."""
    algorithm = algorithm or make_algorithm(scheduler, define(task.space, seed))
    ended: list[Trial] = []
    pending: dict[int, Trial] = {}

    def _make(key: int) -> None:
        made = algorithm.suggest(key, History(ended, list(pending.values())))
        assert isinstance(made, Suggestion)
        pending[key] = Trial(f"J{key:05}", key, key, "QUEUED", made.hyperparameters, {}, None, state=made.state)

    ahead = ALGORITHMS[scheduler].ready

    def _begin(key: int) -> Mapping[str, Any]:
        for later in range(max(pending, default=key - 1) + 1, min(key + ahead, jobs - 1) + 1):
            _make(later)
        return pending[key].hyperparameters

    def _end(key: int, loss: float) -> None:
        ended.append(replace(pending.pop(key), status="DONE", results={"loss": loss}, values=(loss,)))

    return _simulate(task, seed, jobs, _begin, _end)


def best_by_optuna(scheduler: str, task: Task, seed: int, *, jobs: int = JOBS) -> float:
    """Return the best value after so many jobs."""
    definition = define(task.space, seed)
    distributions = Axes(definition.space(), definition.hyperparameters).distributions
    study = optuna.create_study(sampler=SAMPLERS[scheduler](seed))
    asked: dict[int, optuna.Trial] = {}

    def _begin(key: int) -> Mapping[str, Any]:
        asked[key] = study.ask(distributions)
        return asked[key].params

    return _simulate(task, seed, jobs, _begin, lambda key, loss: study.tell(asked.pop(key), loss))


def _simulate(
    task: Task, seed: int, jobs: int, begin: Callable[[int], Mapping[str, Any]], end: Callable[[int, float], object]
) -> float:
    """Run jobs on workers; `begin` gives the hyperparameters of a job, `end` is told its loss."""
    lasting = random.Random(seed)  # noqa: S311 - nothing secret
    times = [lasting.uniform(0.5, 1.5) for _ in range(jobs)]
    running: list[tuple[float, int, float]] = []
    best, now = math.inf, 0.0
    for key in range(jobs):
        if len(running) == WORKERS:
            now, done, loss = heapq.heappop(running)
            end(done, loss)
        loss = task.loss(begin(key))
        best = min(best, loss)
        heapq.heappush(running, (now + times[key], key, loss))
    return best


@dataclass(frozen=True, slots=True)
class Comparison:
    """Best values of both by seed, and how likely such a difference is if Schedy is not the worse one."""

    name: str
    schedy: Sequence[float]
    optuna: Sequence[float]
    chance: float

    @property
    def verdict(self) -> str:
        return "WORSE" if self.chance < SIGNIFICANT else "OK"


def compare(scheduler: str, task: Task, *, seeds: int, jobs: int = JOBS) -> Comparison:
    """Minimize with so many seeds on both sides; Optuna's seeds are others."""
    ours = [best_by_schedy(scheduler, task, seed, jobs=jobs) for seed in range(seeds)]
    theirs = [best_by_optuna(scheduler, task, seed, jobs=jobs) for seed in range(seeds)]
    chance = float(mannwhitneyu(ours, theirs, alternative="greater").pvalue)
    return Comparison(f"{scheduler}, {task.name}", ours, theirs, chance)


def suggestion_ms(scheduler: str, *, ended: int, parameters: int, rounds: int) -> float:
    """Return the median time of a suggestion when so many jobs have ended, in milliseconds."""
    definition = define({f"x{place}": _uniform(0, 1) for place in range(parameters)}, 1)
    algorithm = make_algorithm(scheduler, definition)
    drawn = make_algorithm("random", definition)
    trials = [_ended(drawn, key) for key in range(ended)]
    times = []
    for key in range(ended, ended + rounds + 1):
        started = time.perf_counter()
        made = algorithm.suggest(key, History(trials, []))
        times.append(time.perf_counter() - started)
        assert isinstance(made, Suggestion)
        trials.append(_done(key, made))
    return median(times[1:]) * 1000


def _ended(drawn: Algorithm, key: int) -> Trial:
    made = drawn.suggest(key, History([], []))
    assert isinstance(made, Suggestion)
    return _done(key, made)


def _done(key: int, made: Suggestion) -> Trial:
    loss = sum((x - 0.3) ** 2 for x in made.hyperparameters.values())
    return Trial(f"J{key:05}", key, key, "DONE", made.hyperparameters, {"loss": loss}, (loss,), state=made.state)


def quality_lines(*, seeds: int = 30, jobs: int = JOBS) -> Iterator[str]:
    """Yield the part of the table, line by line."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield f"{'QUALITY':28}{'Schedy':>30}{'Optuna':>30}{'p':>8}  ({seeds} seeds; median and quartiles after {jobs} jobs)"
    for scheduler in SAMPLERS:
        for task in tasks():
            found = compare(scheduler, task, seeds=seeds, jobs=jobs)
            cells = f"{_spread(found.schedy):>30}{_spread(found.optuna):>30}"
            yield f"{found.name:28}{cells}{found.chance:8.3f}  {found.verdict}"
    both, one = pbt_toy.together(), pbt_toy.alone()
    yield f"{'pbt, toy problem':28}{both:>30.4f}{'':>38}  without exploit and explore {one:.4f}; the best is 1.2"


def _spread(values: Sequence[float]) -> str:
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.4f} ({low:.4f}, {high:.4f})"


def main(seeds: int = 30) -> None:
    for line in quality_lines(seeds=seeds):
        print(line, flush=True)


if __name__ == "__main__":
    main()
