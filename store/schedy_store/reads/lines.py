"""Jobs and points of learning curves by the million, as plain tuples: pages in transactions of their own.

One long transaction would keep SQLite's write-ahead log growing, and PostgreSQL ends it.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Row, Select, literal_column, select

from schedy.errors import NotFoundError
from schedy.results.lines import JobLine, JobNote, PointLine
from schedy.wire.base import JobStatus
from schedy.wire.values import load_values, shown_name
from schedy_store.reads.common import DELETED, PAGE_CHARACTERS, Silence, experiment_pk
from schedy_store.reads.points import points_after
from schedy_store.schema.engine import Store, Transaction
from schedy_store.schema.tables import Job

_ROWS_AT_ONCE = 1000
_COLUMNS = [Job.__table__.columns[name] for name in JobLine._fields]
_HYPERPARAMETERS, _RESULTS, _ERROR = (
    1 + JobLine._fields.index(name) for name in ("hyperparameters", "results", "error")
)

_NOTED = (Job.job_id, Job.status, Job.attempt, Job.stop, Job.releases, Job.heard_at)

T = TypeVar("T")
_Statement = Callable[[int, int], Select[*tuple[Any, ...]]]
"""Returns a statement for the rows of an experiment after a key, which is their first column."""


def job_lines(store: Store, uid: str, statuses: Sequence[JobStatus] = ()) -> Iterator[list[JobLine]]:
    """Read as `schedy.results.lines.ask_jobs` does. Raises NotFoundError if the experiment is deleted meanwhile."""
    return _pages(store, uid, _jobs_after(_COLUMNS, statuses), lambda _transaction: _job_line, _characters)


def job_notes(store: Store, uid: str, statuses: Sequence[JobStatus] = ()) -> Iterator[list[JobNote]]:
    """Read as `schedy.results.lines.ask_notes` does. Raises NotFoundError as `job_lines` does."""
    return _pages(store, uid, _jobs_after(_NOTED, statuses), _noting, lambda _row: 0)


def point_lines(store: Store, uid: str, statuses: Sequence[JobStatus] = ()) -> Iterator[list[PointLine]]:
    """Read as `schedy.results.lines.ask_points` does. Raises NotFoundError as `job_lines` does."""

    def _after(experiment: int, after: int) -> Select[*tuple[Any, ...]]:
        return points_after(experiment, after, statuses, limit=_ROWS_AT_ONCE)

    return _pages(store, uid, _after, lambda _transaction: _point_line, lambda _row: 0)


def _jobs_after(columns: Sequence[ColumnElement[Any]], statuses: Sequence[JobStatus]) -> _Statement:
    def _after(experiment: int, after: int) -> Select[*tuple[Any, ...]]:
        found = select(Job.pk, *columns).where(Job.experiment_pk == experiment, Job.pk > after)
        if statuses:
            found = found.where(_status(statuses).in_(statuses))
        return found.order_by(Job.pk).limit(_ROWS_AT_ONCE)

    return _after


def _pages(
    store: Store,
    uid: str,
    statement: _Statement,
    lines: Callable[[Transaction], Callable[[Row[Any]], T]],
    characters: Callable[[Row[Any]], int],
) -> Iterator[list[T]]:
    after = 0
    while True:
        page: list[T] = []
        size = 0
        with store.transaction() as transaction:
            experiment = experiment_pk(transaction, uid)
            if experiment is None:
                raise NotFoundError(DELETED.reason)
            line = lines(transaction)
            for row in transaction.sql.execute(statement(experiment, after)):
                page.append(line(row))
                after = row[0]
                size += characters(row)
                if size > PAGE_CHARACTERS:
                    break
        if not page:
            return
        yield page


def _status(statuses: Sequence[JobStatus]) -> ColumnElement[Any]:
    """Return the status: of several in a way that has no index, by which SQLite would sort all jobs for each page."""
    return Job.__table__.columns["status"] if len(statuses) == 1 else Job.status + literal_column("''")


def _job_line(row: Row[Any]) -> JobLine:
    fields: list[Any] = list(row)
    fields[_HYPERPARAMETERS] = load_values(fields[_HYPERPARAMETERS])
    fields[_RESULTS] = load_values(fields[_RESULTS])
    return JobLine._make(fields[1:])


def _noting(transaction: Transaction) -> Callable[[Row[Any]], JobNote]:
    silence = Silence(transaction)

    def _note(row: Row[Any]) -> JobNote:
        cells: Sequence[Any] = row
        _key, job_id, status, attempt, stop, releases, heard_at = cells
        return JobNote(
            job_id, status, attempt, stop, releases, silence.of_job(heard_at) if status == "RUNNING" else None
        )

    return _note


def _characters(row: Row[Any]) -> int:
    cells: Sequence[Any] = row
    return len(cells[_HYPERPARAMETERS]) + len(cells[_RESULTS]) + len(cells[_ERROR] or "")


def _point_line(row: Row[Any]) -> PointLine:
    cells: Sequence[Any] = row
    _key, job_id, attempt, step, name, value = cells
    return PointLine(job_id, attempt, step, shown_name(name), value)
