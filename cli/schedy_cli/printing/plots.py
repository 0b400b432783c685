"""Plots, drawn with the characters of a terminal."""

import itertools
from collections.abc import Iterator, Sequence
from functools import singledispatch

import click

from schedy.escaping import printable
from schedy.results.plots.axes import Axis
from schedy.results.plots.data import Curves, Dots, Front, History, Plot
from schedy.results.plots.hyperparameters import Importance, Panel, Parallel, Slices
from schedy.results.plots.timeline import STATUSES, Timeline
from schedy_cli.printing.canvas import Canvas, Span, below, framed, label_width
from schedy_cli.printing.width import padded, width

_HEIGHT, _PANEL_HEIGHT = 14, 7
_PANEL_WIDTH = 38
_LEAST_WIDTH = 40
_DRAWN_LINES = 20
_COLOURS = {
    "DONE": "blue",
    "PRUNED": "bright_black",
    "CRASHED": "red",
    "LOST": "magenta",
    "RELEASED": "yellow",
    "RUNNING": "cyan",
}
_BEST = "yellow"
_BLOCKS = {"DONE": "█", "PRUNED": "▒", "CRASHED": "x", "LOST": "!", "RELEASED": "-", "RUNNING": "▶"}


def plot_lines(plot: Plot, columns: int) -> Iterator[str]:
    """Return the lines of a plot of so many columns."""
    yield click.style(printable(plot.title), bold=True)
    yield from _lines(plot, max(columns, _LEAST_WIDTH))
    if plot.note:
        yield from click.wrap_text(printable(plot.note), columns).split("\n")


@singledispatch
def _lines(plot: Plot, columns: int) -> Iterator[str]:
    raise TypeError(type(plot).__name__)


def _ticks(axis: Axis) -> list[tuple[float, str]]:
    return [(place, printable(text)) for place, text in axis.ticks]


def _canvas(x: Axis, y: Axis, columns: int, rows: int) -> Canvas:
    return Canvas(Span(x.low, x.high), Span(y.low, y.high), columns=columns, rows=rows)


def _frame(canvas: Canvas, x: Axis, y: Axis, labels: int) -> Iterator[str]:
    yield from framed(canvas, _ticks(x), _ticks(y), labels=labels)
    yield f"{' ' * (labels + 2)}{printable(x.label):^{canvas.columns}}".rstrip()


def _draw(canvas: Canvas, dots: Dots, colour: str) -> None:
    for x, y in zip(dots.x, dots.y, strict=True):
        canvas.dot(x, y, colour)


@_lines.register
def _history(plot: History, columns: int) -> Iterator[str]:
    labels = label_width(_ticks(plot.y))
    canvas = _canvas(plot.x, plot.y, columns - labels - 2, _HEIGHT)
    _draw(canvas, plot.pruned, _COLOURS["PRUNED"])
    _draw(canvas, plot.broken, "magenta")
    _draw(canvas, plot.done, _COLOURS["DONE"])
    _draw(canvas, plot.outside, _COLOURS["DONE"])
    best = list(zip(plot.best.x, plot.best.y, strict=True))
    corners = [(after, before_y) for (_x, before_y), (after, _y) in itertools.pairwise(best)]
    canvas.path([point for pair in itertools.zip_longest(best, corners) for point in pair if point], _BEST)
    for x, y in zip(plot.crashed.x, plot.crashed.y, strict=True):
        canvas.mark(x, y, "x", _COLOURS["CRASHED"])
    yield from _frame(canvas, plot.x, plot.y, labels)


@_lines.register
def _front(plot: Front, columns: int) -> Iterator[str]:
    labels = label_width(_ticks(plot.y))
    canvas = _canvas(plot.x, plot.y, columns - labels - 2, _HEIGHT)
    for dots, colour in ((plot.pruned, "bright_black"), (plot.broken, "magenta"), (plot.done, "blue")):
        _draw(canvas, dots, colour)
    for x, y in zip(plot.front.x, plot.front.y, strict=True):
        canvas.mark(x, y, "o", _BEST)
    yield f"{' ' * (labels + 2)}{printable(plot.y.label)}; the front: o"
    yield from _frame(canvas, plot.x, plot.y, labels)


@_lines.register
def _curves(plot: Curves, columns: int) -> Iterator[str]:
    labels = label_width(_ticks(plot.y))
    canvas = _canvas(plot.x, plot.y, columns - labels - 2, _HEIGHT)
    for line in plot.lines:
        canvas.path(list(zip(line.x, line.y, strict=True)), _BEST if line.is_best else _COLOURS[line.status])
    yield from _frame(canvas, plot.x, plot.y, labels)


@_lines.register
def _parallel(plot: Parallel, columns: int) -> Iterator[str]:
    canvas = Canvas(Span(0, len(plot.axes) - 1), Span(0, 1), columns=columns, rows=_HEIGHT)
    drawn = [line for line, shade in zip(plot.lines, plot.shades, strict=True) if shade is not None][-_DRAWN_LINES:]
    for number, line in enumerate(drawn):
        shares = [(place - axis.low) / (axis.high - axis.low) for axis, place in zip(plot.axes, line, strict=True)]
        is_best = number >= len(drawn) - max(1, len(drawn) // 10)
        canvas.path([(float(x), y) for x, y in enumerate(shares)], _BEST if is_best else "blue")
    for pick in (-1, 0):
        yield below(canvas, [(float(x), _ticks(axis)[pick][1]) for x, axis in enumerate(plot.axes) if axis.ticks])
        if pick == -1:
            yield from canvas.lines()
    yield below(canvas, [(float(x), printable(axis.label)) for x, axis in enumerate(plot.axes)])
    yield f"The best {len(drawn)} of {len(plot.lines)} jobs."


@_lines.register
def _slices(plot: Slices, columns: int) -> Iterator[str]:
    beside = max(1, columns // _PANEL_WIDTH)
    each = columns // beside - 2
    for start in range(0, len(plot.panels), beside):
        drawn = [list(_panel(panel, plot.y, each)) for panel in plot.panels[start : start + beside]]
        for row in zip(*drawn, strict=True):
            yield "  ".join(padded(line, each) for line in row).rstrip()


def _panel(panel: Panel, y: Axis, columns: int) -> Iterator[str]:
    labels = label_width(_ticks(y))
    canvas = _canvas(panel.x, y, columns - labels - 2, _PANEL_HEIGHT)
    _draw(canvas, panel.pruned, _COLOURS["PRUNED"])
    _draw(canvas, panel.done, _COLOURS["DONE"])
    yield from _frame(canvas, panel.x, y, labels)


@_lines.register
def _importance(plot: Importance, columns: int) -> Iterator[str]:
    labels = max(width(printable(name)) for name in plot.names)
    room = max(10, columns - labels - 9)
    largest = max(*plot.shares, 1e-9)
    for name, share in zip(plot.names, plot.shares, strict=True):
        bar = click.style("█" * round(room * share / largest), fg=_COLOURS["DONE"])
        yield f"{padded(printable(name), labels)} {bar} {share * 100:.1f} %"


@_lines.register
def _timeline(plot: Timeline, columns: int) -> Iterator[str]:
    labels = max(width(printable(name)) for name in plot.rows)
    room = columns - labels - 1
    canvas = Canvas(Span(plot.x.low, plot.x.high), Span(0, 1), columns=room, rows=1)
    rows = [["·"] * room for _ in plot.rows]
    for status in STATUSES:
        for bar in (bar for bar in plot.bars if bar.status == status):
            first, last = (canvas.x.place(x, room) for x in (bar.start, bar.start + bar.length))
            block = click.style(_BLOCKS[status], fg=_COLOURS[status])
            rows[bar.row][first : last + 1] = [block] * (last + 1 - first)
    for name, row in zip(plot.rows, rows, strict=True):
        yield f"{padded(printable(name), labels)} {''.join(row)}"
    yield f"{' ' * labels} {below(canvas, _ticks(plot.x))}"
    yield f"{' ' * labels} {printable(plot.x.label)}"
    there = _there(plot)
    yield f"{' ' * labels} {'  '.join(f'{click.style(_BLOCKS[name], fg=_COLOURS[name])} {name}' for name in there)}"


def _there(plot: Timeline) -> Sequence[str]:
    there = {bar.status for bar in plot.bars}
    return [status for status in STATUSES if status in there]
