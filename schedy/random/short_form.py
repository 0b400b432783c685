"""The short form of a distribution, ``loguniform(1e-4, 1)``: its kind, and its parameters as words."""

import json
import re
from collections.abc import Collection
from typing import Any, NamedTuple

from schedy.errors import InvalidValueError
from schedy.values_text import format_value, parse_value

_CALL = re.compile(r"\s*(?P<kind>[^\W\d]\w*)\s*\((?P<inside>.*)", re.DOTALL)
_NAME = re.compile(r"\s*([^\W\d]\w*)\s*=")
_WORD = re.compile(r"[^,)]*")
_BLANKS = re.compile(r"\s*")
_DECODER = json.JSONDecoder()


class Call(NamedTuple):
    """A short form of which only the kind is read; `inside` is all that follows its opening parenthesis."""

    kind: str
    inside: str


class Words(NamedTuple):
    """The parameters of a short form: values in their order, and values by name."""

    listed: list[Any]
    named: dict[str, Any]


def read_call(text: str) -> Call | None:
    """Return the parts of a short form, None if the text does not begin like one."""
    found = _CALL.fullmatch(text)
    return Call(found["kind"], found["inside"]) if found else None


def read_words(inside: str, names: Collection[str]) -> Words:
    """Return the parameters, each JSON or plain text as after `push -p`, or ``NAME=VALUE`` with one of `names`.

    Raises InvalidValueError naming the word that cannot be read.
    """
    words = Words([], {})
    place = _skip_blanks(inside, 0)
    goes_on = not inside.startswith(")", place)
    while goes_on:
        place = _read_word(inside, place, names, words)
        goes_on = inside.startswith(",", place)
        place += goes_on
    if not inside.startswith(")", place):
        raise InvalidValueError("the closing parenthesis is missing.")
    if rest := inside[place + 1 :].strip():
        raise InvalidValueError(f"there is {rest!r} after the closing parenthesis.")
    return words


def _read_word(inside: str, place: int, names: Collection[str], words: Words) -> int:
    """Add the word at a place to `words`; return the place of what follows it."""
    name = _NAME.match(inside, place)
    if name is None or name[1] not in names:
        value, place = _read_value(inside, place)
        words.listed.append(value)
        return place
    if name[1] in words.named:
        raise InvalidValueError(f"{name[1]!r} is given twice.")
    words.named[name[1]], place = _read_value(inside, name.end())
    return place


def _read_value(text: str, place: int) -> tuple[Any, int]:
    start = _skip_blanks(text, place)
    try:
        value, end = _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        pass
    else:
        end = _skip_blanks(text, end)
        if text.startswith((",", ")"), end):
            return value, end
    end = _end(_WORD, text, start)
    word = text[start:end].strip()
    if not word:
        raise InvalidValueError("a value is missing.")
    try:
        return parse_value(word), end
    except ValueError as error:
        raise InvalidValueError(f"{word}: {error}.") from None


def _skip_blanks(text: str, place: int) -> int:
    return _end(_BLANKS, text, place)


def _end(pattern: re.Pattern[str], text: str, place: int) -> int:
    found = pattern.match(text, place)
    return found.end() if found else place


def write_call(kind: str, words: Words, names: Collection[str]) -> str:
    """Return the short form that `read_call` and `read_words` read."""
    listed = [_written(value, names) for value in words.listed]
    named = [f"{name}={_written(value, ())}" for name, value in words.named.items()]
    return f"{kind}({', '.join([*listed, *named])})"


def _written(value: Any, names: Collection[str]) -> str:
    text = format_value(value)
    name = _NAME.match(text)
    is_misread = "," in text or (name is not None and name[1] in names)
    return json.dumps(text, ensure_ascii=False) if text == value and is_misread else text
