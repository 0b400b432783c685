"""Hyperparameters and results as JSON text.

A value comes back as ``json.loads(json.dumps(value))`` gives it. NaN and the infinities stay themselves (``NaN``,
``Infinity``, ``-Infinity``, as Python's :mod:`json` writes them), and all text is ASCII-escaped, so that no database
or terminal meets a character that it cannot take. NumPy scalars and arrays (anything with ``tolist``) are converted.
"""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from schedy.errors import InvalidValueError
from schedy.user_text import error_message, shown_value, type_name

Values = Mapping[str, Any]
"""Hyperparameters or results: names and JSON values."""

LONGEST_NAME = 200
SORTED_CHARACTERS = 64
"""A text is sorted by its first characters: an index takes no long ones."""


def dump_values(values: Values) -> str:
    """Return the JSON text of a mapping of names to values.

    Raises InvalidValueError naming the entry that is not JSON.
    """
    if not isinstance(values, Mapping):
        raise InvalidValueError(
            f"Expected a mapping of names to values, got {type_name(values)}. Use a dict with text keys."
        )
    try:
        return json.dumps({_usable_name(name): _plain(value) for name, value in values.items()})
    except Exception:  # a user's object may raise anything when it is converted; the slow way finds which one it was
        return "{" + ", ".join(_entry(name, value) for name, value in values.items()) + "}"


def load_values(text: str) -> dict[str, Any]:
    """Return the mapping that `dump_values` wrote."""
    loaded: dict[str, Any] = {} if text == "{}" else json.loads(text)
    return loaded


def plain_values(values: Values) -> dict[str, Any]:
    """Return the mapping as it will come back: plain JSON types only. Raises as `dump_values` does."""
    return load_values(dump_values(values))


def json_key(value: Any) -> str:
    """Return a text that two JSON values share only if they are the same one: 1, 1.0, true and "1" are four.

    Python's own comparison takes the first three for equal. The order of the keys of an object does not matter.
    """
    return json.dumps(value, sort_keys=True)


def split_sendable(values: Values) -> tuple[dict[str, Any], list[str]]:
    """Return the entries that are JSON, and a line for each one that is not."""
    sendable: dict[str, Any] = {}
    faults: list[str] = []
    for name, value in values.items():
        try:
            sendable.update(plain_values({name: value}))
        except InvalidValueError as error:
            faults.append(str(error))
    return sendable, faults


def _usable_name(name: object) -> str:
    if not isinstance(name, str):
        raise InvalidValueError(
            f"The name {shown_value(name)} is of type {type_name(name)}, not text. Use text as keys."
        )
    if not 0 < len(name) <= LONGEST_NAME:
        raise InvalidValueError(f"A name has 1 to {LONGEST_NAME} characters, {name[:20]!r} has {len(name)}.")
    return name


def _entry(name: object, value: object) -> str:
    text = json.dumps(_usable_name(name))
    try:
        return f"{text}: {json.dumps(_plain(value))}"
    except Exception as error:  # a user's object may raise anything when it is converted
        raise InvalidValueError(
            f"The value of {shown_value(name)} is not JSON: {_reason(error)}. Use numbers, text, true/false,"
            " None, lists and dicts."
        ) from None


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply, or contains itself"
    return error_message(error) or type_name(error)


def _plain(value: object) -> object:
    """Convert what has ``tolist`` (NumPy) and refuse keys that JSON would silently turn into text."""
    if isinstance(value, Mapping):
        return {_text_key(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, str | int | float):
        return value
    to_list = getattr(value, "tolist", None)
    if callable(to_list):
        return _plain(to_list())
    raise TypeError(f"{type_name(value)} has no JSON form")


def _text_key(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError(f"the key {shown_value(key)} is of type {type_name(key)}, not text")
    return key


def stored_name(name: str) -> str:
    """Return a name as the store has it: ASCII-escaped."""
    return json.dumps(name)[1:-1]


def shown_name(stored: str) -> str:
    """Return the name that `stored_name` wrote."""
    name: str = json.loads(f'"{stored}"')
    return name


def sort_keys(values: Values) -> Iterator[tuple[str, float | None, str | None]]:
    """Yield (stored name, number, text) for each value, as lists of jobs are sorted by them.

    A number or a truth value gives a float; text gives the first characters of its JSON form; anything else, NaN
    included, has no place in the order and gives neither.
    """
    for name, value in values.items():
        if isinstance(value, str):
            yield stored_name(name), None, json.dumps(value)[1:-1][:SORTED_CHARACTERS]
        elif isinstance(value, int | float) and not math.isnan(number := as_float(value)):
            yield stored_name(name), number, None
        else:
            yield stored_name(name), None, None


def as_float(value: int | float) -> float:
    """Return a number as a float: infinity for one beyond all floats."""
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def checked_values(values: Values, *, limit_bytes: int, what: str) -> tuple[dict[str, Any], int]:
    """Return the mapping as it will come back, and the size of its JSON text.

    Raises InvalidValueError as `dump_values` does, and if the text is over `limit_bytes`; `what` names the values.
    """
    text = dump_values(values)
    _check_length(text, limit_bytes=limit_bytes, what=what)
    return load_values(text), len(text)


def checked_size(values: Values, *, limit_bytes: int, what: str) -> int:
    """Return the size of the values' JSON text. Raises InvalidValueError if it is over `limit_bytes`."""
    text = dump_values(values)
    _check_length(text, limit_bytes=limit_bytes, what=what)
    return len(text)


def _check_length(text: str, *, limit_bytes: int, what: str) -> None:
    if len(text) > limit_bytes:
        raise InvalidValueError(
            f"The {what} have {len(text):,} bytes as JSON, the limit is {limit_bytes:,}. Store large data in a file"
            " and send its path, or raise max_message_bytes in the settings."
        )
