"""`auto` beside the field: the runs, which take hours and are kept in files, and the tables and plots of them."""

import contextlib
import statistics
import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import optuna
from scipy.stats import mannwhitneyu, rankdata
from threadpoolctl import threadpool_limits

from benchmarks.field.kept import Run, made
from benchmarks.field.problems import tasks
from benchmarks.field.simulation import WORKERS, simulate
from benchmarks.field.tools import Nevergrad, Optuna, Schedy, Unwarped
from schedy_store.search.algorithms import auto
from schedy_store.search.algorithms.random import RandomSearch
from schedy_store.search.gaussian import observed, process

OURS = "auto"
DEFAULT = "tpe"
"""Optuna's, for a study that names no sampler."""
TOOLS = {
    OURS: "`auto`",
    DEFAULT: "Optuna's default",
    "cmaes": "its CMA-ES",
    "random": "random",
    "ngopt": "Nevergrad's NGOpt",
}
AHEAD = {f"{OURS}+{jobs}": f"`{OURS}`, {jobs} ahead" for jobs in (1, 4, 8)}
"""`auto` if each suggestion is made so many jobs before a worker is free for it."""
LEFT_OUT = {
    f"{OURS}-trees": ("without trees", auto, "_TREES_EACH", 10**9),
    f"{OURS}-process": ("without the process", auto, "_MOST_ENDED", -1),
    f"{OURS}-region": ("without the trust region", process, "_LOCAL_EACH", 10**9),
    f"{OURS}-scale": ("without its scale", observed, "Warp", Unwarped),
    f"{OURS}-sobol": ("with a random beginning", auto, "Sobol", RandomSearch),
}
"""`auto` with something left out: in words, and what is put in the place of what."""
_NAMES = TOOLS | AHEAD | {tool: f"`{OURS}` {words}" for tool, (words, *_rest) in LEFT_OUT.items()}
_SHOWN = (100, 300)
_PLOTTED = ("Branin", "Hartmann-6", "BBOB f8, 5-D", "BBOB f15, 5-D", "boosting on diabetes", "MLP on digits, mixed")
_SIGNIFICANT = 0.05

Best = Sequence[float]
"""The best loss of the first 1, 2, ... jobs."""


def holm(chances: Sequence[float]) -> list[float]:
    """Return the chances corrected for their number, by Holm's method (1979)."""
    order = sorted(range(len(chances)), key=chances.__getitem__)
    corrected, highest = [0.0] * len(chances), 0.0
    for place, index in enumerate(order):
        highest = max(highest, min(1.0, chances[index] * (len(chances) - place)))
        corrected[index] = highest
    return corrected


class Field:
    """The runs of some tools on some problems, with so many seeds and jobs, kept in a folder: a file for each tool."""

    def __init__(
        self, folder: Path, tools: Sequence[str], seeds: int, jobs: int, *, problems: Sequence[str] | None = None
    ) -> None:
        """Make the runs that the folder lacks. `problems` are names of `tasks`, by default all."""
        self._tools = list(tools)
        self._seeds, self._jobs = seeds, jobs
        self._problems = problems or [task.name for task in tasks()]
        wanted = [(tool, name, seed) for seed in range(seeds) for name in self._problems for tool in self._tools]
        make = partial(_run, jobs=jobs)
        self._runs = made(folder, wanted, make, is_enough=lambda found: len(found) >= jobs)

    def table(self) -> Iterator[str]:
        """Yield tables as Markdown, a line each: medians and quartiles, and what is better by more than luck."""
        for jobs in (count for count in _SHOWN if count <= self._jobs):
            yield from self._table(jobs)
            yield ""

    def plot(self, folder: Path) -> None:
        """Draw the best value over the jobs, median and quartiles, for some problems."""
        from matplotlib import pyplot  # noqa: PLC0415 - only for those who plot

        figure, axes = pyplot.subplots(2, 3, figsize=(12, 7), layout="constrained")
        numbers = range(1, self._jobs + 1)
        for name, axis in zip(_PLOTTED, axes.flat, strict=True):
            for tool in self._tools:
                bests = zip(*self._bests(tool, name), strict=True)
                low, middle, high = zip(*(statistics.quantiles(each, n=4) for each in bests), strict=True)
                axis.plot(numbers, middle, label=_NAMES[tool].replace("`", ""))
                axis.fill_between(numbers, low, high, alpha=0.15)
            runs = [best for tool in self._tools for best in self._bests(tool, name)]
            lowest, late = min(best[-1] for best in runs), statistics.median(best[10] for best in runs)
            axis.set_ylim(lowest - 0.05 * (late - lowest), late)
            axis.set_title(name)
            axis.set_xlabel("jobs")
        axes.flat[0].legend()
        figure.savefig(folder / "search-quality.png", dpi=100)

    def _table(self, jobs: int) -> Iterator[str]:
        others = [tool for tool in self._tools if tool != OURS]
        chances = {tool: self._chances(tool, jobs) for tool in others}
        ranks = self._mean_ranks(jobs)
        heads = [
            f"problem ({self._seeds} seeds, {jobs} jobs, {WORKERS} workers)",
            *map(_NAMES.__getitem__, self._tools),
        ]
        yield f"| {' | '.join(heads)} |"
        yield "|---" * len(heads) + "|"
        for place, name in enumerate(self._problems):
            cells = [f"{_spread([best[jobs - 1] for best in self._bests(OURS, name)])}"]
            for tool in others:
                values = [best[jobs - 1] for best in self._bests(tool, name)]
                cells.append(_spread(values) + _verdict(*chances[tool][place]))
            yield f"| {' | '.join([name, *cells])} |"
        yield f"| mean rank | {' | '.join(f'{ranks[tool]:.2f}' for tool in self._tools)} |"
        counts = ["", *(self._count(chances[tool]) for tool in others)]
        yield f"| `auto` better, worse | {' | '.join(counts)} |"

    def _count(self, chances: Sequence[tuple[float, float]]) -> str:
        better, worse = (sum(each[side] < _SIGNIFICANT for each in chances) for side in (0, 1))
        return f"{better}, {worse} of {len(chances)}"

    def _chances(self, tool: str, jobs: int) -> list[tuple[float, float]]:
        """Return for each problem how likely it is by luck that `auto` is so much better, and so much worse."""
        sides = []
        for alternative in ("less", "greater"):
            pairs = (
                [[best[jobs - 1] for best in self._bests(each, name)] for each in (OURS, tool)]
                for name in self._problems
            )
            sides.append(holm([float(mannwhitneyu(*pair, alternative=alternative).pvalue) for pair in pairs]))
        return list(zip(*sides, strict=True))

    def _mean_ranks(self, jobs: int) -> dict[str, float]:
        """Return the mean rank of each tool over all problems and seeds, from 1 for the best."""
        bests = [
            [self._runs[tool, name, seed][jobs - 1] for tool in self._tools]
            for name in self._problems
            for seed in range(self._seeds)
        ]
        ranks = map(rankdata, bests)
        return dict(zip(self._tools, (statistics.fmean(each) for each in zip(*ranks, strict=True)), strict=True))

    def _bests(self, tool: str, name: str) -> list[Best]:
        return [self._runs[tool, name, seed] for seed in range(self._seeds)]


def _run(run: Run, jobs: int) -> list[float]:
    """Make one run, in a process of its own."""
    tool, name, seed = run
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    task = next(each for each in tasks() if each.name == name)
    with threadpool_limits(1):
        if tool == "ngopt":
            with contextlib.closing(Nevergrad(task, seed, jobs)) as nevergrad:
                best = simulate(task, seed, jobs, nevergrad)
        else:
            with _left_out(tool):
                own, _plus, ahead = (OURS if tool in LEFT_OUT else tool).partition("+")
                is_ours = own == OURS
                search = Schedy(own, task, seed, jobs, ahead=int(ahead or 0)) if is_ours else Optuna(tool, task, seed)
                best = simulate(task, seed, jobs, search)
    return [float(f"{value:.8g}") for value in best]


@contextlib.contextmanager
def _left_out(tool: str) -> Iterator[None]:
    """Put something else in the place of what a tool of `LEFT_OUT` lacks."""
    if tool not in LEFT_OUT:
        yield
        return
    _words, module, name, instead = LEFT_OUT[tool]
    before = getattr(module, name)
    setattr(module, name, instead)
    try:
        yield
    finally:
        setattr(module, name, before)


def _verdict(better: float, worse: float) -> str:
    if better < _SIGNIFICANT:
        return f"; better, {better:.3f}"
    return f"; worse, {worse:.3f}" if worse < _SIGNIFICANT else ""


def _spread(values: Sequence[float]) -> str:
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.5g} ({low:.5g}, {high:.5g})"
