"""The columns that a text takes on a terminal."""

import re
import unicodedata

import click

_MARK = "…"
_COLOURED = re.compile("\x1b\\[[0-9;]*m|.", re.DOTALL)
"""Matches a change of colour, or one character."""
_NO_WIDTH = {"Mn", "Me", "Cf"}
"""Categories of characters that take no column: marks on others, and formats."""


def width(text: str) -> int:
    """Return the number of columns of a text, with its colours, on a terminal: Chinese or an emoji takes two each."""
    plain = click.unstyle(text)
    return len(plain) if plain.isascii() else sum(map(_columns, plain))


def padded(text: str, columns: int) -> str:
    """Return the text with blanks up to that width."""
    return text + " " * (columns - width(text))


def cut(text: str, columns: int) -> str:
    """Return the text, with its colours, cut to that width; a mark stands for what is missing."""
    if width(text) <= columns:
        return text
    parts: list[str] = []
    room = columns - 1
    for part in _COLOURED.findall(text):
        if len(part) > 1:
            parts.append(part)
            continue
        room -= _columns(part)
        if room >= 0:
            parts.append(part)
        elif _MARK not in parts:
            parts.append(_MARK)
    return "".join(parts)


def _columns(character: str) -> int:
    if unicodedata.category(character) in _NO_WIDTH:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
