"""The files of `schedy add NAME --from FILE`, which `schedy show NAME --definition` prints."""

import contextlib
import json
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from schedy.errors import InvalidValueError
from schedy.wire.records import ExperimentRecord, Limits
from schedy.wire.values import plain_values
from schedy_cli.printing.jobs import USUAL_ATTEMPTS


def read_definition_file(source: str) -> dict[str, Any]:
    """Return what a file says: a definition's settings, and perhaps `scheduler` and `limits`.

    TOML if its name ends in .toml, else JSON; ``-`` is the standard input, and JSON. Raises click.ClickException if it
    cannot be read, click.UsageError if it is neither.
    """
    is_toml = source.lower().endswith(".toml")
    text = _text(source)
    with _said_of(source):
        content = _parsed(text, "TOML" if is_toml else "JSON", tomllib.loads if is_toml else json.loads)
        if not isinstance(content, dict):
            raise InvalidValueError('it is no object. Write {"scheduler": "random", "hyperparameters": {...}}.')
        content = plain_values(content)
        if not isinstance(content.get("scheduler", ""), str):
            raise InvalidValueError("'scheduler' is the name of an algorithm.")
        content["limits"] = _limits(content.get("limits", {}))
    return content


@contextlib.contextmanager
def _said_of(source: str) -> Iterator[None]:
    name = "The standard input" if source == "-" else source
    try:
        yield
    except InvalidValueError as error:
        raise click.UsageError(f"{name}: {error}") from None


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


def definition_text(experiment: ExperimentRecord) -> str:
    """Return the file by which the same experiment can be added again: with its seed, without its jobs."""
    content: dict[str, Any] = {"scheduler": experiment.scheduler, **experiment.settings}
    if "warm_start" in content:
        content["warm_start"] = [{"experiment": start.get("experiment")} for start in content["warm_start"]]
    limits = experiment.limits.model_dump(exclude_defaults=True)
    if limits.get("max_attempts") == USUAL_ATTEMPTS:
        del limits["max_attempts"]
    if limits:
        content["limits"] = limits
    return json.dumps(content, indent=2)
