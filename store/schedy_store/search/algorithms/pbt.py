"""Population based training (Jaderberg et al. 2017, arXiv 1711.09846).

The first `population_size` suggestions are members of the population. Every later one continues from a member's job
that has ended: suggestion `population_size + n` from the one that ended n-th. It looks at the jobs that had ended by
then and at nothing later, so it depends only on the order in which jobs ended.
"""

import random
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from schedy.pbt import exploit_from_json, explore_from_json
from schedy.random import Numeric
from schedy.search.definition import Definition, Objective
from schedy.search.options import PbtOptions
from schedy_store.search.protocol import Exhausted, History, NotYet, Suggestion, Trial, generator

_MEMBER = "member"


class Pbt:
    def __init__(self, definition: Definition) -> None:
        """Take a definition with one objective."""
        options = PbtOptions.read(definition.options)
        self._definition = definition
        self._objective = definition.objectives[0]
        self._space = definition.space()
        self._size = options.population_size
        self._generations = options.max_generations
        self._proportion = exploit_from_json(options.exploit).proportion
        self._explore = {name: explore_from_json(form) for name, form in options.explore.items()}
        numbers = self._space.parameters.items()
        self._numeric = {name: distribution for name, distribution in numbers if isinstance(distribution, Numeric)}

    def suggest(self, number: int, history: History) -> Suggestion | NotYet | Exhausted:
        if number >= self._size * self._generations:
            return Exhausted(f"All {self._size} members have come to generation {self._generations}.")
        drawn = generator(self._definition, number)
        if number < self._size:
            return self._beginner(drawn, member=number, generation=1)
        place = self._place_of_candidate(number - self._size, history.ended)
        if place is None:
            return NotYet()
        return self._successor(history.ended[place], history.ended[: place + 1], drawn)

    def _place_of_candidate(self, wanted: int, ended: Sequence[Trial]) -> int | None:
        """Return the place of job number `wanted` among those that have a successor, None before it has ended."""
        places = (place for place, trial in enumerate(ended) if self._has_successor(trial))
        return next(islice(places, wanted, None), None)

    def _has_successor(self, trial: Trial) -> bool:
        return trial.number is not None and (trial.generation or 1) < self._generations

    def _successor(self, candidate: Trial, ended: Sequence[Trial], drawn: random.Random) -> Suggestion:
        member, generation = candidate.state[_MEMBER], (candidate.generation or 1) + 1
        ranked = sorted(self._population(ended), key=lambda trial: _loss(trial, self._objective))
        few = max(1, int(self._proportion * len(ranked)))
        is_bad = candidate.values is None or (len(ranked) > 1 and any(trial is candidate for trial in ranked[-few:]))
        if not is_bad:
            return _continued(candidate, candidate.hyperparameters, member=member, generation=generation)
        best = [trial for trial in ranked[:few] if trial.values is not None]
        if not best:
            return self._beginner(drawn, member=member, generation=generation)
        parent = drawn.choice(best)
        return _continued(parent, self._explored(parent, drawn), member=member, generation=generation)

    def _population(self, ended: Sequence[Trial]) -> list[Trial]:
        """Return the latest job of each member, and pushed jobs that others can continue from."""
        members = {trial.state[_MEMBER]: trial for trial in ended if trial.number is not None}
        return [*members.values(), *(trial for trial in ended if self._is_guest(trial))]

    def _is_guest(self, trial: Trial) -> bool:
        return trial.number is None and trial.values is not None and self._space.fault(trial.hyperparameters) is None

    def _beginner(self, drawn: random.Random, *, member: int, generation: int) -> Suggestion:
        hyperparameters = self._space.draw(lambda _name, distribution: distribution.at(drawn.random()))
        return Suggestion(hyperparameters, generation=generation, state={_MEMBER: member})

    def _explored(self, parent: Trial, drawn: random.Random) -> dict[str, Any]:
        values = dict(parent.hyperparameters)
        for name, perturb in self._explore.items():
            factor = drawn.uniform(perturb.min_factor, perturb.max_factor)
            if name in values:
                values[name] = self._numeric[name].scaled(values[name], factor)
        return values


def _continued(parent: Trial, hyperparameters: Mapping[str, Any], *, member: int, generation: int) -> Suggestion:
    return Suggestion(
        hyperparameters,
        results=parent.results,
        parent=parent.job_id,
        generation=generation,
        state={_MEMBER: member},
    )


def _loss(trial: Trial, objective: Objective) -> tuple[bool, float]:
    """Return a sort key, the best first; jobs without a value are the worst."""
    if trial.values is None:
        return True, 0.0
    return False, trial.values[0] if objective.direction == "minimize" else -trial.values[0]
