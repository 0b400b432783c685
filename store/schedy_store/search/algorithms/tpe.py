"""Tree-structured Parzen estimator, with one objective or several, by Optuna.

Jobs that have not ended count as bad ones (constant liar), so that workers do not crowd at one point. Of a long history
the sampler sees the better and the newer part: it takes at most 25 jobs as good ones, and its time grows with the rest.
"""

import heapq
import math
from collections.abc import Callable

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import TPESampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from schedy.search.definition import Definition
from schedy.search.options import TpeOptions
from schedy_store.search.optuna.sampling import OptunaSearch
from schedy_store.search.optuna.storage import directions
from schedy_store.search.protocol import History, Suggestion

MOST_SEEN = 500


class Tpe:
    def __init__(self, definition: Definition, *, most_seen: int = MOST_SEEN) -> None:
        self._options = TpeOptions.read(definition.options)
        self._multivariate = self._options.multivariate
        if self._multivariate is None:
            self._multivariate = definition.objective is not None
        together = (BaseDistribution,) if self._multivariate else ()
        self._search = OptunaSearch(definition, together=together)
        self._select = best_and_newest(directions(definition), most_seen)

    def suggest(self, number: int, history: History) -> Suggestion:
        return self._search.ask(number, history, self._sampler, self._select)

    def _sampler(self, seed: int) -> TPESampler:
        return TPESampler(
            seed=seed,
            n_startup_trials=self._options.startup_jobs,
            n_ei_candidates=self._options.candidates,
            multivariate=self._multivariate,
            warn_independent_sampling=False,
            constant_liar=True,
        )


def best_and_newest(aims: list[StudyDirection], most: int) -> Callable[[list[FrozenTrial]], list[FrozenTrial]]:
    """Return a selection of at most `most` observations: the best half, and of the others those that ended last.

    With several objectives, a smaller sum of the ranks in each of them is better.
    """
    signs = np.array([1.0 if aim is StudyDirection.MINIMIZE else -1.0 for aim in aims])

    def _select(ended: list[FrozenTrial]) -> list[FrozenTrial]:
        seen = [trial for trial in ended if trial.state is not TrialState.FAIL]
        if len(seen) <= most:
            return seen
        losses = _losses(seen, signs)
        best = set(heapq.nsmallest(most // 2, range(len(seen)), key=losses.__getitem__))
        others = [place for place in range(len(seen)) if place not in best]
        return [seen[place] for place in sorted([*best, *others[len(best) - most :]])]

    return _select


def _losses(seen: list[FrozenTrial], signs: np.ndarray) -> list[tuple[float, bool, float]]:
    """Return sort keys, the best first: by broken constraints, pruned trials behind complete ones, and by value."""
    values = np.array([trial.values for trial in seen]) * signs
    if values.shape[1] > 1:
        values = values.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable")
    sums = np.where(np.isnan(values), math.inf, values).sum(axis=1).tolist()
    return [
        (_violation(trial), trial.state is TrialState.PRUNED, total) for trial, total in zip(seen, sums, strict=True)
    ]


def _violation(trial: FrozenTrial) -> float:
    if not trial.system_attrs:
        return 0.0
    return sum(amount for amount in trial.constraints.values() if amount > 0)
