"""Experiments and jobs as HTML, for notebooks. All texts of users are escaped."""

import html
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from schedy.escaping import printable
from schedy.results.overview import run_seconds
from schedy.results.plots.colours import BEST, STATUS
from schedy.results.plots.data import Dots
from schedy.results.rounding import duration, short_value
from schedy.wire.answers import OverviewAnswer
from schedy.wire.base import JOB_STATUSES
from schedy.wire.records import JobRecord

if TYPE_CHECKING:
    from schedy.search.definition import Definition

_WIDTH, _HEIGHT = 240, 40
_LONGEST = 60
_LEFT = 'style="text-align:left"'
_MOST_ROWS = 50


def experiment_html(overview: OverviewAnswer, definition: "Definition", best: Dots) -> str:
    """Return the counts of an experiment, its best job, and the best so far as a line."""
    experiment = overview.experiment
    counts = " &nbsp; ".join(
        f'<span style="color:{STATUS.get(status, "inherit")}">●</span> {experiment.job_counts[status]:,} {status}'
        for status in JOB_STATUSES
        if experiment.job_counts.get(status)
    )
    state = "paused" if experiment.paused else experiment.status
    objectives = ", ".join(f"{each.direction} {each.result}" for each in definition.objectives)
    kind = ", ".join(filter(None, [experiment.scheduler, objectives]))
    head = f"<b>{_text(experiment.name)}</b> &nbsp; {_text(kind)} &nbsp; {state}"
    parts = [f"<div>{head}</div>", f"<div>{counts or 'no jobs'}</div>"]
    if len(definition.objectives) == 1 and overview.best:
        job = overview.best[0]
        result = definition.objectives[0].result
        values = _pairs(job.hyperparameters.items())
        parts.append(f"<div>best {_text(result)} <b>{_value(job.results[result])}</b> ({job.job_id}): {values}</div>")
    if len(best.x) > 1:
        parts.append(sparkline(best))
    return f'<div style="line-height:1.6">{"".join(parts)}</div>'


def sparkline(best: Dots) -> str:
    """Return steps as a small picture in SVG."""
    width, low = max(best.x[-1] - best.x[0], 1.0), min(best.y)
    height = max(best.y) - low or 1.0
    points: list[str] = []
    before: float | None = None
    for x, y in zip(best.x, best.y, strict=True):
        left = 2 + (x - best.x[0]) / width * (_WIDTH - 4)
        top = _HEIGHT - 3 - (y - low) / height * (_HEIGHT - 6)
        if before is not None:
            points.append(f"{left:.1f},{before:.1f}")
        points.append(f"{left:.1f},{top:.1f}")
        before = top
    return (
        f'<svg width="{_WIDTH}" height="{_HEIGHT}" role="img" aria-label="best so far">'
        f'<polyline points="{" ".join(points)}" fill="none" stroke="{BEST}" stroke-width="2"/></svg>'
    )


def job_html(record: JobRecord, results: dict[str, Any]) -> str:
    """Return a job as a table of two columns."""
    seconds = run_seconds(record)
    rows = [
        ("status", _status(record)),
        *((name, _value(value)) for name, value in record.hyperparameters.items()),
        *((name, f"<b>{_value(value)}</b>") for name, value in results.items()),
        *([("run time", duration(seconds))] if seconds is not None else []),
        *([("worker", _text(record.worker))] if record.worker else []),
        *([("error", _text(record.error[-500:]))] if record.error else []),
    ]
    body = "".join(f"<tr><th {_LEFT}>{_text(name)}</th><td {_LEFT}>{value}</td></tr>" for name, value in rows)
    return f"<table><caption>job {_text(record.job_id)}</caption>{body}</table>"


def jobs_html(jobs: Sequence[tuple[JobRecord, dict[str, Any]]]) -> str:
    """Return jobs, with their results, as a table with a row for each; of many the first."""
    shown = jobs[:_MOST_ROWS]
    results = list(dict.fromkeys(name for _record, values in shown for name in values))
    names = list(dict.fromkeys(name for record, _values in shown for name in record.hyperparameters))
    head = "".join(f"<th>{_text(name)}</th>" for name in ["id", "status", *results, *names, "run time"])
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in _cells(*job, results, names))}</tr>" for job in shown)
    more = f"<div>{len(shown)} of {len(jobs):,} jobs</div>" if len(jobs) > len(shown) else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def _cells(record: JobRecord, values: dict[str, Any], results: list[str], names: list[str]) -> list[str]:
    seconds = run_seconds(record)
    return [
        _text(record.job_id),
        _status(record),
        *(_value(values[name]) if name in values else "" for name in results),
        *(_value(record.hyperparameters[name]) if name in record.hyperparameters else "" for name in names),
        "" if seconds is None else duration(seconds),
    ]


def _status(record: JobRecord) -> str:
    return f'<span style="color:{STATUS.get(record.status, "inherit")}">●</span> {_text(record.status)}'


def _pairs(values: Iterable[tuple[str, Any]]) -> str:
    return " &nbsp; ".join(f"{_text(name)} {_value(value)}" for name, value in values)


def _value(value: Any) -> str:
    text = short_value(value)
    return _text(text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…")


def _text(text: str) -> str:
    return html.escape(printable(text))
