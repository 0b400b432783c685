"""Population based training (Jaderberg et al. 2017, arXiv 1711.09846).

The first suggestions are members of the population, drawn from the distributions; where there are none, the pushed jobs
are the members. Every later suggestion continues from a member's job that has ended: suggestion `members + n` from the
one that ended n-th. It looks at the jobs that had ended by then and at nothing later, so it depends only on the order
in which jobs ended.
"""

import math
import random
import sys
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from schedy.pbt import exploit_from_json, explore_from_json
from schedy.random import Int, Normal, Numeric
from schedy.search.definition import Definition, Objective
from schedy.search.options import PbtOptions
from schedy_store.search.protocol import Exhausted, History, NotYet, Suggestion, Trial, generator

_MEMBER = "member"
_DEFAULT_SIZE = 20
_UNBOUNDED_REALS = Normal(0, 1)
_UNBOUNDED_INTEGERS = Int(-(2**53), 2**53)


class Pbt:
    def __init__(self, definition: Definition) -> None:
        """Take a definition with one objective."""
        options = PbtOptions.read(definition.options)
        self._definition = definition
        self._objective = definition.objectives[0]
        self._space = definition.space()
        self._members_are_pushed = not self._space.parameters
        self._given_size = options.population_size
        self._drawn = 0 if self._members_are_pushed else options.population_size or _DEFAULT_SIZE
        """Number of members that are drawn."""
        self._generations = math.inf if options.max_generations is None else options.max_generations
        self._proportion = exploit_from_json(options.exploit).proportion
        self._explore = {name: explore_from_json(form) for name, form in options.explore.items()}
        numbers = self._space.parameters.items()
        self._numeric = {name: distribution for name, distribution in numbers if isinstance(distribution, Numeric)}

    def suggest(self, number: int, history: History) -> Suggestion | NotYet | Exhausted:
        size = self._given_size if self._members_are_pushed else self._drawn
        if size is not None and number >= self._drawn + size * (self._generations - 1):
            return self._over(size)
        drawn = generator(self._definition, number)
        if number < self._drawn:
            return self._beginner(drawn, member=number, generation=1)
        place = self._place_of_candidate(number - self._drawn, history.ended)
        if place is not None:
            return self._successor(history.ended[place], history.ended[: place + 1], drawn)
        members = len(self._members(history.ended))
        if members and size is None and not history.pending and self._generations < math.inf:
            return self._over(members)
        return NotYet(for_pushed=self._members_are_pushed)

    def _over(self, size: int) -> Exhausted:
        return Exhausted(f"All {size} members have come to generation {self._generations}.")

    def _place_of_candidate(self, wanted: int, ended: Sequence[Trial]) -> int | None:
        """Return the place of job number `wanted` among those that have a successor, None before it has ended."""
        places = (place for place, trial in enumerate(ended) if self._has_successor(trial))
        return next(islice(places, wanted, None), None)

    def _has_successor(self, trial: Trial) -> bool:
        return self._is_of_member(trial) and (trial.generation or 1) < self._generations

    def _is_of_member(self, trial: Trial) -> bool:
        return trial.number is not None or self._members_are_pushed

    def _successor(self, candidate: Trial, ended: Sequence[Trial], drawn: random.Random) -> Suggestion:
        member, generation = _member_of(candidate), (candidate.generation or 1) + 1
        ranked = sorted(self._population(ended), key=lambda trial: _loss(trial, self._objective))
        few = max(1, int(self._proportion * len(ranked)))
        is_bad = candidate.values is None or (len(ranked) > 1 and any(trial is candidate for trial in ranked[-few:]))
        if not is_bad:
            return _continued(candidate, candidate.hyperparameters, member=member, generation=generation)
        best = [trial for trial in ranked[:few] if trial.values is not None]
        if best:
            parent = drawn.choice(best)
            return _continued(parent, self._explored(parent, drawn), member=member, generation=generation)
        if self._members_are_pushed:
            return Suggestion(candidate.hyperparameters, generation=generation, state={_MEMBER: member})
        return self._beginner(drawn, member=member, generation=generation)

    def _population(self, ended: Sequence[Trial]) -> list[Trial]:
        """Return the latest job of each member, and pushed jobs that others can continue from."""
        return [*self._members(ended).values(), *(trial for trial in ended if self._is_guest(trial))]

    def _members(self, ended: Sequence[Trial]) -> dict[int, Trial]:
        return {_member_of(trial): trial for trial in ended if self._is_of_member(trial)}

    def _is_guest(self, trial: Trial) -> bool:
        if self._is_of_member(trial) or trial.values is None:
            return False
        return self._space.holds(trial.hyperparameters)

    def _beginner(self, drawn: random.Random, *, member: int, generation: int) -> Suggestion:
        hyperparameters = self._space.draw(lambda _name, distribution: distribution.at(drawn.random()))
        return Suggestion(hyperparameters, generation=generation, state={_MEMBER: member})

    def _explored(self, parent: Trial, drawn: random.Random) -> dict[str, Any]:
        values = dict(parent.hyperparameters)
        for name, perturb in self._explore.items():
            factor = drawn.uniform(perturb.min_factor, perturb.max_factor)
            distribution = self._numeric.get(name) or _unbounded(values.get(name))
            if name in values and distribution is not None:
                values[name] = distribution.scaled(values[name], factor)
        return values


def _unbounded(value: Any) -> Numeric | None:
    """Return the distribution in which a pushed hyperparameter is perturbed, None if it is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
        return None
    return _UNBOUNDED_INTEGERS if isinstance(value, int) else _UNBOUNDED_REALS


def _member_of(trial: Trial) -> int:
    """Return the member that a job belongs to: that of its parent, or its own key if it was pushed."""
    member: int = trial.state.get(_MEMBER, trial.key)
    return member


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
