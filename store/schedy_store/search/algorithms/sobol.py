"""Quasi-random search: points of a scrambled Sobol' sequence, which fill the space more evenly than random ones.

Each hyperparameter is a dimension, also one that exists only with a choice; a job skips those that it does not have.
"""

import numpy as np
from scipy.stats import qmc

from schedy.search.definition import Definition
from schedy_store.search.protocol import History, Suggestion, generator


class Sobol:
    def __init__(self, definition: Definition) -> None:
        self._space = definition.space()
        seed = generator(definition, 0, "sobol").getrandbits(64)
        self._engine = qmc.Sobol(len(self._space.parameters), scramble=True, rng=np.random.default_rng(seed))

    def suggest(self, number: int, _history: History) -> Suggestion:
        if self._engine.num_generated != number:
            self._engine.reset()
            if number:  # SciPy cannot go forward by nothing
                self._engine.fast_forward(number)
        point = dict(zip(self._space.parameters, self._engine.random(1)[0].tolist(), strict=True))
        return Suggestion(self._space.draw(lambda name, distribution: distribution.at(point[name])))
