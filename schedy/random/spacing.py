"""Evenly spaced numbers as people write them: exact decimal arithmetic, rounded to a float once."""

from decimal import Context, Decimal

_CONTEXT = Context(prec=60)
_DIGITS = 15
_NEARLY = Decimal("1e-9")
"""Part of a step that may be missing from the last, as three times 0.3333333333333334 is more than 1."""
"""Significant digits that every float keeps."""


def evenly_spaced(low: float, high: float, count: int) -> list[float]:
    """Return `count` numbers, at least 2, from `low` to `high`."""
    first, last, steps = _exact(low), _exact(high), count - 1
    width = _CONTEXT.subtract(last, first)
    between = [_CONTEXT.divide(_CONTEXT.multiply(width, Decimal(place)), Decimal(steps)) for place in range(1, steps)]
    return [float(low), *(float(_CONTEXT.add(first, each)) for each in between), float(high)]


def logarithmically_spaced(low: float, high: float, count: int) -> list[float]:
    """Return `count` positive numbers, at least 2, from `low` to `high`, whose logarithms are evenly spaced."""
    first, steps = _CONTEXT.ln(_exact(low)), count - 1
    width = _CONTEXT.subtract(_CONTEXT.ln(_exact(high)), first)
    between = [_CONTEXT.divide(_CONTEXT.multiply(width, Decimal(place)), Decimal(steps)) for place in range(1, steps)]
    return [float(low), *(float(_CONTEXT.exp(_CONTEXT.add(first, each))) for each in between), float(high)]


def stepped(low: float, step: float, count: int) -> float:
    """Return `low` and `count` times `step`: 0 and 3 times 0.1 is 0.3, and 3 times 0.3333333333333333 is 1."""
    return float(f"{_CONTEXT.add(_exact(low), _CONTEXT.multiply(_exact(step), Decimal(count))):.{_DIGITS}g}")


def whole_steps(low: float, high: float, step: float) -> int:
    """Return how many steps there are from `low` to `high`."""
    width = _CONTEXT.subtract(_exact(high), _exact(low))
    return int(_CONTEXT.add(_CONTEXT.divide(width, _exact(step)), _NEARLY))


def _exact(number: float) -> Decimal:
    """Return the number that a person has written: 0.1 itself, not the float next to it."""
    return Decimal(number) if isinstance(number, int) else Decimal(repr(float(number)))
