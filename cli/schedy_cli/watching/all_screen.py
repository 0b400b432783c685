"""The screen of all experiments that are RUNNING, a line for each."""

from collections.abc import Sequence

from rich.text import Text

from schedy.escaping import printable
from schedy.results.overview import best_text, progress_text, state_text
from schedy.wire.answers import OverviewsAnswer
from schedy.wire.records import Standing
from schedy_cli.watching.screens import fitted

_HEADING = ("experiment", "ended", "running", "queued", "best", "")
_LONGEST_NAME = 30


def overviews_lines(answer: OverviewsAnswer, *, width: int, height: int) -> list[Text]:
    """Return the screen: at most `height` lines, of which the last says if more experiments are RUNNING."""
    rows = [_HEADING, *map(_row, answer.overviews[: height - 1])]
    is_cut = answer.more or len(answer.overviews) > height - 1
    if is_cut:
        rows = rows[: height - 1]
    widths = [max(Text(row[column]).cell_len for row in rows) for column in range(len(_HEADING))]
    lines = [_line(row, widths) for row in rows]
    lines[0].stylize("dim")
    if is_cut:
        lines.append(Text("and more: `schedy list` lists all experiments", style="dim"))
    return [fitted(line, width) for line in lines[:height]]


def _row(standing: Standing) -> tuple[str, ...]:
    experiment = standing.experiment
    name = Text(printable(experiment.name))
    name.truncate(_LONGEST_NAME, overflow="ellipsis")
    counts = experiment.job_counts
    return (
        name.plain,
        progress_text(standing),
        str(counts.get("RUNNING", 0)),
        str(counts.get("QUEUED", 0)),
        best_text(standing),
        state_text(standing) if standing.workers else state_text(standing) or "no worker is alive",
    )


def _line(row: Sequence[str], widths: Sequence[int]) -> Text:
    line = Text()
    for cell, width in zip(row, widths, strict=True):
        padded = Text(cell)
        padded.truncate(width, pad=True)
        line.append_text(padded).append("  ")
    line.rstrip()
    return line
