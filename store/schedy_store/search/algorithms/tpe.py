"""Tree-structured Parzen estimator, with one objective or several, by Optuna.

Jobs that have not ended count as bad ones (constant liar), so that workers do not crowd at one point. Of a long history
the sampler sees the better and the newer part: it takes at most 25 jobs as good ones, and its time grows with the rest.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
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
        self._select = BestAndNewest(directions(definition), most_seen)

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


class BestAndNewest:
    """Selects at most `most` observations: the best half, and of the others those that ended last.

    Better are those that break constraints by less, then those that were not pruned, then those with a smaller value,
    or with several objectives a smaller sum of the ranks in each of them.
    """

    def __init__(self, aims: Sequence[StudyDirection], most: int) -> None:
        self._signs = [1.0 if aim is StudyDirection.MINIMIZE else -1.0 for aim in aims]
        self._most = most
        self._forget()

    def _forget(self) -> None:
        self._seen: list[FrozenTrial] = []
        """Observations that have been looked at, in the order in which they ended; the next lists belong to them."""
        self._broken: list[float] = []
        self._pruned: list[bool] = []
        self._losses: list[list[float]] = [[] for _sign in self._signs]
        self._looked_at: list[FrozenTrial] = []

    def __call__(self, ended: list[FrozenTrial]) -> list[FrozenTrial]:
        """Return those of the ended trials that are selected, in their order."""
        self._look_at(ended)
        if len(self._seen) <= self._most:
            return list(self._seen)
        order = np.lexsort([self._ranked(), np.array(self._pruned), np.array(self._broken)])  # the last counts most
        best = order[: self._most // 2]
        others = np.ones(len(order), dtype=bool)
        others[best] = False
        newest = np.flatnonzero(others)[len(best) - self._most :]
        return [self._seen[place] for place in np.sort(np.concatenate([best, newest]))]

    def _look_at(self, ended: list[FrozenTrial]) -> None:
        """Look at trials that are new; at all of them if these do not continue those before."""
        before = len(self._looked_at)
        if before > len(ended) or (before and ended[before - 1] is not self._looked_at[-1]):
            self._forget()
            before = 0
        for trial in ended[before:]:
            if trial.state is not TrialState.FAIL:
                self._add(trial)
        self._looked_at += ended[before:]

    def _add(self, trial: FrozenTrial) -> None:
        self._seen.append(trial)
        self._broken.append(_violation(trial))
        self._pruned.append(trial.state is TrialState.PRUNED)
        for losses, sign, value in zip(self._losses, self._signs, trial.values, strict=True):
            losses.append(math.inf if math.isnan(value) else value * sign)

    def _ranked(self) -> NDArray[np.float64]:
        losses = np.array(self._losses)
        if len(losses) > 1:
            losses = losses.argsort(axis=1, kind="stable").argsort(axis=1, kind="stable").astype(float)
        ranked: NDArray[np.float64] = losses.sum(axis=0)
        return ranked


def _violation(trial: FrozenTrial) -> float:
    if not trial.system_attrs:
        return 0.0
    return sum(amount for amount in trial.constraints.values() if amount > 0)
