"""A curve in one line of text."""

import math
from collections.abc import Sequence

_LEVELS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float]) -> str:
    """Return a character for each value, from the lowest to the highest of them; a blank for NaN and infinities."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return " " * len(values)
    low, high = min(finite), max(finite)
    return "".join(_level(value, low, high) if math.isfinite(value) else " " for value in values)


def _level(value: float, low: float, high: float) -> str:
    if low == high:
        return _LEVELS[len(_LEVELS) // 2]
    share = (value / 2 - low / 2) / (high / 2 - low / 2)  # halves: the difference may be too large
    return _LEVELS[min(len(_LEVELS) - 1, int(share * len(_LEVELS)))]
