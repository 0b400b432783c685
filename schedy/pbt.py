"""The strategies of population based training (Jaderberg et al. 2017, arXiv 1711.09846).

`Truncate` picks the members of the population that continue from another's job, `Perturb` changes a hyperparameter
then. In JSON a strategy is its name and its parameters: ``{"truncate": {"proportion": 0.2}}``.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from schedy.close_names import did_you_mean
from schedy.errors import InvalidValueError
from schedy.random.parameters import Parametrized, kind_and_parameters

MINIMIZE = "minimize"
MAXIMIZE = "maximize"


@dataclass(frozen=True, slots=True)
class Truncate(Parametrized):
    """A member in the worst `proportion` of the population continues from one of the best `proportion`."""

    kind: ClassVar[str] = "truncate"
    proportion: float = 0.2

    def __post_init__(self) -> None:
        if not 0 < self.finite_number("proportion") <= 0.5:
            raise InvalidValueError(f"truncate: 'proportion' is more than 0 and at most 0.5, not {self.proportion}.")


@dataclass(frozen=True, slots=True)
class Perturb(Parametrized):
    """The hyperparameter is multiplied by a random factor from `min_factor` to `max_factor`, and kept in its bounds."""

    kind: ClassVar[str] = "perturb"
    min_factor: float = 0.8
    max_factor: float = 1.2

    def __post_init__(self) -> None:
        low, high = self.finite_number("min_factor"), self.finite_number("max_factor")
        if not 0 <= low <= high:
            raise InvalidValueError(f"perturb: 'min_factor' ({low}) is at least 0 and at most 'max_factor' ({high}).")


S = TypeVar("S", bound=Parametrized)


def exploit_from_json(form: Any) -> Truncate:
    """Return how members are replaced. Raises InvalidValueError, with names that are close to an unknown one."""
    return _from_json(form, {Truncate.kind: Truncate})


def explore_from_json(form: Any) -> Perturb:
    """Return how a hyperparameter is changed. Raises InvalidValueError as `exploit_from_json` does."""
    return _from_json(form, {Perturb.kind: Perturb})


def _from_json(form: Any, known: Mapping[str, type[S]]) -> S:
    found = kind_and_parameters(form)
    if found is None:
        example = json.dumps({name: {} for name in known})
        raise InvalidValueError(f"a strategy is an object with one name, as {example}.")
    kind, parameters = found
    if kind not in known:
        raise InvalidValueError(f"there is no strategy {kind!r}. {did_you_mean(kind, known)}")
    return known[kind].from_parameters(parameters)
