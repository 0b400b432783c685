"""Plots as figures of matplotlib, for papers: PNG and SVG, without a screen or a browser.

Importing this imports matplotlib.
"""

import warnings
from collections.abc import Iterable, Sequence
from functools import singledispatch
from typing import IO, Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure, SubFigure

from schedy.escaping import printable
from schedy.results.plots.axes import Axis, narrow
from schedy.results.plots.colours import BEST, BROKEN, GRID, INK, SCALE, STATUS
from schedy.results.plots.data import Curves, Dots, Front, History, Plot
from schedy.results.plots.hyperparameters import Importance, Parallel, Slices
from schedy.results.plots.timeline import STATUSES, Timeline

_WIDTH = 7.5
"""Inches."""
_COLUMNS = 3
_DPI = 200
_METADATA: dict[str, dict[str, Any]] = {"png": {"Software": "Schedy"}, "svg": {"Title": "Schedy", "Date": None}}
"""By this a file is known that Schedy has written. No date: the same plots are the same file."""
_STYLE: dict[Any, Any] = {
    "text.parse_math": False,  # names may have a $
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.fonttype": "none",
    "svg.hashsalt": "schedy",
}


def save(plots: Sequence[Plot], file: IO[bytes], form: str) -> None:
    """Write plots, one below the other, as "png" or "svg"."""
    heights = [_height(plot) for plot in plots]
    with rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # of a name in another script
        figure = Figure(figsize=(_WIDTH, sum(heights)), layout="constrained")
        parts: Any = figure.subfigures(len(plots), 1, height_ratios=heights, squeeze=False)
        for part, plot in zip(parts[:, 0], plots, strict=True):
            _title(part, plot)
            _draw(plot, part)
        figure.savefig(file, format=form, dpi=_DPI, metadata=_METADATA[form])


def _height(plot: Plot) -> float:
    match plot:
        case Slices():
            return 0.5 + 2.1 * -(-len(plot.panels) // _COLUMNS)
        case Importance():
            return 1.1 + 0.27 * len(plot.names)
        case Timeline():
            return 1.3 + 0.22 * len(plot.rows)
    return 3.4


def _title(part: SubFigure, plot: Plot) -> None:
    text = printable(plot.title)
    part.suptitle(text, x=0.01, ha="left", fontsize=10, fontweight="bold")
    if plot.note:
        part.supxlabel(printable(plot.note), x=0.01, ha="left", fontsize=6.5, color="#57606a", wrap=True)


def _axes(part: SubFigure, x: Axis, y: Axis) -> Axes:
    axes = part.subplots()
    _prepare(axes, x, y)
    return axes


def _prepare(axes: Axes, x: Axis, y: Axis) -> None:
    axes.set_xlim(x.low, x.high)
    axes.set_ylim(y.low, y.high)
    axes.set_xticks([place for place, _text in x.ticks], [printable(text) for _place, text in x.ticks])
    axes.set_yticks([place for place, _text in y.ticks], [printable(text) for _place, text in y.ticks])
    axes.set_xlabel(printable(x.label))
    axes.set_ylabel(printable(y.label))
    axes.tick_params(length=2.5)


def _dots(axes: Axes, dots: Dots, label: str | None, **look: Any) -> None:
    if dots.x:
        axes.plot(dots.x, dots.y, linestyle="none", label=label, clip_on=False, **look)


def _legend(axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    if len(labels) > 1:
        axes.legend(
            handles,
            labels,
            loc="lower right",
            bbox_to_anchor=(1, 1),
            ncols=len(labels),
            borderaxespad=0.1,
            handlelength=1.3,
        )


def _colours(reverse: bool = False) -> LinearSegmentedColormap:
    return LinearSegmentedColormap.from_list("schedy", SCALE[::-1] if reverse else SCALE)


@singledispatch
def _draw(plot: Plot, part: SubFigure) -> None:
    raise TypeError(type(plot).__name__)


@_draw.register
def _history(plot: History, part: SubFigure) -> None:
    axes = _axes(part, plot.x, plot.y)
    _dots(axes, plot.pruned, "PRUNED", marker="o", markersize=3, color=STATUS["PRUNED"], fillstyle="none")
    _dots(axes, plot.broken, "breaks a constraint", marker="D", markersize=3, color=BROKEN, fillstyle="none")
    _dots(axes, plot.done, "DONE", marker="o", markersize=3.5, color=STATUS["DONE"], alpha=0.75, markeredgewidth=0)
    beyond = "^" if plot.outside.y and plot.outside.y[0] > plot.y.low_edge else "v"
    _dots(axes, plot.outside, None, marker=beyond, markersize=4, color=STATUS["DONE"], fillstyle="none")
    _dots(axes, plot.crashed, "CRASHED", marker="x", markersize=4, color=STATUS["CRASHED"])
    if plot.best.x:
        axes.step(plot.best.x, plot.best.y, where="post", color=BEST, linewidth=1.8, label="best so far", zorder=3)
    _legend(axes)


@_draw.register
def _front(plot: Front, part: SubFigure) -> None:
    axes = _axes(part, plot.x, plot.y)
    _dots(axes, plot.pruned, "PRUNED", marker="o", markersize=3, color=STATUS["PRUNED"], fillstyle="none")
    _dots(axes, plot.broken, "breaks a constraint", marker="D", markersize=3, color=BROKEN, fillstyle="none")
    _dots(axes, plot.done, "DONE", marker="o", markersize=3.5, color=STATUS["DONE"], alpha=0.5, markeredgewidth=0)
    if plot.front.x:
        axes.plot(plot.front.x, plot.front.y, ":o", color=BEST, markersize=5, linewidth=1.2, label="Pareto front")
    _legend(axes)


@_draw.register
def _curves(plot: Curves, part: SubFigure) -> None:
    axes = _axes(part, plot.x, plot.y)
    for name in ("PRUNED", "CRASHED", "RUNNING", "DONE", "best"):
        lines = [line for line in plot.lines if ("best" if line.is_best else line.status) == name]
        paths = [list(zip(line.x, line.y, strict=True)) for line in lines if len(line.x) > 1]
        look: dict[str, Any] = {"linewidths": 1.6} if name == "best" else {"linewidths": 0.6, "alpha": 0.6}
        if lines:
            axes.add_collection(LineCollection(paths, colors=STATUS.get(name, BEST), label=name, **look))
        single = Dots(
            [line.x[0] for line in lines if len(line.x) == 1], [line.y[0] for line in lines if len(line.x) == 1]
        )
        _dots(axes, single, None, marker=".", color=STATUS.get(name, BEST))
    _legend(axes)


@_draw.register
def _parallel(plot: Parallel, part: SubFigure) -> None:
    axes = part.subplots()
    axes.grid(visible=False)
    axes.set_xlim(-0.35, len(plot.axes) - 0.65)
    axes.set_ylim(-0.03, 1.03)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.set_yticks([])
    axes.set_xticks(range(len(plot.axes)), [printable(axis.label) for axis in plot.axes])
    axes.tick_params(axis="x", length=0, labeltop=True, labelbottom=False)
    lines = [
        [(x, _share(axis, y)) for x, (axis, y) in enumerate(zip(plot.axes, line, strict=True))] for line in plot.lines
    ]
    faint = [line for line, shade in zip(lines, plot.shades, strict=True) if shade is None]
    strong = [(line, shade) for line, shade in zip(lines, plot.shades, strict=True) if shade is not None]
    axes.add_collection(LineCollection(faint, colors=STATUS["PRUNED"], linewidths=0.4, alpha=0.35))
    many = 0.9 if len(strong) < 300 else 0.4
    drawn = LineCollection([line for line, _shade in strong], cmap=_colours(), linewidths=many)
    drawn.set_array([shade for _line, shade in strong])
    drawn.set_clim(0, 1)
    axes.add_collection(drawn)
    for x, axis in enumerate(plot.axes):
        axes.axvline(x, color=INK, linewidth=0.8)
        for place, text in axis.ticks:
            box = {"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.6}
            axes.text(x + 0.03, _share(axis, place), printable(text), fontsize=7, va="center", bbox=box, zorder=4)
    bar = part.colorbar(drawn, ax=axes, ticks=[0, 1], shrink=0.7, aspect=30, pad=0.02)
    bar.ax.set_yticklabels(["best", "worst"])
    bar.outline.set_visible(False)


def _share(axis: Axis, place: float) -> float:
    return (place - axis.low) / (axis.high - axis.low)


@_draw.register
def _slices(plot: Slices, part: SubFigure) -> None:
    columns = min(_COLUMNS, len(plot.panels))
    grid = part.subplots(-(-len(plot.panels) // columns), columns, sharey=True, squeeze=False)
    flat = list(grid.flat)
    drawn = None
    for number, (axes, panel) in enumerate(zip(flat, plot.panels, strict=False)):
        _prepare(axes, narrow(panel.x), plot.y)
        if number % columns:
            axes.set_ylabel("")
        _dots(axes, panel.pruned, None, marker="o", markersize=2.5, color=STATUS["PRUNED"], fillstyle="none")
        drawn = axes.scatter(
            panel.done.x,
            panel.done.y,
            c=panel.ages,
            s=12,
            cmap=_colours(reverse=True),
            vmin=0,
            vmax=1,
            linewidths=0.3,
            edgecolors="white",
            zorder=2,
        )
    for axes in flat[len(plot.panels) :]:
        axes.set_visible(False)
    if drawn is not None:
        bar = part.colorbar(drawn, ax=flat, ticks=[0, 1], shrink=0.7, aspect=30, pad=0.02)
        bar.ax.set_yticklabels(["first job", "last job"])
        bar.outline.set_visible(False)


@_draw.register
def _importance(plot: Importance, part: SubFigure) -> None:
    axes = _axes(part, plot.x, _rows(plot.names))
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    bars = axes.barh(range(len(plot.names)), plot.shares, height=0.65, color=STATUS["DONE"])
    axes.bar_label(bars, labels=[f"{share * 100:.1f} %" for share in plot.shares], padding=3, fontsize=8)


def _rows(names: Iterable[str]) -> Axis:
    ticks = tuple((float(row), name) for row, name in enumerate(names))
    return Axis("", -0.6, len(ticks) - 0.4, ticks)


@_draw.register
def _timeline(plot: Timeline, part: SubFigure) -> None:
    axes = _axes(part, plot.x, _rows(plot.rows))
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    for status in STATUSES:
        bars = [bar for bar in plot.bars if bar.status == status]
        if bars:
            rows, lengths, starts = (
                [bar.row for bar in bars],
                [bar.length for bar in bars],
                [bar.start for bar in bars],
            )
            axes.barh(
                rows,
                lengths,
                left=starts,
                height=0.7,
                color=STATUS[status],
                edgecolor="white",
                linewidth=0.3 if len(plot.bars) < 40 * len(plot.rows) else 0,
                label=status,
            )
    _legend(axes)
