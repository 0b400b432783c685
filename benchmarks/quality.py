"""How good the points are that Schedy's searches propose, beside others; and what a suggestion costs.

``python -m benchmarks.quality`` holds each algorithm against the sampler of Optuna that it is, and with `--field` it
holds `auto` against the field, see `benchmarks.field.comparison`. Jobs are simulated: 8 workers, each job lasts a
random time by seed, and all sides get the same times.
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import optuna
from scipy.stats import mannwhitneyu

from benchmarks import pbt_toy
from benchmarks.field import comparison, pruning
from benchmarks.field.problems import Task, basic_tasks, uniform
from benchmarks.field.simulation import simulate
from benchmarks.field.tools import SAMPLERS, Optuna, Schedy, define
from benchmarks.figures import median
from schedy_store.search.catalogue import make_algorithm
from schedy_store.search.protocol import Algorithm, History, Suggestion, Trial

JOBS = 100
SIGNIFICANT = 0.05


def best_by_schedy(
    scheduler: str, task: Task, seed: int, *, jobs: int = JOBS, algorithm: Algorithm | None = None
) -> float:
    """Return the best value after so many jobs."""
    return simulate(task, seed, jobs, Schedy(scheduler, task, seed, jobs, algorithm=algorithm))[-1]


def best_by_optuna(scheduler: str, task: Task, seed: int, *, jobs: int = JOBS) -> float:
    """Return the best value after so many jobs."""
    return simulate(task, seed, jobs, Optuna(scheduler, task, seed))[-1]


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
    sampler = scheduler if scheduler in SAMPLERS else comparison.DEFAULT
    theirs = [best_by_optuna(sampler, task, seed, jobs=jobs) for seed in range(seeds)]
    chance = float(mannwhitneyu(ours, theirs, alternative="greater").pvalue)
    return Comparison(f"{scheduler}, {task.name}", ours, theirs, chance)


def suggestion_ms(scheduler: str, *, ended: int, parameters: int, rounds: int) -> float:
    """Return the median time of a suggestion when so many jobs have ended, in milliseconds."""
    space = {f"x{place}": uniform(0, 1) for place in range(parameters)}
    definition = define(Task("", space, lambda _values: 0.0), 1)
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
    parser.add_argument(
        "--field", type=Path, metavar="FOLDER", help="`auto` beside others, with the runs that are kept there"
    )
    parser.add_argument("--tools", default=",".join(comparison.TOOLS), help="those of the field, separated by commas")
    parser.add_argument("--pruning", type=Path, metavar="FOLDER", help="what pruners save, with the runs kept there")
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="where plots of the field are written")
    options = parser.parse_args()
    if options.pruning is not None:
        lines = pruning.lines(options.pruning, options.seeds)
    elif options.field is None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.simplefilter("ignore")
        lines = quality_lines(seeds=options.seeds, jobs=options.jobs)
    else:
        field = comparison.Field(options.field, options.tools.split(","), options.seeds, options.jobs)
        lines = field.table()
        if options.plots is not None:
            field.plot(options.plots)
    for line in lines:
        print(line, flush=True)


if __name__ == "__main__":
    main()
