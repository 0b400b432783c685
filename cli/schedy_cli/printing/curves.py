"""Learning curves, drawn with the characters of a terminal."""

import math
from collections.abc import Iterator, Sequence

from schedy.values_text import format_name
from schedy.wire.records import Point

_WIDTH, _HEIGHT = 60, 8
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""The bits of the eight dots of a Braille character, by row and column (Unicode, Braille Patterns)."""
_BLANK = 0x2800


def curve_lines(points: Sequence[Point]) -> Iterator[str]:
    """Return the lines of a drawing for each value that a job has reported by step."""
    names = list(dict.fromkeys(name for point in points for name in point.values))
    for name in names:
        curve = [(point.step, point.values[name]) for point in points if name in point.values]
        yield from _drawing(name, curve)


def _drawing(name: str, curve: list[tuple[int, float]]) -> Iterator[str]:
    finite = [(step, value) for step, value in curve if math.isfinite(value)]
    last_step, last = curve[-1]
    yield f"Curve of {format_name(name)}, {len(curve)} steps, {last:g} at {last_step}:"
    if len(finite) < 2:
        return
    low, high = min(value for _step, value in finite), max(value for _step, value in finite)
    width = max(len(f"{low:.4g}"), len(f"{high:.4g}"))
    for row, line in enumerate(_rows(finite, low, high)):
        label = f"{high:.4g}" if row == 0 else f"{low:.4g}" if row == _HEIGHT - 1 else ""
        yield f" {label:>{width}} {line}".rstrip()
    first, final = str(finite[0][0]), str(finite[-1][0])
    yield f" {'':>{width}} {first}{final:>{_WIDTH - len(first)}}"


def _rows(curve: list[tuple[int, float]], low: float, high: float) -> list[str]:
    """Return the rows of characters that draw a curve, with eight dots each."""
    cells = [[0] * _WIDTH for _ in range(_HEIGHT)]
    first, last = curve[0][0], curve[-1][0]
    for step, value in curve:
        column = _place(step - first, last - first, _WIDTH * 2)
        row = _place(high / 2 - value / 2, high / 2 - low / 2, _HEIGHT * 4)  # halves: the difference may be too large
        cells[row // 4][column // 2] |= _DOTS[row % 4][column % 2]
    return ["".join(chr(_BLANK + cell) for cell in cells[row]).rstrip(chr(_BLANK)) for row in range(_HEIGHT)]


def _place(distance: float, whole: float, places: int) -> int:
    return round(distance / whole * (places - 1)) if whole > 0 else 0
