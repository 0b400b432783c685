"""How good the points are that Schedy's searches propose, beside Optuna's ask and tell; and what a suggestion costs.

Jobs are simulated: 8 workers, each job lasts a random time by seed, and both sides get the same times. Schedy makes
jobs ahead of demand where the service does; Optuna is asked when a worker is free.
"""

import argparse
import heapq
import math
import random
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import optuna
from optuna.samplers import BaseSampler, CmaEsSampler, RandomSampler, TPESampler
from scipy.stats import mannwhitneyu

from benchmarks import pbt_toy
from benchmarks.figures import median
from benchmarks.problems import Task, basic_tasks, tasks, uniform
from schedy.search.algorithms import ALGORITHMS
from schedy.search.definition import Definition, read_definition
from schedy_store.search.catalogue import make_algorithm
from schedy_store.search.optuna.space import Axes
from schedy_store.search.protocol import Algorithm, History, Suggestion, Trial

WORKERS = 8
JOBS = 100
SIGNIFICANT = 0.05


SAMPLERS: dict[str, Callable[[int], BaseSampler]] = {
    "random": lambda seed: RandomSampler(seed=seed),
    "tpe": lambda seed: TPESampler(seed=seed),
    "cmaes": lambda seed: CmaEsSampler(seed=seed),
}
DEFAULT_SAMPLER = "tpe"
"""Optuna's, for a study that names none."""


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

    def _end(key: int, loss: float | None) -> None:
        trial = pending.pop(key)
        if loss is None:
            ended.append(replace(trial, status="CRASHED"))
        else:
            ended.append(replace(trial, status="DONE", results={"loss": loss}, values=(loss,)))

    return _simulate(task, seed, jobs, _begin, _end)


def best_by_optuna(scheduler: str, task: Task, seed: int, *, jobs: int = JOBS) -> float:
    """Return the best value after so many jobs."""
    definition = define(task.space, seed)
    axes = Axes(definition.space(), definition.hyperparameters)
    study = optuna.create_study(sampler=SAMPLERS[scheduler](seed))
    asked: dict[int, optuna.Trial] = {}

    def _begin(key: int) -> Mapping[str, Any]:
        asked[key] = study.ask()
        return axes.draw(asked[key]._suggest)

    def _end(key: int, loss: float | None) -> None:
        state = optuna.trial.TrialState.FAIL if loss is None else optuna.trial.TrialState.COMPLETE
        study.tell(asked.pop(key), loss, state)

    return _simulate(task, seed, jobs, _begin, _end)


def _simulate(
    task: Task,
    seed: int,
    jobs: int,
    begin: Callable[[int], Mapping[str, Any]],
    end: Callable[[int, float | None], object],
) -> float:
    """Run jobs on workers; `begin` gives the hyperparameters of a job, `end` is told its loss, None of a crash.

    Returns the best loss without noise.
    """
    lasting = random.Random(seed)  # noqa: S311 - nothing secret
    times = [lasting.uniform(0.5, 1.5) for _ in range(jobs)]
    running: list[tuple[float, int, float | None]] = []
    best, now = math.inf, 0.0
    for key in range(jobs):
        if len(running) == WORKERS:
            now, done, told = heapq.heappop(running)
            end(done, told)
        values = begin(key)
        told = None
        if not task.crashes(values):
            loss = task.loss(values)
            best = min(best, loss)
            told = loss + task.noise * lasting.gauss(0, 1)
        heapq.heappush(running, (now + times[key], key, told))
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
    sampler = scheduler if scheduler in SAMPLERS else DEFAULT_SAMPLER
    theirs = [best_by_optuna(sampler, task, seed, jobs=jobs) for seed in range(seeds)]
    chance = float(mannwhitneyu(ours, theirs, alternative="greater").pvalue)
    return Comparison(f"{scheduler}, {task.name}", ours, theirs, chance)


def holm(chances: Sequence[float]) -> list[float]:
    """Return the chances corrected for their number, by Holm's method (1979)."""
    order = sorted(range(len(chances)), key=chances.__getitem__)
    corrected, highest = [0.0] * len(chances), 0.0
    for place, index in enumerate(order):
        highest = max(highest, min(1.0, chances[index] * (len(chances) - place)))
        corrected[index] = highest
    return corrected


def field_lines(*, seeds: int, jobs: int) -> Iterator[str]:
    """Yield a table of `auto` beside Optuna's default on all problems, as Markdown.

    `better` and `worse` are chances that such a difference is by luck, one-sided and corrected for their number.
    """
    rows = []
    for task in tasks():
        found = compare("auto", task, seeds=seeds, jobs=jobs)
        better = float(mannwhitneyu(found.schedy, found.optuna, alternative="less").pvalue)
        rows.append((task.name, found, better))
        print(f"{task.name:28}{_spread(found.schedy):>34}{_spread(found.optuna):>34}{better:8.4f}", file=sys.stderr)
    betters = holm([better for _name, _found, better in rows])
    worses = holm([found.chance for _name, found, _better in rows])
    yield f"| problem ({seeds} seeds, {jobs} jobs, {WORKERS} workers) | `auto` | Optuna's default | better | worse | |"
    yield "|---|---|---|---|---|---|"
    for (name, found, _), better, worse in zip(rows, betters, worses, strict=True):
        verdict = "better" if better < SIGNIFICANT else "worse" if worse < SIGNIFICANT else ""
        yield f"| {name} | {_spread(found.schedy)} | {_spread(found.optuna)} | {better:.3f} | {worse:.3f} | {verdict} |"


def suggestion_ms(scheduler: str, *, ended: int, parameters: int, rounds: int) -> float:
    """Return the median time of a suggestion when so many jobs have ended, in milliseconds."""
    definition = define({f"x{place}": uniform(0, 1) for place in range(parameters)}, 1)
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
    for scheduler in ("auto", *SAMPLERS):
        for task in basic_tasks():
            found = compare(scheduler, task, seeds=seeds, jobs=jobs)
            cells = f"{_spread(found.schedy):>30}{_spread(found.optuna):>30}"
            yield f"{found.name:28}{cells}{found.chance:8.3f}  {found.verdict}"
    both, one = pbt_toy.together(), pbt_toy.alone()
    yield f"{'pbt, toy problem':28}{both:>30.4f}{'':>38}  without exploit and explore {one:.4f}; the best is 1.2"


def _spread(values: Sequence[float]) -> str:
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.4f} ({low:.4f}, {high:.4f})"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--jobs", type=int, default=JOBS)
    parser.add_argument("--field", action="store_true", help="`auto` beside Optuna's default on all problems")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    lines = field_lines if options.field else quality_lines
    for line in lines(seeds=options.seeds, jobs=options.jobs):
        print(line, flush=True)


if __name__ == "__main__":
    main()
