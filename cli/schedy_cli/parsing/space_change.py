"""The options of `schedy set` that change where a search goes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click

from schedy.close_names import did_you_mean
from schedy.errors import InvalidValueError
from schedy.random import parse_distribution
from schedy.search.definition import Definition
from schedy_cli.parsing.limits import NONE
from schedy_cli.parsing.option_groups import option_group
from schedy_cli.parsing.search_options import assume_option, parse_named


@dataclass(frozen=True)
class SpaceOptions:
    """Changes of a space as given on the command line."""

    space: tuple[tuple[str, str], ...]
    where: tuple[str, ...]
    assumed: tuple[tuple[str, str], ...]


space_options = option_group(
    "space",
    SpaceOptions,
    click.option(
        "--space",
        nargs=2,
        multiple=True,
        metavar="NAME DISTRIBUTION",
        help="Change or add a hyperparameter, as lr 'loguniform(1e-6, 1)'; repeatable.",
    ),
    click.option(
        "--where",
        multiple=True,
        metavar="CONDITION",
        help="Make only jobs that keep 'batch_size * accumulate <= 256'; repeatable.",
    ),
    assume_option("Count jobs that lack the new NAME as if it had VALUE; repeatable."),
)
"""Give a command the options of `SpaceOptions`, as `space`."""


def parse_space(options: SpaceOptions, before: Definition) -> dict[str, Any]:
    """Return the settings that the options change. Raises click.UsageError."""
    changes: dict[str, Any] = {}
    definition = before.as_json()
    if options.space:
        changes["hyperparameters"] = _changed_space(options.space, definition.get("hyperparameters", {}))
    if options.where:
        changes["where"] = [] if options.where == (NONE,) else list(options.where)
    assumed = {**definition.get("assumed", {}), **parse_named("--assume", options.assumed)}
    remaining = changes.get("hyperparameters", definition.get("hyperparameters", {}))
    if options.assumed or assumed.keys() - remaining.keys():
        changes["assumed"] = {
            name: value for name, value in assumed.items() if name in remaining or name in dict(options.assumed)
        }
    return changes


def _changed_space(words: tuple[tuple[str, str], ...], before: Mapping[str, Any]) -> dict[str, Any]:
    changed = dict(before)
    given: set[str] = set()
    for name, described in words:
        if name in given:
            raise click.UsageError(f"--space: {name!r} is given twice.")
        given.add(name)
        if described != NONE:
            changed[name] = _read(name, described)
        elif name not in changed:
            raise click.UsageError(
                f"--space {name} none: there is no hyperparameter {name!r}. {did_you_mean(name, before)}"
            )
        else:
            del changed[name]
    return changed


def _read(name: str, described: str) -> dict[str, Any]:
    try:
        return parse_distribution(described).to_json()
    except InvalidValueError as error:
        raise click.UsageError(f"--space {name}: {error}") from None
