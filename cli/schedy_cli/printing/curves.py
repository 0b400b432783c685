"""Learning curves, drawn with the characters of a terminal."""

import itertools
import math
from collections.abc import Iterator, Sequence

from schedy.values_text import format_name
from schedy.wire.records import Point
from schedy_cli.printing.canvas import Canvas, Span

_WIDTH, _HEIGHT = 60, 8


def curve_lines(points: Sequence[Point]) -> Iterator[str]:
    """Return the lines of a drawing for each value that a job has reported by step."""
    names = list(dict.fromkeys(name for point in points for name in point.values))
    for name in names:
        curve = [(point.step, point.values[name]) for point in points if name in point.values]
        yield from _drawing(name, curve)


def _drawing(name: str, curve: list[tuple[int, float]]) -> Iterator[str]:
    finite = [(float(step), value) for step, value in curve if math.isfinite(value)]
    last_step, last = curve[-1]
    heading = f"Curve of {format_name(name)}, {len(curve)} step{'s' * (len(curve) > 1)}, {last:g} at {last_step}"
    if len(finite) < 2:
        yield f"{heading}."
        return
    yield f"{heading}:"
    low, high = min(value for _step, value in finite), max(value for _step, value in finite)
    width = max(len(f"{low:.4g}"), len(f"{high:.4g}"))
    canvas = Canvas(Span(finite[0][0], finite[-1][0]), Span(low, high), columns=_WIDTH, rows=_HEIGHT)
    for is_finite, run in itertools.groupby(curve, key=lambda point: math.isfinite(point[1])):
        if is_finite:  # a gap stays where a value is none
            canvas.path(list(run))
    for row, line in enumerate(canvas.lines()):
        label = f"{high:.4g}" if row == 0 else f"{low:.4g}" if row == _HEIGHT - 1 else ""
        yield f" {label:>{width}} {line}".rstrip()
    first, final = f"{finite[0][0]:.0f}", f"{finite[-1][0]:.0f}"
    yield f" {'':>{width}} {first}{final:>{_WIDTH - len(first)}}"
