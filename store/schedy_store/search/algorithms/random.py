"""Random search: each job is drawn from the distributions, regardless of the others (Bergstra and Bengio 2012)."""

from schedy.search.definition import Definition
from schedy_store.search.protocol import History, Suggestion, generator


class RandomSearch:
    def __init__(self, definition: Definition) -> None:
        self._definition = definition
        self._space = definition.space()

    def suggest(self, number: int, _history: History) -> Suggestion:
        drawn = generator(self._definition, number)
        return Suggestion(self._space.draw(lambda _name, distribution: distribution.at(drawn.random())))
