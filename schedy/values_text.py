"""Values and names as words of the command line: JSON or plain text, printed as they are read."""

import json
import math
import re
from typing import Any

_NOT_JSON = {
    "True": "true",
    "False": "false",
    "None": "null",
    "nan": "NaN",
    "inf": "Infinity",
    "+inf": "Infinity",
    "-inf": "-Infinity",
}
_BARE_FRACTION = re.compile(r"-?\.\d+")
_TEXT_STARTS = "/_"
_NOT_IN_TEXT = set(" \t\r\n\"'`()[]{}")


def parse_value(word: str) -> Any:
    """Return the value of a word: JSON, or plain text. Raises ValueError saying what to write instead."""
    if word in _NOT_JSON:
        raise ValueError(f"write {_NOT_JSON[word]} for the JSON value, or '\"{word}\"' for the text")
    try:
        return json.loads(word)
    except (ValueError, RecursionError):
        pass
    if is_plain_text(word):
        return word
    if _BARE_FRACTION.fullmatch(word):
        raise ValueError(f"it is not JSON; write {word.replace('.', '0.')}")
    raise ValueError(f"it is not JSON; for text write '{json.dumps(word, ensure_ascii=False)}'")


def is_plain_text(word: str) -> bool:
    """Return true if a word that is not JSON is text as it is, without quotes."""
    starts_well = bool(word) and (word[0].isalpha() or word[0] in _TEXT_STARTS)
    return starts_well and word.isprintable() and not _NOT_IN_TEXT.intersection(word)


def format_value(value: Any) -> str:
    """Return a value as `parse_value` reads it."""
    if isinstance(value, str) and is_plain_text(value) and not _reads_as_something_else(value):
        return value
    text = json.dumps(value, ensure_ascii=False)
    return text if text.isprintable() else json.dumps(value)


def _reads_as_something_else(word: str) -> bool:
    if word in _NOT_JSON:
        return True
    try:
        json.loads(word)
    except ValueError:
        return False
    return True


def format_quality(quality: float) -> str:
    """Return a quality: ``0.0``, ``NaN``, ``Infinity``."""
    return json.dumps(quality) if math.isfinite(quality) else format_value(quality)


def format_name(name: str) -> str:
    """Return the name of a hyperparameter or result, as JSON if it cannot be printed."""
    return name if name.isprintable() else format_value(name)
