"""Learning curves: values that jobs report step by step."""

import itertools
import math
import operator
from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import Connection, Select, and_, bindparam, delete, func, insert, select

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
_ROWS_A_POINT = 20
"""Rows that are read for each point that is wanted; of a curve that has more, not all are."""
_STEPS_AT_ONCE = 500
_OF_ATTEMPT = (CurvePoint.job_pk == bindparam("job_is"), CurvePoint.attempt == bindparam("attempt_is"))
_FIRST_STEP = select(func.min(CurvePoint.step)).where(*_OF_ATTEMPT)
_LAST_STEP = select(func.max(CurvePoint.step)).where(*_OF_ATTEMPT)
_ROWS = select(func.count()).select_from(CurvePoint).where(*_OF_ATTEMPT)
_POINTS = (
    select(CurvePoint.step, CurvePoint.name, CurvePoint.value)
    .where(*_OF_ATTEMPT, CurvePoint.step.in_(bindparam("steps_are", expanding=True)))
    .order_by(CurvePoint.step)
)


def _hops() -> Select[int]:
    """Return the first step of an attempt, and from each the one after so many rows: only the index is read."""
    hops = select(_FIRST_STEP.scalar_subquery().label("step")).cte("hops", recursive=True)
    behind = select(CurvePoint.step).where(*_OF_ATTEMPT, CurvePoint.step > hops.c.step).order_by(CurvePoint.step)
    following = behind.offset(bindparam("passed_is")).limit(1).correlate(hops).scalar_subquery()
    hops = hops.union_all(select(following).where(hops.c.step.is_not(None)))
    return select(hops.c.step).where(hops.c.step.is_not(None), hops.c.step != _LAST_STEP.scalar_subquery())


_HOPS = _hops()


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

    def read(self, job_pks: Collection[int], *, limit: int) -> dict[int, list[Point]]:
        """Return the points of the latest attempts of jobs, by the keys of the jobs, none for those without a curve.

        They come by step: all, or about `limit` at equal distances, the last among them.
        """
        latest = and_(Job.pk == CurvePoint.job_pk, Job.attempt == CurvePoint.attempt)
        most = _ROWS_A_POINT * limit
        rows_of_one = select(CurvePoint.pk).where(latest).limit(most + 1).correlate(Job).subquery()
        rows = select(func.count()).select_from(rows_of_one).correlate(Job).scalar_subquery()
        sizes = self._transaction.sql.execute(select(Job.pk, Job.attempt, rows).where(Job.pk.in_(job_pks))).all()
        of_jobs = Job.pk.in_([pk for pk, _attempt, size in sizes if size <= most])
        counted = select(Job.pk, func.count(CurvePoint.step.distinct())).join(CurvePoint, latest).where(of_jobs)
        counts = {pk: count for pk, count in self._transaction.sql.execute(counted.group_by(Job.pk))}
        found = select(Job.pk, CurvePoint.step, CurvePoint.name, CurvePoint.value).join(CurvePoint, latest)
        short = self._transaction.sql.execute(found.where(of_jobs).order_by(Job.pk, CurvePoint.step))
        curves = {
            pk: _thinned(((step, name, value) for _pk, step, name, value in some), counts[pk], limit)
            for pk, some in itertools.groupby(short, key=operator.itemgetter(0))
        }
        long = {pk: self._read_some(pk, attempt, limit) for pk, attempt, size in sizes if size > most}
        return {**curves, **long}

    def _read_some(self, job_pk: int, attempt: int, limit: int) -> list[Point]:
        """Return points of a long curve, at equal distances, of which the rows are read for them alone."""
        sql, key = self._transaction.sql, {"job_is": job_pk, "attempt_is": attempt}
        size = sql.scalar(_ROWS, key) or 0
        steps = [*sql.scalars(_HOPS, {**key, "passed_is": math.ceil(size / limit) - 1}), sql.scalar(_LAST_STEP, key)]
        rows = [
            row
            for start in range(0, len(steps), _STEPS_AT_ONCE)
            for row in sql.execute(_POINTS, {**key, "steps_are": steps[start : start + _STEPS_AT_ONCE]})
        ]
        return _thinned(rows, len(steps), len(steps))


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
