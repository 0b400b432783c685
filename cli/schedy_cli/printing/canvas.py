"""Drawings with the characters of a terminal: points and lines as Braille dots, in a frame with ticks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import click

from schedy_cli.printing.width import padded, width

_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""The bits of the eight dots of a Braille character, by row and column (Unicode, Braille Patterns)."""
_BLANK = 0x2800
Ticks = Sequence[tuple[float, str]]


@dataclass(frozen=True)
class Span:
    """The numbers from one end of an axis to the other."""

    low: float
    high: float

    def place(self, value: float, places: int) -> int:
        """Return which of so many places a value has."""
        whole = self.high / 2 - self.low / 2  # halves: the difference may be too large
        share = (value / 2 - self.low / 2) / whole if whole > 0 else 0.0
        return min(max(round(share * (places - 1)), 0), places - 1)


class Canvas:
    """A drawing of some columns and rows of characters. What is drawn later decides the colour of a character."""

    def __init__(self, x: Span, y: Span, *, columns: int, rows: int) -> None:
        self.x, self.y = x, y
        self.columns, self.rows = columns, rows
        self._bits = [[0] * columns for _ in range(rows)]
        self._marks: dict[tuple[int, int], str] = {}
        self._colours: dict[tuple[int, int], str] = {}

    def dot(self, x: float, y: float, colour: str | None = None) -> None:
        """Draw a point."""
        self._set(*self._place(x, y), colour)

    def line(self, start: tuple[float, float], end: tuple[float, float], colour: str | None = None) -> None:
        """Draw a line between two points."""
        (x0, y0), (x1, y1) = self._place(*start), self._place(*end)
        steps = max(abs(x1 - x0), abs(y1 - y0), 1)
        for step in range(steps + 1):
            self._set(x0 + round((x1 - x0) * step / steps), y0 + round((y1 - y0) * step / steps), colour)

    def path(self, points: Sequence[tuple[float, float]], colour: str | None = None) -> None:
        """Draw lines from point to point; one point alone as a dot."""
        for start, end in zip(points, points[1:] or points, strict=False):
            self.line(start, end, colour)

    def mark(self, x: float, y: float, character: str, colour: str | None = None) -> None:
        """Write a character at a point."""
        column, row = self._place(x, y)
        self._marks[row // 4, column // 2] = click.style(character, fg=colour) if colour else character

    def lines(self) -> list[str]:
        """Return the rows of characters, without the blanks at their ends."""
        return [self._line(row) for row in range(self.rows)]

    def _place(self, x: float, y: float) -> tuple[int, int]:
        rows = self.rows * 4
        return self.x.place(x, self.columns * 2), rows - 1 - self.y.place(y, rows)

    def _set(self, column: int, row: int, colour: str | None) -> None:
        at = row // 4, column // 2
        self._bits[at[0]][at[1]] |= _DOTS[row % 4][column % 2]
        if colour is not None:
            self._colours[at] = colour

    def _line(self, row: int) -> str:
        last = max((column for column in range(self.columns) if self._is_drawn(row, column)), default=-1)
        return "".join(self._character(row, column) for column in range(last + 1))

    def _is_drawn(self, row: int, column: int) -> bool:
        return bool(self._bits[row][column]) or (row, column) in self._marks

    def _character(self, row: int, column: int) -> str:
        if (row, column) in self._marks:
            return self._marks[row, column]
        character = chr(_BLANK + self._bits[row][column])
        colour = self._colours.get((row, column)) if self._bits[row][column] else None
        return click.style(character, fg=colour) if colour else character


def label_width(ticks: Ticks) -> int:
    """Return the columns that the texts of ticks take."""
    return max((width(text) for _place, text in ticks), default=0)


def framed(canvas: Canvas, x_ticks: Ticks, y_ticks: Ticks, *, labels: int | None = None) -> Iterator[str]:
    """Return the lines of a drawing with its axes; `labels` columns for the texts beside it."""
    labels = label_width(y_ticks) if labels is None else labels
    texts = {canvas.rows - 1 - canvas.y.place(place, canvas.rows): text for place, text in y_ticks}
    for row, line in enumerate(canvas.lines()):
        text = texts.get(row, "")
        yield f"{' ' * (labels - width(text))}{text} {'┤' if text else '│'}{line}".rstrip()
    yield f"{' ' * labels} └{'─' * canvas.columns}"
    yield " " * (labels + 2) + below(canvas, x_ticks)


def below(canvas: Canvas, ticks: Ticks) -> str:
    """Return a line with the texts of ticks below their places, those left out that would not fit."""
    line = ""
    for place, text in ticks:
        start = canvas.x.place(place, canvas.columns) - width(text) // 2
        start = min(max(start, 0), max(0, canvas.columns - width(text)))
        if not line or start > width(line):
            line = padded(line, max(start, width(line))) + text
    return line
