"""The values that users write into a job, checked before they are sent: results, quality, points and errors."""

import math
import operator
from collections.abc import Iterable, Mapping
from typing import Any

from schedy.errors import InvalidValueError
from schedy.search.definition import Objective, as_observation
from schedy.user_text import LONGEST_MESSAGE, shown_value
from schedy.wire.records import Point
from schedy.wire.values import LONGEST_NAME, Values, dump_values, split_sendable


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


def sendable_point(step: object, values: Mapping[str, Any]) -> tuple[Point | None, str | None]:
    """Return a point of a learning curve without the values that cannot be one, and what is wrong with them.

    Without a usable step there is no point. A step that equals a whole number is one: trainers count epochs in floats.
    """
    try:
        return Point(step=_whole(step), values={name: float(value) for name, value in values.items()}), None
    except Exception:  # a user's object may raise anything when it is converted; the slow way finds which one it was
        return _usable_part(step, values)


def _usable_part(step: object, values: Mapping[str, Any]) -> tuple[Point | None, str | None]:
    try:
        point = Point(step=_whole(step), values={})
    except Exception:  # as above
        return None, f"the step {shown_value(step)} is no whole number of up to 16 digits."
    usable: dict[str, float] = {}
    faults: list[str] = []
    for name, value in values.items():
        try:
            usable |= Point(step=point.step, values={name: float(value)}).values
        except Exception:  # as above
            faults.append(f"{shown_value(name)}: {shown_value(value)}")
    fault = f"these values are no numbers, or their names have no 1 to {LONGEST_NAME} characters: {', '.join(faults)}."
    return (point.model_copy(update={"values": usable}) if usable else None), fault


def _whole(step: Any) -> int:
    """Return a step that equals a whole number as one. Raises whatever the conversion does."""
    try:
        return operator.index(step)
    except TypeError:
        number = int(step)
        if isinstance(step, str | bytes) or number != step:
            raise
        return number


def unobserved_result(objectives: Iterable[Objective], results: Values) -> str | None:
    """Return what the results of a DONE job lack of the objectives of its experiment, None if they have all."""
    for objective in objectives:
        name = objective.result
        if as_observation(results.get(name)) is None:
            what = f"is {shown_value(results[name])}, no number" if name in results else "is missing"
            there = ", ".join(map(repr, results)) or "none"
            return f"its result {name!r}, to {objective.direction}, {what}. Its results: {there}."
    return None


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
