"""Checks of a search's definition before it is sent, and changes of it."""

from collections.abc import Mapping
from typing import Any

from schedy.errors import InvalidValueError
from schedy.search.definition import Definition, check_definition, read_definition
from schedy.wire.values import LONGEST_NAME, dump_values, plain_values


def changed_definition(scheduler: str, definition: Definition, changes: Mapping[str, Any]) -> Definition:
    """Return the definition with some settings changed; None removes a setting. Raises InvalidValueError."""
    changed = read_definition({**definition.as_json(), **plain_values(changes)})
    check_search(scheduler, changed)
    return changed


def pruner_form(pruner: str | Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return a pruner in the form of a definition, given that form or its bare name."""
    return {pruner: {}} if isinstance(pruner, str) else pruner


def check_search(scheduler: str, definition: Definition) -> None:
    """Raise InvalidValueError if no experiment can have this scheduler with this definition.

    The results service checks that there is a scheduler of that name: it may know a user's own.
    """
    if not scheduler.isprintable() or not 1 <= len(scheduler) <= LONGEST_NAME:
        raise InvalidValueError(
            f"A scheduler has a name of 1 to {LONGEST_NAME} printable characters, not {scheduler!r}."
        )
    dump_values(dict.fromkeys(definition.space().parameters))  # for the names
    check_definition(scheduler, definition)
