"""Objects that JSON writes as a kind and its parameters: distributions, and strategies of `schedy.pbt`."""

import json
import math
import reprlib
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from typing import Any, ClassVar, Self

from schedy.errors import InvalidValueError


class Parametrized:
    """Base of frozen dataclasses whose fields are their parameters; these are checked when an object is made."""

    kind: ClassVar[str]
    """Its name in JSON and on the command line."""

    def parameters(self) -> Any:
        """Return the parameters as JSON, without those that are None."""
        values = {name: getattr(self, name) for name in self.parameter_names()}
        return {name: value for name, value in values.items() if value is not None}

    def to_json(self) -> dict[str, Any]:
        """Return an object with the kind as its only name: ``{"uniform": {"low": 0, "high": 1}}``."""
        return {self.kind: self.parameters()}

    @classmethod
    def parameter_names(cls) -> list[str]:
        """Return the names of the parameters."""
        return [each.name for each in fields(cls) if each.init]  # type: ignore[arg-type]

    @classmethod
    def required_names(cls) -> list[str]:
        """Return the names of the parameters that have no default."""
        return [each.name for each in fields(cls) if each.init and not _has_default(each)]  # type: ignore[arg-type]

    @classmethod
    def from_parameters(cls, parameters: Any) -> Self:
        """Return the object with these parameters. Raises InvalidValueError naming the parameter at fault."""
        known = {each.name: each for each in fields(cls) if each.init}  # type: ignore[arg-type]
        takes = ", ".join(known)
        if not isinstance(parameters, Mapping):
            raise InvalidValueError(f"{cls.kind} takes a JSON object with {takes}, not {json.dumps(parameters)}.")
        for name in parameters:
            if name not in known:
                raise InvalidValueError(f"{cls.kind} has no {name!r}; it takes {takes}.")
        for name, each in known.items():
            if not _has_default(each) and name not in parameters:
                raise InvalidValueError(f"{cls.kind} needs {name!r}; it takes {takes}.")
        return cls(**parameters)

    def finite_number(self, name: str) -> float:
        """Return a parameter. Raises InvalidValueError unless it is a finite number."""
        number = finite(getattr(self, name))
        if number is None:
            shown = reprlib.repr(getattr(self, name))
            raise InvalidValueError(f"{self.kind}: {name!r} is a finite number, not {shown}.")
        return number


def _has_default(parameter: Field[Any]) -> bool:
    return parameter.default is not MISSING or parameter.default_factory is not MISSING


def finite(value: Any) -> float | None:
    """Return the value if it is a finite number, else None.

    True and False are no numbers, and an integer that no float comes near is none that can be searched.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return value if math.isfinite(value) else None
    except OverflowError:
        return None


def kind_and_parameters(form: Any) -> tuple[str, Any] | None:
    """Return the only name of a JSON object and what belongs to it; None if `form` is no such object."""
    if not isinstance(form, Mapping) or len(form) != 1:
        return None
    ((kind, parameters),) = form.items()
    return kind, parameters
