"""The strategies of population based training (Jaderberg et al. 2017, arXiv 1711.09846).

`Truncate` says which members of the population go on from another's job, `Perturb` how they change a hyperparameter
then. In JSON a strategy is its name and its parameters: ``{"truncate": {"proportion": 0.2}}``.
"""

import difflib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self, TypeVar

from schedy.errors import InvalidValueError
from schedy.random import Choice, Constant, Distribution

MINIMIZE = "minimize"
MAXIMIZE = "maximize"


class _Strategy:
    kind: ClassVar[str]
    """Its name in JSON."""

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return {self.kind: {each.name: getattr(self, each.name) for each in fields(self)}}  # type: ignore[arg-type]

    @classmethod
    def from_parameters(cls, parameters: Any) -> Self:
        """Return the strategy with these parameters. Raises InvalidValueError."""
        known = [each.name for each in fields(cls)]  # type: ignore[arg-type]
        takes = ", ".join(known)
        if not isinstance(parameters, Mapping):
            raise InvalidValueError(f"{cls.kind} takes a JSON object with {takes}, not {json.dumps(parameters)}.")
        for name in parameters:
            if name not in known:
                raise InvalidValueError(f"{cls.kind} has no {name!r}; it takes {takes}.")
        return cls(**parameters)

    def _number(self, name: str) -> float:
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise InvalidValueError(f"{self.kind}: {name!r} is a finite number, not {value!r}.")
        return value


@dataclass(frozen=True, slots=True)
class Truncate(_Strategy):
    """A member in the worst `proportion` of the population goes on from one of the best `proportion`."""

    kind: ClassVar[str] = "truncate"
    proportion: float = 0.2

    def __post_init__(self) -> None:
        if not 0 < self._number("proportion") <= 0.5:
            raise InvalidValueError(f"truncate: 'proportion' is more than 0 and at most 0.5, not {self.proportion}.")


@dataclass(frozen=True, slots=True)
class Perturb(_Strategy):
    """The hyperparameter is multiplied by a random factor from `min_factor` to `max_factor`."""

    kind: ClassVar[str] = "perturb"
    min_factor: float = 0.8
    max_factor: float = 1.2

    def __post_init__(self) -> None:
        low, high = self._number("min_factor"), self._number("max_factor")
        if not 0 <= low <= high:
            raise InvalidValueError(f"perturb: 'min_factor' ({low}) is at least 0 and at most 'max_factor' ({high}).")


S = TypeVar("S", bound=_Strategy)


def exploit_from_json(form: Any) -> Truncate:
    """Return how members are replaced. Raises InvalidValueError, with names that are close to an unknown one."""
    return _from_json(form, {Truncate.kind: Truncate}, "exploit")


def explore_from_json(form: Any) -> Perturb:
    """Return how a hyperparameter is changed. Raises InvalidValueError as `exploit_from_json` does."""
    return _from_json(form, {Perturb.kind: Perturb}, "explore")


def check_pbt(exploit: Any, explore: Mapping[str, Any], hyperparameters: Mapping[str, Distribution]) -> None:
    """Raise InvalidValueError unless these are strategies, and those of `explore` fit the hyperparameters."""
    exploit_from_json(exploit)
    for name, form in explore.items():
        if name not in hyperparameters:
            raise InvalidValueError(f"explore: there is no hyperparameter {name!r}. {_close(name, hyperparameters)}")
        if isinstance(hyperparameters[name], Choice | Constant):
            kind = hyperparameters[name].kind
            raise InvalidValueError(f"explore: {name} is a {kind}; only numbers are perturbed.")
        try:
            explore_from_json(form)
        except InvalidValueError as error:
            raise InvalidValueError(f"explore: {name}: {error}") from None


def _from_json(form: Any, known: Mapping[str, type[S]], purpose: str) -> S:
    if not isinstance(form, Mapping) or len(form) != 1:
        example = json.dumps({name: {} for name in known})
        raise InvalidValueError(f"{purpose}: a strategy is an object with one name, as {example}.")
    ((name, parameters),) = form.items()
    if name not in known:
        raise InvalidValueError(f"{purpose}: there is no strategy {name!r}. {_close(name, known)}")
    return known[name].from_parameters(parameters)


def _close(name: str, known: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(known)}."
