"""An experiment as a text defines it: JSON or TOML, as `schedy show NAME --definition` prints it."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import ValidationError

from schedy.errors import InvalidValueError
from schedy.search.definition import read_definition
from schedy.wire.records import Limits
from schedy.wire.values import plain_values

_PARSERS = {"JSON": json.loads, "TOML": tomllib.loads}


@dataclass(frozen=True)
class WrittenDefinition:
    """What a text says of an experiment; the default is an empty text."""

    algorithm: str | None = None
    limits: Limits = field(default_factory=Limits)
    settings: dict[str, Any] = field(default_factory=dict)


def read_written(text: str, language: Literal["JSON", "TOML"]) -> WrittenDefinition:
    """Return what a text defines. Raises InvalidValueError, whose message follows on a colon."""
    try:
        content = _PARSERS[language](text)
    except (ValueError, RecursionError) as error:
        raise InvalidValueError(f"it is not {language}: {error}.") from None
    if not isinstance(content, Mapping):
        raise InvalidValueError('it is not an object. Write {"algorithm": "random", "hyperparameters": {...}}.')
    return _definition(plain_values(content))


def _definition(content: dict[str, Any]) -> WrittenDefinition:
    algorithm = content.get("algorithm")
    if "algorithm" in content and not isinstance(algorithm, str):
        raise InvalidValueError("'algorithm' must be the name of one.")
    settings = {name: value for name, value in content.items() if name not in ("algorithm", "limits")}
    read_definition(settings)
    return WrittenDefinition(algorithm=algorithm, limits=_limits(content.get("limits", {})), settings=settings)


def _limits(content: Any) -> Limits:
    try:
        return Limits.model_validate(content)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(["limits", *map(str, fault["loc"])])
        raise InvalidValueError(f"{place}: {fault['msg']}.") from None
