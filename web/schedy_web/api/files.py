"""The jobs of an experiment as a file, streamed page by page."""

import csv
import io
from collections.abc import Iterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from schedy.results.columns import JobColumns
from schedy.results.csv_cells import csv_row
from schedy.results.lines import JobLine
from schedy.search.definition import definition_or_empty
from schedy.wire.requests import GetFields
from schedy_store.reads.lines import job_lines
from schedy_web.api.jobs import selection_of
from schedy_web.api.parameters import number_of
from schedy_web.context import context_of
from schedy_web.reading import experiment_numbered, jobs_at

_MOST_CHOSEN = 100_000
_AT_ONCE = 1000
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def send_csv(request: Request) -> Response:
    """Answer with the chosen jobs as CSV; `safe=1` keeps spreadsheets from taking texts for formulas."""
    context = context_of(request)
    ask = context.reads.ask
    experiment = experiment_numbered(ask, number_of(request))
    selection = selection_of(request, ask, experiment)
    columns = JobColumns(definition_or_empty(experiment.settings), ask(GetFields(experiment_uid=experiment.uid)))
    is_safe = request.query_params.get("safe") == "1"

    is_whole = not selection.where and not selection.sort
    # Before the answer begins, so that what fails is still an answer of its own.
    positions = [] if is_whole else selection.positions(ask, experiment, _MOST_CHOSEN)

    def _lines() -> Iterator[list[JobLine]]:
        if is_whole:
            yield from job_lines(context.reads.store, experiment.uid, selection.statuses)
            return
        for start in range(0, len(positions), _AT_ONCE):
            yield [JobLine.of(job) for job in jobs_at(ask, experiment, positions[start : start + _AT_ONCE])]

    def _text() -> Iterator[str]:
        yield _csv([columns.file_names()])
        for page in _lines():
            rows = [csv_row(columns.row(line), columns.values) for line in page]
            yield _csv([[_safe(cell) for cell in row] for row in rows] if is_safe else rows)

    name = "".join(letter if letter.isalnum() else "-" for letter in experiment.name)[:60]
    headers = {"content-disposition": f'attachment; filename="{name.encode("ascii", "replace").decode()}.csv"'}
    return StreamingResponse(_text(), media_type="text/csv; charset=utf-8", headers=headers)


def _csv(rows: list[list[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _safe(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
