"""Random values as users have them: NaN, infinities, large integers, odd text, long names."""

import json
import math
import random
from collections.abc import Mapping
from typing import Any

_SCALARS: list[Any] = [
    *(math.nan, math.inf, -math.inf, 0.0, -0.0, 5e-324, 1.7976931348623157e308, 0.1),
    *(0, -1, 2**31, 2**63, -(2**64), 10**400, True, False, None),
]
_CHARACTERS = ["\x00", "\ud800", "\udfff", "\u2028", "\x1b[31m", "😀", "é", '"', "\\", "\n", "NaN", " ", "a", "\u202e"]


def odd_values(drawn: random.Random, *, most: int = 6) -> dict[str, Any]:
    """Return hyperparameters, results or a state."""
    return {_name(drawn): _value(drawn, depth=2) for _ in range(drawn.randint(1, most))}


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return True if two values are the same, types, order and NaN included."""
    return json.dumps(one) == json.dumps(other)


def odd_text(drawn: random.Random, *, most: int = 8) -> str:
    """Return a text, which may be empty."""
    return "".join(drawn.choices(_CHARACTERS, k=drawn.randint(0, most)))


def _name(drawn: random.Random) -> str:
    return (odd_text(drawn) or "x") if drawn.random() < 0.8 else drawn.choice("aé😀\ud800") * 200


def _value(drawn: random.Random, *, depth: int) -> Any:
    kind = drawn.random()
    if depth and kind < 0.15:
        return [_value(drawn, depth=depth - 1) for _ in range(drawn.randint(0, 3))]
    if depth and kind < 0.3:
        return {odd_text(drawn): _value(drawn, depth=depth - 1) for _ in range(drawn.randint(0, 3))}
    return odd_text(drawn) if kind < 0.5 else drawn.choice(_SCALARS)
