"""Errors of a search's definition, which name a setting as their reader writes it: in Python, or as an option."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from schedy.errors import InvalidValueError


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting in the text of an error, with examples of its value. Without a name only the examples are shown."""

    name: str
    examples: tuple[Any, ...] = ()
    of_algorithm: bool = False
    """It is an option of the algorithm, not one that all searches have."""


class DefinitionError(InvalidValueError):
    """A search cannot have this definition. The message is made of texts and settings; `str` spells these as Python."""

    def __init__(self, *parts: str | Setting) -> None:
        super().__init__(*parts)

    def spelt(self, spell: Callable[[Setting], str]) -> str:
        """Return the message with each setting as `spell` writes it."""
        return "".join(part if isinstance(part, str) else spell(part) for part in self.args)

    def __str__(self) -> str:
        return self.spelt(in_python)


def in_python(setting: Setting) -> str:
    """Return a setting as a keyword argument: ``points=5``."""
    prefix = f"{setting.name}=" if setting.name else ""
    return " or ".join(f"{prefix}{example!r}" for example in setting.examples) or setting.name


def neutrally(setting: Setting) -> str:
    """Return a setting as a definition has it, for texts whose readers may use Python or the command line."""
    return setting.name or " or ".join(json.dumps(example) for example in setting.examples)


def message_of(error: Exception, spell: Callable[[Setting], str]) -> str:
    """Return the message of an error, with the settings in it, if there are any, as `spell` writes them."""
    return error.spelt(spell) if isinstance(error, DefinitionError) else str(error)
