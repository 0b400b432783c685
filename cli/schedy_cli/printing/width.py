"""The columns that a text takes on a terminal."""

import unicodedata

import click

_NO_WIDTH = {"Mn", "Me", "Cf"}
"""Categories of characters that take no column: marks on others, and formats."""


def width(text: str) -> int:
    """Return the number of columns of a text, with its colours, on a terminal: Chinese or an emoji takes two each."""
    plain = click.unstyle(text)
    return len(plain) if plain.isascii() else sum(map(_columns, plain))


def padded(text: str, columns: int) -> str:
    """Return the text with blanks up to that width."""
    return text + " " * (columns - width(text))


def _columns(character: str) -> int:
    if unicodedata.category(character) in _NO_WIDTH:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
