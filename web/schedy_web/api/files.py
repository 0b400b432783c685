"""The jobs of an experiment as a file, streamed page by page."""

import csv
import io
from collections.abc import Callable, Iterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from schedy.results.columns import JobColumns
from schedy.results.csv_cells import csv_row
from schedy.results.lines import JobLine
from schedy.search.definition import definition_or_empty
from schedy.wire.records import ExperimentRecord
from schedy.wire.requests import GetFields
from schedy_store.reads.lines import job_lines
from schedy_web.api.jobs import selection_of
from schedy_web.api.parameters import number_of
from schedy_web.context import context_of
from schedy_web.json_values import to_json
from schedy_web.reading import experiment_numbered, jobs_at
from schedy_web.shapes import time_shape

_MOST_CHOSEN = 100_000
_AT_ONCE = 1000
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def send_csv(request: Request) -> Response:
    """Answer with the chosen jobs as CSV; `safe=1` keeps spreadsheets from taking texts for formulas."""
    ask = context_of(request).reads.ask
    experiment = experiment_numbered(ask, number_of(request))
    columns = JobColumns(definition_or_empty(experiment.settings), ask(GetFields(experiment_uid=experiment.uid)))
    is_safe = request.query_params.get("safe") == "1"

    def _rows(page: list[JobLine]) -> str:
        rows = [csv_row(columns.row(line), columns.values) for line in page]
        return _csv([[_safe(cell) for cell in row] for row in rows] if is_safe else rows)

    return _file(request, experiment, "text/csv", _rows, head=_csv([columns.file_names()]))


def send_json_lines(request: Request) -> Response:
    """Answer with the chosen jobs as JSON, one in each line."""
    experiment = experiment_numbered(context_of(request).reads.ask, number_of(request))

    def _lines(page: list[JobLine]) -> str:
        return "".join(to_json(_line_shape(line)).decode() + "\n" for line in page)

    return _file(request, experiment, "application/jsonl", _lines)


def _line_shape(line: JobLine) -> dict[str, Any]:
    times = {name: time_shape(getattr(line, name)) for name in ("created_at", "started_at", "finished_at")}
    fields = {"id": line.job_id, **line._asdict(), **times}
    return {name: value for name, value in fields.items() if name != "job_id"}


def _file(
    request: Request,
    experiment: ExperimentRecord,
    media_type: str,
    text_of: Callable[[list[JobLine]], str],
    *,
    head: str = "",
) -> Response:
    """Answer with the chosen jobs as a file: `head`, and then the text of one page after the other."""
    context = context_of(request)
    ask = context.reads.ask
    selection = selection_of(request, ask, experiment)
    is_whole = not selection.where and not selection.sort
    # Before the answer begins, so that what fails is still an answer of its own.
    positions = [] if is_whole else selection.positions(ask, experiment, _MOST_CHOSEN)

    def _pages() -> Iterator[list[JobLine]]:
        if is_whole:
            yield from job_lines(context.reads.store, experiment.uid, selection.statuses)
            return
        for start in range(0, len(positions), _AT_ONCE):
            yield [JobLine.of(job) for job in jobs_at(ask, experiment, positions[start : start + _AT_ONCE])]

    def _text() -> Iterator[str]:
        yield head
        yield from map(text_of, _pages())

    letters = (letter if letter.isascii() and letter.isalnum() else "-" for letter in experiment.name)
    name = f"{''.join(letters)[:60]}.{media_type.partition('/')[2]}"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(_text(), media_type=f"{media_type}; charset=utf-8", headers=headers)


def _csv(rows: list[list[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _safe(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
