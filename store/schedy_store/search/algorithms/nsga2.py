"""Non-dominated sorting genetic algorithm II, by Optuna.

Jobs that were lent or pushed belong to the first generation.
"""

from optuna.samplers import NSGAIISampler

from schedy.search.definition import Definition
from schedy.search.options import Nsga2Options
from schedy_store.search.optuna.sampling import OptunaSearch
from schedy_store.search.protocol import History, Suggestion


class Nsga2:
    def __init__(self, definition: Definition) -> None:
        self._options = Nsga2Options.read(definition.options)
        self._search = OptunaSearch(definition, foreign={NSGAIISampler._get_generation_key(): 0})

    def suggest(self, number: int, history: History) -> Suggestion:
        return self._search.ask(number, history, self._sampler)

    def _sampler(self, seed: int) -> NSGAIISampler:
        return NSGAIISampler(seed=seed, population_size=self._options.population_size)
