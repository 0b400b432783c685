"""Distributions over given values: one of several, or always the same."""

import json
import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, ClassVar, Self

from schedy.errors import InvalidValueError
from schedy.random.axes import Axis, Categories, Integers
from schedy.random.distribution import Distribution, distributions_from_json, distributions_to_json
from schedy.random.parameters import finite
from schedy.random.short_form import Words
from schedy.wire.values import json_key, plain_values


@dataclass(frozen=True, slots=True)
class Choice(Distribution):
    """One of `values`, any JSON; `weights` are their relative probabilities.

    `then` maps a value to the hyperparameters that exist only with it: a text as it is, another value as its JSON. If
    the values have both 1 and "1", the text is written as JSON, with its quotes.
    """

    kind: ClassVar[str] = "choice"
    values: Sequence[Any]
    weights: Sequence[float] | None = None
    then: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Distributions, or their JSON."""

    _opened: Mapping[str, Mapping[str, Distribution]] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )
    """What `then` says, by the `json_key` of the value."""
    _places: Mapping[str, int] = field(init=False, repr=False, compare=False, default_factory=dict)
    """The place of each value that can be drawn, by its `json_key`."""

    def __post_init__(self) -> None:
        if isinstance(self.values, str) or not isinstance(self.values, Sequence) or not self.values:
            raise InvalidValueError(f"{self.kind}: 'values' is a list with at least one value.")
        object.__setattr__(self, "values", tuple(plain_values({"values": list(self.values)})["values"]))
        if self.weights is not None:
            object.__setattr__(self, "weights", tuple(self._checked_weights()))
        object.__setattr__(self, "_places", self._drawable())
        object.__setattr__(self, "then", self._checked_branches())
        object.__setattr__(self, "_opened", {self._named(name): opened for name, opened in self.then.items()})

    def _checked_weights(self) -> list[float]:
        weights = self.weights
        if isinstance(weights, str) or not isinstance(weights, Sequence) or len(weights) != len(self.values):
            count = len(weights) if isinstance(weights, Sequence) else 0
            raise InvalidValueError(f"{self.kind}: {len(self.values)} values need as many weights, not {count}.")
        numbers = [finite(weight) for weight in weights]
        checked = [number for number in numbers if number is not None and number >= 0]
        if len(checked) != len(numbers) or sum(checked) <= 0:
            raise InvalidValueError(f"{self.kind}: weights are numbers of at least 0, and one is more.")
        return checked

    def _checked_branches(self) -> dict[str, dict[str, Distribution]]:
        if not isinstance(self.then, Mapping):
            raise InvalidValueError(
                f"{self.kind}: 'then' is an object: for a value, the hyperparameters that it opens."
            )
        named: dict[str | None, str] = {}
        for name in self.then:
            if not isinstance(name, str):
                raise InvalidValueError(f"{self.kind}: 'then' names values as text: {json_key(name)!r}, not {name!r}.")
            key = self._named(name)
            if key is None:
                known = ", ".join(value if isinstance(value, str) else json_key(value) for value in self.values)
                raise InvalidValueError(f"{self.kind}: 'then' names {name!r}, which is none of {known}.")
            if key in named:
                raise InvalidValueError(
                    f"{self.kind}: 'then' names one value twice, as {named[key]!r} and as {name!r}."
                )
            named[key] = name
        return {value: distributions_from_json(opened) for value, opened in self.then.items()}

    def _drawable(self) -> dict[str, int]:
        places: dict[str, int] = {}
        for place, value in enumerate(self.values):
            if self.weights is None or self.weights[place] > 0:
                places.setdefault(json_key(value), place)
        return places

    def _named(self, name: str) -> str | None:
        """Return the key of the value that a name in `then` stands for, None if it is none of the values.

        A name that is the JSON of one value and the text of another stands for the first.
        """
        keys = [json_key(value) for value in self.values]
        text = json_key(name)
        try:
            written = json_key(json.loads(name))
        except (ValueError, RecursionError):
            written = text
        return next((key for key in (written, text) if key in keys), None)

    def at(self, quantile: float) -> Any:
        if self.weights is None:
            return self.values[min(math.floor(quantile * len(self.values)), len(self.values) - 1)]
        sums = list(accumulate(self.weights))
        return self.values[min(bisect_right(sums, quantile * sums[-1]), len(self.values) - 1)]

    def _index(self, value: Any) -> int | None:
        """Return the place of a value, None if it is none of them. 1, 1.0 and true are three values."""
        return self._places.get(json_key(value))

    def rank(self, value: Any) -> float | None:
        place = self._index(value)
        if place is None:
            return None
        weights = self.weights or (1.0,) * len(self.values)
        return (sum(weights[:place]) + weights[place] / 2) / sum(weights)

    @property
    def count(self) -> int:
        return len(self._places)

    def grid(self, points: int | None) -> list[Any]:
        """Return the values that can be drawn, each once."""
        return [self.values[place] for place in self._places.values()]

    def axis(self) -> Axis | None:
        if self.weights is not None:
            return super(Choice, self).axis()
        return Axis(Categories(len(self.values)), self._index, self.values.__getitem__)

    @property
    def branches(self) -> Mapping[str, Mapping[str, Distribution]]:
        return self.then

    def opens(self, value: Any) -> Mapping[str, Distribution]:
        return self._opened.get(json_key(value), {}) if self._opened else {}

    def parameters(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"values": list(self.values)}
        if self.weights is not None:
            shown["weights"] = list(self.weights)
        if self.then:
            shown["then"] = {value: distributions_to_json(opened) for value, opened in self.then.items()}
        return shown

    def words(self) -> Words:
        """Return the values as words. One that is a list by itself needs the name: ``choice([1, 2])`` is two values."""
        named = self.parameters()
        if self.then:
            named["then"] = {
                value: {name: str(each) for name, each in opened.items()} for value, opened in self.then.items()
            }
        return Words([] if _is_list(self.values) else named.pop("values"), named)

    @classmethod
    def from_words(cls, words: Words) -> Self:
        if words.listed and "values" in words.named:
            raise InvalidValueError(f"{cls.kind}: 'values' is given twice.")
        values = words.listed[0] if _is_list(words.listed) else words.listed
        return cls.from_parameters({"values": values} | words.named)


@dataclass(frozen=True, slots=True)
class Ordinal(Choice):
    """One of `values`, which are in an order: algorithms learn more from values that lie near one another."""

    kind: ClassVar[str] = "ordinal"

    def axis(self) -> Axis | None:
        if self.weights is not None:
            return super(Ordinal, self).axis()
        return Axis(Integers(0, len(self.values) - 1), self._index, self.values.__getitem__)


def _is_list(values: Sequence[Any]) -> bool:
    return len(values) == 1 and isinstance(values[0], list)


@dataclass(frozen=True, slots=True)
class Constant(Distribution):
    """Always the same JSON value. Its parameters are the bare value: ``{"const": 0}``."""

    kind: ClassVar[str] = "const"
    takes_bare_value: ClassVar[bool] = True
    value: Any

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", plain_values({"value": self.value})["value"])

    def at(self, quantile: float) -> Any:
        return self.value

    def rank(self, value: Any) -> float | None:
        return 0.0 if json_key(value) == json_key(self.value) else None

    @property
    def count(self) -> int:
        return 1

    def grid(self, points: int | None) -> list[Any]:
        return [self.value]

    def axis(self) -> None:
        return None

    def parameters(self) -> Any:
        return self.value

    @classmethod
    def from_parameters(cls, parameters: Any) -> Self:
        return cls(parameters)

    @classmethod
    def from_words(cls, words: Words) -> Self:
        values = [*words.listed, *words.named.values()]
        if len(values) != 1:
            raise InvalidValueError(f"const takes one value, not {len(values)}.")
        return cls(values[0])
