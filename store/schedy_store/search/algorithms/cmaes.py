"""Covariance matrix adaptation, by Optuna. Choices, and hyperparameters that they open, are drawn at random."""

from collections.abc import Sequence

from optuna.distributions import FloatDistribution, IntDistribution
from optuna.samplers import CmaEsSampler
from optuna.trial import FrozenTrial, TrialState

from schedy.search.definition import Definition
from schedy.search.options import CmaesOptions
from schedy_store.search.optuna.sampling import OptunaSearch
from schedy_store.search.protocol import History, Suggestion

MOST_SOURCES = 200
LEAST_SOURCES = 10
"""The search begins at the best tenth of the lent jobs (Nomura et al. 2021, arXiv 2012.06932), at least one."""


class Cmaes:
    def __init__(self, definition: Definition) -> None:
        self._options = CmaesOptions.read(definition.options)
        self._search = OptunaSearch(definition, together=(FloatDistribution, IntDistribution))

    def suggest(self, number: int, history: History) -> Suggestion:
        sources = self._sources(history)
        return self._search.ask(number, history, lambda seed: self._sampler(seed, sources))

    def _sampler(self, seed: int, sources: Sequence[FrozenTrial] | None) -> CmaEsSampler:
        return CmaEsSampler(
            seed=seed,
            n_startup_trials=self._options.startup_jobs,
            popsize=self._options.population_size,
            sigma0=self._options.sigma,
            source_trials=None if sources is None else list(sources),
            warn_independent_sampling=False,
        )

    def _sources(self, history: History) -> Sequence[FrozenTrial] | None:
        """Return the lent jobs to begin with, None to begin in the middle of the space."""
        if self._options.sigma is not None:
            return None
        found = [trial for trial in self._search.lent(history, MOST_SOURCES) if trial.state is TrialState.COMPLETE]
        for trial in found:
            trial._distributions = dict(self._search.relative)
        return found if len(found) >= LEAST_SOURCES else None
