"""The search of those who do not want to choose: quasi-random points, then a Gaussian process and trees in turns.

Each has cases in which it is far better than the other.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from schedy.search.definition import Definition
from schedy_store.search.algorithms.sobol import Sobol
from schedy_store.search.algorithms.tpe import Tpe
from schedy_store.search.gaussian.process import GaussianProcess
from schedy_store.search.protocol import MADE_BY, History, Suggestion

_LEAST_BEGINNING = 8
_MOST_BEGINNING = 20
_MOST_DIMENSIONS = 20
_TREES_EACH = 4
_MOST_ENDED = 500
"""With more ended jobs than this the trees go on alone."""


class Auto:
    def __init__(self, definition: Definition) -> None:
        self._sobol = Sobol(definition)
        self._tpe = Tpe(definition)
        self._process = GaussianProcess(definition) if _suits_process(definition) else None
        self._beginning = min(max(_LEAST_BEGINNING, len(definition.space().parameters) + 2), _MOST_BEGINNING)

    def suggest(self, number: int, history: History) -> Suggestion:
        if number < self._beginning:
            return _by("quasi-random", self._sobol.suggest(number, history))
        if self._process is not None and number % _TREES_EACH and len(history.ended) <= _MOST_ENDED:
            suggestion = self._process.suggest(number, history)
            if suggestion is not None:
                return _by("gaussian process", suggestion)
        return _by("tpe", self._tpe.suggest(number, history))


def _suits_process(definition: Definition) -> bool:
    """Tell whether a Gaussian process can learn here: one objective, no branches, and numbers for the most part."""
    top = definition.hyperparameters
    if definition.objective is None or len(definition.space().parameters) != len(top):
        return False
    choices = sum(each.kind == "choice" for each in top.values())
    return len(top) <= _MOST_DIMENSIONS and 2 * choices <= len(top)


def _by(algorithm: str, suggestion: Suggestion) -> Suggestion:
    state: Mapping[str, Any] = {**suggestion.state, MADE_BY: algorithm}
    return replace(suggestion, state=state)
