"""Plots as plotly's figures, in its own form of JSON: neither making nor storing them needs the library."""

import html
import math
from collections.abc import Iterable, Sequence
from functools import singledispatch
from typing import Any

from schedy.escaping import printable
from schedy.results.plots.axes import Axis, narrow
from schedy.results.plots.colours import BEST, BROKEN, GRID, INK, SCALE, STATUS
from schedy.results.plots.data import Curves, Dots, Front, History, Line, Plot
from schedy.results.plots.hyperparameters import Importance, Parallel, Slices
from schedy.results.plots.timeline import STATUSES, Timeline

Figure = dict[str, Any]
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_COLUMNS = 3
_ROW_GAP = 0.3
_BORDERED = 60
"""Bars in a row up to which they have borders."""
_LINES = {"PRUNED": (1, 0.6), "CRASHED": (1, 0.6), "RUNNING": (1.5, 1), "DONE": (1, 0.45), "best": (2.5, 1)}
"""Width and opacity of learning curves, in the order in which they are drawn."""
_COLOURS: list[list[Any]] = [[place / (len(SCALE) - 1), colour] for place, colour in enumerate(SCALE)]
_AGES = [[place / (len(SCALE) - 1), colour] for place, colour in enumerate(reversed(SCALE))]
_FAINT = -0.1
"""The place of PRUNED jobs on the scale of colours in parallel coordinates."""


def figure(plot: Plot) -> Figure:
    """Return the figure of a plot: a dict with `data` and `layout`."""
    made = _figure(plot)
    layout = made["layout"]
    title = f"{_text(plot.title)}<br><sup>{_text(plot.note)}</sup>" if plot.note else _text(plot.title)
    base = {
        "title": {"text": title, "x": 0.01, "xanchor": "left", "font": {"size": 16}},
        "font": {"family": _FONT, "size": 12, "color": INK},
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "hovermode": "closest",
        "hoverlabel": {"align": "left", "bgcolor": "white", "font": {"size": 12}},
        "margin": {"l": 70, "r": 30, "t": 70, "b": 55},
        "height": 420,
        "legend": {"orientation": "h", "x": 1, "xanchor": "right", "y": 1.02, "yanchor": "bottom"},
    }
    return {"data": made["data"], "layout": base | layout}


def _text(text: str) -> str:
    """Return a text as plotly shows it: it reads some of HTML in texts."""
    return html.escape(printable(text), quote=False)


def _texts(texts: Iterable[str]) -> list[str]:
    return ["<br>".join(map(_text, text.split("\n"))) for text in texts]


def _axis(axis: Axis, **more: Any) -> Figure:
    return {
        "title": {"text": _text(axis.label), "standoff": 10},
        "automargin": True,
        "range": [axis.low, axis.high],
        "tickvals": [place for place, _text in axis.ticks],
        "ticktext": [_text(text) for _place, text in axis.ticks],
        "gridcolor": GRID,
        "linecolor": INK,
        "ticks": "outside",
        "tickcolor": GRID,
        "showline": True,
        "zeroline": False,
        **more,
    }


def _places(numbers: Sequence[float], axis: Axis) -> list[float]:
    """Return places on an axis with as many digits as can be seen."""
    digits = 4 - math.floor(math.log10(axis.high - axis.low))
    return [round(number, digits) for number in numbers]


def _dots(dots: Dots, axes: tuple[Axis, Axis], name: str, marker: Figure, **more: Any) -> Figure:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": _places(dots.x, axes[0]),
        "y": _places(dots.y, axes[1]),
        "hovertext": _texts(dots.texts),
        "hoverinfo": "text",
        "marker": marker,
        "cliponaxis": False,
        **more,
    }


@singledispatch
def _figure(plot: Plot) -> Figure:
    raise TypeError(type(plot).__name__)


@_figure.register
def _history(plot: History) -> Figure:
    done, crashed = STATUS["DONE"], STATUS["CRASHED"]
    cross = {"color": crashed, "size": 8, "symbol": "x-thin", "line": {"width": 2, "color": crashed}}
    axes = (plot.x, plot.y)
    traces = [
        *_others(plot),
        _dots(plot.done, axes, "DONE", {"color": done, "size": 7, "opacity": 0.75}),
        _dots(plot.outside, axes, "beyond the axis", {"color": done, "size": 9, "symbol": "triangle-up-open"}),
        _dots(plot.crashed, axes, "CRASHED", cross),
        _dots(plot.best, axes, "best so far", {}, mode="lines", line={"color": BEST, "width": 2.5, "shape": "hv"}),
    ]
    return {"data": _there(traces), "layout": {"xaxis": _axis(plot.x), "yaxis": _axis(plot.y)}}


def _others(plot: History | Front) -> list[Figure]:
    """Return the dots of jobs that do not compete."""
    faint = {"color": STATUS["PRUNED"], "size": 6, "symbol": "circle-open"}
    broken = {"color": BROKEN, "size": 6, "symbol": "diamond-open"}
    axes = (plot.x, plot.y)
    return [_dots(plot.pruned, axes, "PRUNED", faint), _dots(plot.broken, axes, "breaks a constraint", broken)]


def _there(traces: Iterable[Figure]) -> list[Figure]:
    return [trace for trace in traces if trace["x"]]


@_figure.register
def _front(plot: Front) -> Figure:
    axes = (plot.x, plot.y)
    line = {"color": BEST, "width": 2, "dash": "dot"}
    traces = [
        *_others(plot),
        _dots(plot.done, axes, "DONE", {"color": STATUS["DONE"], "size": 7, "opacity": 0.5}),
        _dots(plot.front, axes, "Pareto front", {"color": BEST, "size": 10}, mode="lines+markers", line=line),
    ]
    return {"data": _there(traces), "layout": {"xaxis": _axis(plot.x), "yaxis": _axis(plot.y)}}


@_figure.register
def _curves(plot: Curves) -> Figure:
    traces = []
    for name, (width, opacity) in _LINES.items():
        lines = [line for line in plot.lines if ("best" if line.is_best else line.status) == name]
        colour = STATUS.get(name, BEST)
        if lines:
            traces.append(_lines(plot, name, lines, {"line": {"color": colour, "width": width}, "opacity": opacity}))
    return {"data": traces, "layout": {"xaxis": _axis(plot.x), "yaxis": _axis(plot.y)}}


def _lines(plot: Curves, name: str, lines: Sequence[Line], look: Figure) -> Figure:
    """Return many lines as one, with gaps: far quicker to draw. Each has its text at its last point."""
    x: list[float | None] = []
    y: list[float | None] = []
    texts: list[str] = []
    for line, text in zip(lines, _texts(line.text for line in lines), strict=True):
        x.extend([*line.x, None])
        y.extend([*_places(line.y, plot.y), None])
        texts.extend([*[text.partition(" ")[0]] * (len(line.x) - 1), text, ""])
    trace: Figure = {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": x,
        "y": y,
        "hovertext": texts,
        "hoverinfo": "text",
    }
    if any(len(line.x) == 1 for line in lines):
        trace |= {"mode": "lines+markers", "marker": {"size": 3}}
    return trace | look | {"connectgaps": False}


@_figure.register
def _parallel(plot: Parallel) -> Figure:
    colours = [_FAINT if shade is None else round(shade, 3) for shade in plot.shades]
    share = -_FAINT / (1 - _FAINT)
    scale: list[list[Any]] = [[0, "#dde0e3"], [share * 0.9, "#dde0e3"]]
    scale += [[share + (1 - share) * place, colour] for place, colour in _COLOURS]
    dimensions = [
        {
            "label": _text(axis.label),
            "range": [axis.low, axis.high],
            "tickvals": [place for place, _text in axis.ticks],
            "ticktext": [printable(text) for _place, text in axis.ticks],
            "values": _places([line[number] for line in plot.lines], axis),
        }
        for number, axis in enumerate(plot.axes)
    ]
    line: Figure = {"color": colours, "colorscale": scale, "cmin": _FAINT, "cmax": 1}
    ends = {"tickvals": [0, 1], "ticktext": ["best", "worst"], "thickness": 12, "len": 0.8, "x": 1.06}
    line |= {"showscale": True, "colorbar": ends}
    trace = {"type": "parcoords", "dimensions": dimensions, "line": line, "unselected": {"line": {"opacity": 0.05}}}
    trace["labelfont"] = trace["tickfont"] = {"color": INK, "size": 12}
    return {"data": [trace], "layout": {"margin": {"l": 80, "r": 80, "t": 110, "b": 30}, "height": 460}}


@_figure.register
def _slices(plot: Slices) -> Figure:
    columns = min(_COLUMNS, len(plot.panels))
    rows = -(-len(plot.panels) // columns)
    gap, row_gap = 0.05, _ROW_GAP / rows
    height = (1 - row_gap * (rows - 1)) / rows
    width = (1 - gap * (columns - 1)) / columns
    traces: list[Figure] = []
    layout: Figure = {"showlegend": False, "height": 120 + 270 * rows}
    for number, panel in enumerate(plot.panels):
        row, place = divmod(number, columns)
        key = "" if number == 0 else str(number + 1)
        left, bottom = place * (width + gap), 1 - row * (height + row_gap) - height
        layout[f"xaxis{key}"] = _axis(narrow(panel.x), domain=[left, left + width], anchor=f"y{key}")
        layout[f"yaxis{key}"] = _axis(plot.y, domain=[bottom, bottom + height], anchor=f"x{key}")
        if place:
            layout[f"yaxis{key}"] |= {"title": {"text": ""}, "showticklabels": False}
        if number:
            layout[f"yaxis{key}"]["matches"] = "y"
        marker = {"color": [round(age, 3) for age in panel.ages], "colorscale": _AGES, "cmin": 0, "cmax": 1}
        marker |= {"size": 6, "line": {"width": 0.5, "color": "white"}}
        axes = {"xaxis": f"x{key}", "yaxis": f"y{key}"}
        faint = {"color": STATUS["PRUNED"], "size": 5, "symbol": "circle-open"}
        if number == 0:
            marker |= {
                "showscale": True,
                "colorbar": {
                    "title": {"text": "jobs"},
                    "tickvals": [0, 1],
                    "ticktext": ["first", "last"],
                    "thickness": 12,
                },
            }
        traces += _there(
            [
                _dots(panel.pruned, (panel.x, plot.y), "PRUNED", faint, **axes),
                _dots(panel.done, (panel.x, plot.y), "DONE", marker, **axes),
            ]
        )
    return {"data": traces, "layout": layout}


@_figure.register
def _importance(plot: Importance) -> Figure:
    trace = {
        "type": "bar",
        "orientation": "h",
        "y": list(range(len(plot.names))),
        "x": _places(plot.shares, plot.x),
        "text": [f"{share * 100:.1f} %" for share in plot.shares],
        "textposition": "outside",
        "cliponaxis": False,
        "hoverinfo": "skip",
        "marker": {"color": STATUS["DONE"]},
        "width": 0.65,
    }
    rows = Axis("", -0.6, len(plot.names) - 0.4, tuple((float(place), name) for place, name in enumerate(plot.names)))
    names = _axis(rows, range=[rows.high, rows.low], showgrid=False, automargin=True, ticks="")
    return {"data": [trace], "layout": {"xaxis": _axis(plot.x), "yaxis": names, "height": 170 + 30 * len(plot.names)}}


@_figure.register
def _timeline(plot: Timeline) -> Figure:
    traces = []
    border = 0.5 if len(plot.bars) <= _BORDERED * len(plot.rows) else 0
    for status in STATUSES:
        bars = [bar for bar in plot.bars if bar.status == status]
        if bars:
            traces.append(
                {
                    "type": "bar",
                    "orientation": "h",
                    "name": status,
                    "base": _places([bar.start for bar in bars], plot.x),
                    "x": _places([bar.length for bar in bars], plot.x),
                    "y": [bar.row for bar in bars],
                    "hovertext": _texts(bar.text for bar in bars),
                    "hoverinfo": "text",
                    "marker": {"color": STATUS[status], "line": {"width": border, "color": "white"}},
                    "width": 0.7,
                }
            )
    rows = Axis("", -0.7, len(plot.rows) - 0.3, tuple((float(place), name) for place, name in enumerate(plot.rows)))
    names = _axis(rows, range=[rows.high, rows.low], showgrid=False, automargin=True, ticks="")
    layout = {"barmode": "overlay", "xaxis": _axis(plot.x), "yaxis": names, "height": 170 + 26 * len(plot.rows)}
    return {"data": traces, "layout": layout}
