"""The base classes of distributions, their form in JSON, and their short form."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping
from dataclasses import MISSING, fields
from typing import Any, ClassVar, Self

from schedy.close_names import did_you_mean
from schedy.errors import InvalidValueError
from schedy.random.axes import Axis, Reals
from schedy.random.parameters import Parametrized, kind_and_parameters
from schedy.random.short_form import Words, read_call, read_words, write_call
from schedy.wire.values import json_key

_LARGEST_QUANTILE = 1 - 2.0**-53

KINDS: dict[str, type["Distribution"]] = {}
"""All distributions, by their names in JSON. A class is entered when it is defined."""


class Distribution(Parametrized, ABC):
    """The distribution of the values of one hyperparameter: a frozen dataclass, whose parameters are checked.

    A subclass is all that a new distribution takes. Only `kind`, `at` and `rank` must be defined, and `nearest` if it
    is `Numeric`; the others serve algorithms that can do better with what they say.
    """

    takes_bare_value: ClassVar[bool] = False
    """Its only parameter stands in JSON without a name: ``{"const": 0}``."""

    def __init_subclass__(cls, **settings: Any) -> None:
        super().__init_subclass__(**settings)
        if "kind" in cls.__dict__:
            KINDS[cls.kind] = cls

    def __str__(self) -> str:
        """Return the short form, which `parse_distribution` reads: ``uniform(0, 1)``."""
        return write_call(self.kind, self.words(), self.parameter_names())

    def words(self) -> Words:
        """Return the parameters of the short form: those with a default by name, where they differ from it."""
        defaults = {each.name: each.default for each in fields(self) if each.default is not MISSING}  # type: ignore[arg-type]
        values = {name: getattr(self, name) for name in self.parameter_names()}
        listed = [value for name, value in values.items() if name not in defaults]
        return Words(listed, {name: values[name] for name, default in defaults.items() if values[name] != default})

    @classmethod
    def from_words(cls, words: Words) -> Self:
        """Return the distribution with these parameters. Raises InvalidValueError naming the parameter at fault."""
        names = cls.parameter_names()
        if len(words.listed) > len(names):
            raise InvalidValueError(f"{cls.kind} takes {', '.join(names)}, not {len(words.listed)} values.")
        listed = dict(zip(names, words.listed, strict=False))
        if twice := listed.keys() & words.named.keys():
            raise InvalidValueError(f"{cls.kind}: {min(twice)!r} is given twice.")
        return cls.from_parameters(listed | words.named)

    @abstractmethod
    def at(self, quantile: float) -> Any:
        """Return the value at a quantile in [0, 1), as plain JSON."""

    @abstractmethod
    def rank(self, value: Any) -> float | None:
        """Return a quantile at which `value` lies, None if it cannot be drawn."""

    @property
    def count(self) -> int | None:
        """The number of values, None for endless ones."""
        return None

    def grid(self, points: int | None) -> list[Any]:
        """Return the values for a grid, `points` of them, or all if that is None.

        A distribution with fewer values returns those. Raises InvalidValueError if it has endless values and `points`
        is None.
        """
        points = self.count if points is None else points
        if points is None:
            raise InvalidValueError(f"{self.kind} has endless values, so a grid needs a number of `points`.")
        return [self.at((place + 0.5) / points) for place in range(points)]

    def axis(self) -> Axis | None:
        """Return the axis on which samplers search it, None if there is nothing to search.

        By default its quantiles are searched.
        """
        return Axis(Reals(0, 1), self.rank, lambda point: self.at(min(point, _LARGEST_QUANTILE)))

    def key(self, value: Any) -> Hashable:
        """Return a key that two values share only if they are the same one for this distribution."""
        return json_key(value)

    @property
    def branches(self) -> Mapping[str, Mapping[str, "Distribution"]]:
        """The hyperparameters that exist only with a value, by that value; none by default."""
        return {}

    def opens(self, value: Any) -> Mapping[str, "Distribution"]:
        """Return the hyperparameters that exist only with this value."""
        return {}


class Numeric(Distribution):
    """A distribution of numbers."""

    def key(self, value: Any) -> Hashable:
        """Return the number itself: 3 and 3.0 are the same."""
        return self.nearest(value)

    @abstractmethod
    def nearest(self, number: float) -> float:
        """Return the value of the distribution that is nearest to a number, which may be infinite."""

    def beside(self, number: float, *, up: bool) -> float:
        """Return the next value above or below one of the distribution, itself where there is none.

        By default there is none, as between two real numbers lie others.
        """
        return number

    def scaled(self, number: float, factor: float) -> float:
        """Return the value that is nearest to `factor` times one of the distribution.

        Where that is the value itself, return the one beside it, in the direction of the factor.
        """
        there = self.nearest(number * factor)
        if there != number or factor == 1:
            return there
        return self.beside(number, up=(factor > 1) == (number >= 0))


def distribution_class(kind: str) -> type[Distribution]:
    """Return the class of that name. Raises InvalidValueError, with names that are close to an unknown one."""
    found = KINDS.get(kind)
    if found is None:
        raise InvalidValueError(f"There is no distribution {kind!r}. {did_you_mean(kind, KINDS)}")
    return found


def distribution_from_json(kind: str, parameters: Any) -> Distribution:
    """Return the distribution of that name. Raises InvalidValueError."""
    return distribution_class(kind).from_parameters(parameters)


def parse_distribution(text: str) -> Distribution:
    """Return the distribution that a short form describes: ``loguniform(1e-4, 1)``, ``int(1, 64, log=true)``.

    Values are JSON or plain text, as after `push -p`. Raises InvalidValueError naming the word at fault.
    """
    call = read_call(text)
    if call is None and text in KINDS:
        raise InvalidValueError(f"{text} has no parameters. Write {text}({', '.join(KINDS[text].required_names())}).")
    if call is None:
        raise InvalidValueError(f"{text!r} is not a distribution. Write one as uniform(0, 1).")
    found = distribution_class(call.kind)
    try:
        words = read_words(call.inside, found.parameter_names())
    except InvalidValueError as error:
        raise InvalidValueError(f"{text}: {error}") from None
    return found.from_words(words)


def distributions_from_json(hyperparameters: Any) -> dict[str, Distribution]:
    """Return distributions by the name of their hyperparameter, from JSON or their short forms.

    Those that are distributions already stay. Raises InvalidValueError naming the hyperparameter.
    """
    if not isinstance(hyperparameters, Mapping):
        raise InvalidValueError('Hyperparameters are an object, as {"x": {"uniform": {"low": 0, "high": 1}}}.')
    return {name: _distribution(name, form) for name, form in hyperparameters.items()}


def _distribution(name: str, form: Any) -> Distribution:
    if isinstance(form, Distribution):
        return form
    found = kind_and_parameters(form)
    if found is None and not isinstance(form, str):
        raise InvalidValueError(
            f'{name}: a distribution is a text, as "uniform(0, 1)", or an object with one name,'
            ' as {"uniform": {"low": 0, "high": 1}}.'
        )
    try:
        return distribution_from_json(*found) if found else parse_distribution(form)
    except InvalidValueError as error:
        raise InvalidValueError(f"{name}: {error}") from None


def distributions_to_json(hyperparameters: Mapping[str, Distribution]) -> dict[str, Any]:
    """Return what `distributions_from_json` reads."""
    return {name: each.to_json() for name, each in hyperparameters.items()}
