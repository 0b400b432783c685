"""The values that users write into a job, checked before they are sent: results, quality, points and errors."""

import math
import operator
from collections.abc import Mapping
from typing import Any

from schedy.errors import InvalidValueError
from schedy.user_text import LONGEST_MESSAGE, shown_value
from schedy.wire.records import Point
from schedy.wire.values import dump_values, split_sendable


def checked_quality(quality: object) -> float:
    """Return a quality as a float. Raises InvalidValueError."""
    try:
        number = float(quality)  # type: ignore[arg-type]
    except Exception:  # a user's object may raise anything when it is converted
        raise InvalidValueError(f"The quality is a number, not {shown_value(quality)}.") from None
    return number if not math.isnan(number) else math.nan


def sendable_quality(quality: object) -> float:
    """Return a quality as a float, 0.0 for what is none."""
    try:
        return checked_quality(quality)
    except InvalidValueError:
        return 0.0


def checked_point(step: object, values: Mapping[str, Any]) -> Point:
    """Return a point of a learning curve. Raises InvalidValueError."""
    try:
        return Point(step=operator.index(step), values={name: float(value) for name, value in values.items()})  # type: ignore[arg-type]
    except Exception:  # a user's object may raise anything when it is converted
        shown = ", ".join(f"{name}={shown_value(value)}" for name, value in values.items())
        raise InvalidValueError(
            f"report({shown_value(step)}, {shown}): the step is a whole number, values are numbers."
        ) from None


def sendable_results(results: object, *, limit_bytes: int) -> dict[str, Any]:
    """Return those entries of unsendable results that can be sent: the smallest first, up to the limit."""
    sendable, _faults = split_sendable(results) if isinstance(results, dict) else ({}, [])
    sizes = {name: len(dump_values({name: value})) for name, value in sendable.items()}
    room = limit_bytes
    kept: dict[str, Any] = {}
    for name in sorted(sendable, key=sizes.__getitem__):
        room -= sizes[name]
        if room >= 0:
            kept[name] = sendable[name]
    return kept


def storable_error(text: str | None) -> str | None:
    """Return an error without what no database stores (NUL, lone surrogates), cut to `LONGEST_MESSAGE` characters."""
    if text is None:
        return None
    return text.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")[:LONGEST_MESSAGE]
