"""Distributions as words of the command line."""

import json

from schedy.errors import InvalidValueError
from schedy.random import Distribution, distribution_class, parse_distribution
from schedy.values_text import parse_value


def read_distribution(*words: str) -> Distribution:
    """Return the distribution in one word, its short form, or in two: its name, and its parameters as JSON.

    Raises InvalidValueError naming the word at fault.
    """
    if not words:
        raise InvalidValueError("a distribution is missing. Write one as uniform(0, 1).")
    if len(words) == 1:
        return parse_distribution(words[0])
    kind, parameters = words
    found = distribution_class(kind)
    if not found.takes_bare_value:
        return found.from_parameters(_parameters(found, parameters))
    try:
        return found.from_parameters(parse_value(parameters))
    except ValueError as error:
        raise InvalidValueError(f"{kind} {parameters}: {error}.") from None


def _parameters(kind: type[Distribution], word: str) -> object:
    try:
        return json.loads(word)
    except (ValueError, RecursionError):
        takes = ", ".join(f'"{name}": ...' for name in kind.required_names())
        raise InvalidValueError(
            f"{kind.kind} {word}: it is not JSON. {kind.kind} takes '{{{takes}}}', or write '{kind.kind}(...)'."
        ) from None
