"""Learning curves: values that jobs report step by step."""

import itertools
import math
import operator
from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, func, insert, select

from schedy.wire.records import Point
from schedy.wire.values import shown_name, stored_name
from schedy_store.schema.engine import Transaction, Waiting
from schedy_store.schema.prepared import Prepared
from schedy_store.schema.rows import JobRow
from schedy_store.schema.tables import CurvePoint, Job

_FORGET = Prepared(
    delete(CurvePoint).where(
        CurvePoint.job_pk == bindparam("job_is"),
        CurvePoint.attempt == bindparam("attempt_is"),
        CurvePoint.step == bindparam("step_is"),
    )
)
_INSERT = Prepared(insert(CurvePoint), [column.name for column in CurvePoint.__table__.columns if column.name != "pk"])


class _Points(Waiting):
    """Points that wait to be written, see `Transaction.waiting`."""

    def __init__(self) -> None:
        self.steps: dict[tuple[int, int, int], list[dict[str, Any]]] = {}
        """The rows of each step, by job, attempt and step."""

    def write(self, sql: Connection) -> None:
        if not self.steps:
            return
        keys = [{"job_is": job, "attempt_is": attempt, "step_is": step} for job, attempt, step in self.steps]
        _FORGET.write(sql, keys)
        rows = list(itertools.chain.from_iterable(self.steps.values()))
        if rows:
            _INSERT.write(sql, rows)
        self.steps.clear()


class Curves:
    """Reads and writes curves within one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def add(self, row: JobRow, points: Iterable[Point]) -> None:
        """Store points of the current attempt of a job. They replace those of the same step."""
        steps = self._transaction.waiting(_Points).steps
        for point in points:
            steps[row.pk, row.attempt, point.step] = [
                {
                    "experiment_pk": row.experiment_pk,
                    "job_pk": row.pk,
                    "attempt": row.attempt,
                    "step": point.step,
                    "name": stored_name(name),
                    "value": value,
                }
                for name, value in point.values.items()
            ]

    def forget_attempt(self, row: JobRow) -> bool:
        """Delete the points of the current attempt, whose number the next one gets; return True if there were any."""
        of_attempt = (CurvePoint.job_pk == row.pk, CurvePoint.attempt == row.attempt)
        return bool(self._transaction.sql.scalars(delete(CurvePoint).where(*of_attempt).returning(CurvePoint.pk)).all())

    def last(self, row: JobRow, name: str) -> float | None:
        """Return the value of that name at the last step of the current attempt, None if there is none."""
        found = select(CurvePoint.value).where(
            CurvePoint.job_pk == row.pk, CurvePoint.attempt == row.attempt, CurvePoint.name == stored_name(name)
        )
        return self._transaction.sql.scalar(found.order_by(CurvePoint.step.desc()).limit(1))

    def read(self, job_pk: int, attempt: int, *, limit: int) -> list[Point]:
        """Return the points of an attempt by step: all, or about `limit` at equal distances, the last among them."""
        of_attempt = (CurvePoint.job_pk == job_pk, CurvePoint.attempt == attempt)
        counted = select(func.count(CurvePoint.step.distinct())).where(*of_attempt)
        count: int = self._transaction.sql.scalar(counted) or 0
        found = select(CurvePoint.step, CurvePoint.name, CurvePoint.value).where(*of_attempt).order_by(CurvePoint.step)
        return _thinned(self._transaction.sql.execute(found), count, limit)

    def read_all(self, job_pks: Collection[int], *, limit: int) -> dict[int, list[Point]]:
        """Return the points of the latest attempts of jobs by their keys, each as `read` does."""
        latest = and_(Job.pk == CurvePoint.job_pk, Job.attempt == CurvePoint.attempt)
        of_jobs = Job.pk.in_(job_pks)
        counted = select(Job.pk, func.count(CurvePoint.step.distinct())).join(CurvePoint, latest).where(of_jobs)
        counts = {pk: count for pk, count in self._transaction.sql.execute(counted.group_by(Job.pk))}
        found = select(Job.pk, CurvePoint.step, CurvePoint.name, CurvePoint.value).join(CurvePoint, latest)
        rows = self._transaction.sql.execute(found.where(of_jobs).order_by(Job.pk, CurvePoint.step))
        return {
            pk: _thinned(((step, name, value) for _pk, step, name, value in some), counts[pk], limit)
            for pk, some in itertools.groupby(rows, key=operator.itemgetter(0))
        }


def _thinned(rows: Iterable[tuple[int, str, float | None]], count: int, limit: int) -> list[Point]:
    """Return the points of rows with `count` steps: all, or about `limit` at equal distances, the last among them."""
    stride = max(1, math.ceil(count / limit))
    points: list[Point] = []
    seen = -1
    step: int | None = None
    for each, name, value in rows:
        if each != step:
            step, seen = each, seen + 1
            if seen % stride == 0 or seen == count - 1:
                points.append(Point.model_construct(step=each, values={}))
        if points and points[-1].step == each:
            points[-1].values[shown_name(name)] = value  # type: ignore[assignment]  # NaN, as its column reads it
    return points
