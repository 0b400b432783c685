"""Hyperparameters as options of a program."""

import json
from collections.abc import Mapping
from typing import Any


def option_words(hyperparameters: Mapping[str, Any]) -> list[str]:
    """Return the words that give a program hyperparameters, with all digits: ``--batch-size 32``.

    Texts stand as they are, all else as JSON. A value that begins with ``-`` is joined to its option, since argparse
    takes ``-1e-5`` for an option.
    """
    words: list[str] = []
    for name, value in hyperparameters.items():
        option = "--" + name.replace("_", "-")
        word = value if isinstance(value, str) else json.dumps(value)
        words.extend([f"{option}={word}"] if word.startswith("-") else [option, word])
    return words
