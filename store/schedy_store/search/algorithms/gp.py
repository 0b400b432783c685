"""Gaussian process with expected improvement, by Optuna. Needs PyTorch."""

from optuna.samplers import BaseSampler

from schedy.search.definition import Definition
from schedy.search.options import GpOptions
from schedy_store.search.optuna.sampling import OptunaSearch
from schedy_store.search.protocol import History, Suggestion


class Gp:
    def __init__(self, definition: Definition) -> None:
        self._options = GpOptions.read(definition.options)
        self._search = OptunaSearch(definition)

    def suggest(self, number: int, history: History) -> Suggestion:
        return self._search.ask(number, history, self._sampler)

    def _sampler(self, seed: int) -> BaseSampler:
        from optuna.samplers import GPSampler  # noqa: PLC0415 - Optuna loads it, and PyTorch, when it is used

        return GPSampler(seed=seed, n_startup_trials=self._options.startup_jobs, warn_independent_sampling=False)
