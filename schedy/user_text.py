"""The text of exceptions and values of users, whose own code runs when they are written out. Nothing here raises."""

from typing import Any

LONGEST_MESSAGE = 20_000
"""Characters of an exception's message that are kept."""
_LONGEST_VALUE = 200

_TYPE_NAME: Any = type.__dict__["__name__"]
"""Reads the name of a class as Python stores it, past a metaclass that has another idea of it."""


def error_text(error: BaseException) -> str:
    """Return ``ValueError: message``; the name of the class alone if there is no message, or none that can be read."""
    message = error_message(error)
    return f"{type_name(error)}: {message}" if message else type_name(error)


def error_message(error: BaseException) -> str:
    """Return the message of an exception, empty if it cannot be read."""
    try:
        return _beginning(str(error), LONGEST_MESSAGE)
    except BaseException:  # whatever a user's __str__ does, it must not cost the reason why the job ended
        return ""


def shown_value(value: object) -> str:
    """Return a value as it is shown in a message: its ``repr``, cut, or the name of its class."""
    try:
        return _beginning(repr(value), _LONGEST_VALUE)
    except BaseException:  # as above
        return f"<{type_name(value)}>"


def type_name(value: object) -> str:
    """Return the name of an object's class."""
    return str(_TYPE_NAME.__get__(type(value)))


def _beginning(text: str, length: int) -> str:
    """Return the first characters as plain text, also of a subclass of `str` that does something else."""
    return str.__getitem__(text, slice(length))
