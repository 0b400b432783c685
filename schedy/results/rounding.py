"""Values and times with as many digits as people read."""

import math
from typing import Any

from schedy.values_text import format_value

_DIGITS = 4
_PLAIN_FROM, _PLAIN_TO = 1e-4, 1e6


def rounded(number: float) -> str:
    """Return a number with four significant digits: ``0.9833``, ``12346``, ``6.8e-05``; all digits before the point."""
    if not math.isfinite(number):
        return format_value(number)
    if number == 0 or _PLAIN_FROM <= abs(number) < _PLAIN_TO:
        decimals = 0 if number == 0 else max(0, _DIGITS - 1 - math.floor(math.log10(abs(number))))
        text = f"{number:.{decimals}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return f"{number:.{_DIGITS}g}"


def short_value(value: Any) -> str:
    """Return a value as it is written on the command line, a number with a fraction rounded."""
    return rounded(value) if isinstance(value, float) else format_value(value)


def duration(seconds: float) -> str:
    """Return a measured time: ``0.21 s``, ``6.2 s``, ``41 s``, ``4 min 10 s``, ``3 h 05 min``, ``2 d 4 h``."""
    if seconds < 9.95:
        return f"{max(0.0, seconds):.2g} s"
    whole = round(seconds)
    for large, small, length, unit in (("d", "h", 86_400, 3_600), ("h", "min", 3_600, 60), ("min", "s", 60, 1)):
        if whole >= length:
            return f"{whole // length} {large} {whole % length // unit:0{1 if large == 'd' else 2}} {small}"
    return f"{whole} s"


def about(seconds: float) -> str:
    """Return an estimated time: ``about 40 s``, ``about 3 min``, ``about 5 h``, ``about 2 days``."""
    for unit, length in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 1.5 * length:
            return f"about {round(seconds / length)} {unit}"
    return f"about {max(1, round(seconds)) if seconds < 10 else round(seconds / 10) * 10} s"
