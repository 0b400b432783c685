"""A search algorithm of your own: each job is one step away from the best job so far.

Install it where the results service runs, and start the service again:

    pip install examples/own_algorithm
    schedy add MinimizeRandom hill-climbing --x 'uniform(-5, 5)' --y 'uniform(-5, 5)' \
        --minimize result --max-jobs 40 --seed 3 --option step 0.1
    python examples/random_search.py
"""

from typing import Any

from schedy.errors import InvalidValueError
from schedy_store.search.protocol import Definition, Distribution, History, Suggestion, Trial, generator

_EDGE = 1e-9


class HillClimbing:
    """Gaussian steps from the best job; the option `step` is their size as a part of the range (default: 0.1)."""

    def __init__(self, definition: Definition) -> None:
        if len(definition.objectives) != 1:
            raise InvalidValueError("hill-climbing needs one objective: minimize or maximize.")
        self._definition = definition
        self._space = definition.space()
        self._objective = definition.objectives[0]
        self._step = float(definition.options.get("step", 0.1))

    def suggest(self, number: int, history: History) -> Suggestion:
        drawn = generator(self._definition, number)
        best = self._best(history)

        def _choose(name: str, distribution: Distribution) -> Any:
            here = None if best is None else distribution.rank(best.hyperparameters.get(name))
            if here is None:
                return distribution.at(drawn.random())
            return distribution.at(min(max(drawn.gauss(here, self._step), 0.0), 1 - _EDGE))

        return Suggestion(self._space.draw(_choose))

    def _best(self, history: History) -> Trial | None:
        sign = 1 if self._objective.direction == "minimize" else -1
        observed = [(sign * trial.values[0], place) for place, trial in enumerate(history.ended) if trial.values]
        return history.ended[min(observed)[1]] if observed else None
