"""The files of `schedy add NAME --from FILE`, as `schedy show NAME --definition` prints them."""

import contextlib
import json
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from schedy.errors import InvalidValueError
from schedy.search.definition import read_definition
from schedy.search.errors import message_of, neutrally
from schedy.wire.records import Limits
from schedy.wire.values import plain_values


@dataclass(frozen=True)
class DefinitionFile:
    """An experiment as a file defines it; the default is an empty file."""

    algorithm: str | None = None
    limits: Limits = field(default_factory=Limits)
    settings: dict[str, Any] = field(default_factory=dict)


def read_definition_file(source: str) -> DefinitionFile:
    """Read TOML if the name ends in .toml, else JSON; ``-`` is the standard input, as JSON.

    Raises click.ClickException if the file cannot be read, click.UsageError if it is not a definition.
    """
    is_toml = source.lower().endswith(".toml")
    text = _text(source)
    with _errors_naming(source):
        content = _parsed(text, "TOML" if is_toml else "JSON", tomllib.loads if is_toml else json.loads)
        if not isinstance(content, dict):
            raise InvalidValueError('it is not an object. Write {"algorithm": "random", "hyperparameters": {...}}.')
        return _definition(plain_values(content))


def _definition(content: dict[str, Any]) -> DefinitionFile:
    algorithm = content.get("algorithm")
    if "algorithm" in content and not isinstance(algorithm, str):
        raise InvalidValueError("'algorithm' must be the name of one.")
    settings = {name: value for name, value in content.items() if name not in ("algorithm", "limits")}
    read_definition(settings)
    return DefinitionFile(algorithm=algorithm, limits=_limits(content.get("limits", {})), settings=settings)


@contextlib.contextmanager
def _errors_naming(source: str) -> Iterator[None]:
    name = "The standard input" if source == "-" else source
    try:
        yield
    except InvalidValueError as error:
        raise click.UsageError(f"{name}: {message_of(error, neutrally)}") from None


def _text(source: str) -> str:
    try:
        found = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
        return found.decode("utf-8-sig")
    except OSError as error:
        raise click.ClickException(f"{source} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise click.ClickException(f"{source} cannot be read: {error}. Write it in UTF-8.") from None


def _parsed(text: str, language: str, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(text)
    except (ValueError, RecursionError) as error:
        raise InvalidValueError(f"it is not {language}: {error}.") from None


def _limits(content: Any) -> Limits:
    try:
        return Limits.model_validate(content)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(["limits", *map(str, fault["loc"])])
        raise InvalidValueError(f"{place}: {fault['msg']}.") from None
