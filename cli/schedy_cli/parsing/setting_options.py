"""Settings of a search as the options of `schedy add`, for the errors that name them."""

import json
import shlex
from typing import Any

from schedy.search.errors import Setting

_METAVARS = {"minimize": " RESULT", "maximize": " RESULT"}
_OPTIONS = {"constraints": "--constraint", "options": "--option"}
_WORDS = ("hyperparameters", "objectives")
"""Settings that the command line has no option for."""


def as_option(setting: Setting) -> str:
    """Return a setting as the command line takes it: ``--option points 5``."""
    if setting.of_algorithm:
        option = f"--option {setting.name}"
        return " or ".join(f"{option} {_word(example)}" for example in setting.examples) or option
    if not setting.name:
        return " or ".join(_space(example) for example in setting.examples)
    if setting.name in _WORDS:
        return setting.name
    option = _OPTIONS.get(setting.name, f"--{setting.name.replace('_', '-')}")
    return option + _METAVARS.get(setting.name, "")


def _space(hyperparameters: dict[str, Any]) -> str:
    """Return hyperparameters as options with their distributions in short form."""
    from schedy.random import distributions_from_json  # noqa: PLC0415 - only this error needs it

    return " ".join(f"--{name} '{each}'" for name, each in distributions_from_json(hyperparameters).items())


def _word(value: Any) -> str:
    return shlex.quote(json.dumps(value))
