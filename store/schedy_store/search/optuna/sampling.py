"""A search by one of Optuna's samplers.

A new sampler is made for each suggestion, seeded with the number of the suggestion, so that its answer depends only on
the definition, that number and the history.
"""

import itertools
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import NopPruner
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from schedy.search.definition import Definition
from schedy_store.search.optuna.space import Axes
from schedy_store.search.optuna.storage import Select, View, everything
from schedy_store.search.protocol import History, Suggestion, numeric_seed

MakeSampler = Callable[[int], BaseSampler]
"""Takes the seed."""


class OptunaSearch:
    """The common part of the algorithms that use a sampler of Optuna."""

    def __init__(
        self,
        definition: Definition,
        *,
        together: tuple[type[BaseDistribution], ...] = (BaseDistribution,),
        foreign: dict[str, Any] | None = None,
    ) -> None:
        """`together` are the kinds of hyperparameters that the sampler searches at once, instead of one by one.

        `foreign` are the system attributes of jobs that were not suggested here.
        """
        self._definition = definition
        self._axes = Axes(definition.space(), definition.hyperparameters)
        self.relative = {name: each for name, each in self._axes.relative.items() if isinstance(each, together)}
        """The hyperparameters that the sampler searches at once."""
        self._view = View(definition, self._axes, state="sampler", foreign=foreign)

    def ask(self, number: int, history: History, make_sampler: MakeSampler, select: Select = everything) -> Suggestion:
        """Return the suggestion of a new sampler, which sees those of the ended jobs that `select` picks."""
        self._view.show(history, self._view.asked(number), select)
        with quiet():
            sampler = _InKnownSpace(make_sampler(numeric_seed(self._definition, number)), self.relative)
            study = Study(self._view.name, self._view, sampler=sampler, pruner=NopPruner())
            trial = study.ask()
            hyperparameters = self._axes.draw(trial._suggest)
        return Suggestion(hyperparameters, state=self._view.kept())

    def lent(self, history: History, most: int) -> list[FrozenTrial]:
        """Return the latest jobs that ended before the first suggestion did: mostly those of other experiments."""
        lent = list(itertools.takewhile(lambda trial: trial.number is None, history.ended))
        frozen = (self._view.frozen(trial) for trial in lent[-most:])
        return [trial for trial in frozen if trial is not None]


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Optuna's warnings about its own arguments, and NumPy's about a curve without a number."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        warnings.filterwarnings("ignore", category=FutureWarning, module=r"optuna|schedy_store\.search")
        warnings.filterwarnings("ignore", "All-NaN", category=RuntimeWarning)
        yield


class _InKnownSpace(BaseSampler):
    """A sampler that is given the parameters to search together, and infers none from the history."""

    def __init__(self, sampler: BaseSampler, relative: dict[str, BaseDistribution]) -> None:
        self._sampler = sampler
        self._relative = relative

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return dict(self._relative)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._sampler.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)
