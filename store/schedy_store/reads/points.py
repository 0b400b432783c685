"""The points of all learning curves of an experiment, none left out."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, select

from schedy.wire.answers import PointsAnswer
from schedy.wire.base import Answer, JobStatus
from schedy.wire.records import JobPoint
from schedy.wire.requests import GetPoints
from schedy.wire.values import shown_name
from schedy_store.reads.common import DELETED, experiment_pk
from schedy_store.schema.engine import Transaction
from schedy_store.schema.tables import CurvePoint, Job


def read_points(transaction: Transaction, request: GetPoints) -> Answer:
    experiment = experiment_pk(transaction, request.experiment_uid)
    if experiment is None:
        return DELETED
    found = points_after(experiment, request.after, request.statuses, limit=request.limit + 1)
    rows = transaction.sql.execute(found).all()
    page = [
        JobPoint.model_construct(
            position=row.pk,
            job_id=row.job_id,
            attempt=row.attempt,
            step=row.step,
            name=shown_name(row.name),
            value=row.value,
        )
        for row in rows[: request.limit]
    ]
    return PointsAnswer.model_construct(points=page, more=len(rows) > request.limit)


def points_after(
    experiment_pk: int, after: int, statuses: Sequence[JobStatus], *, limit: int
) -> Select[*tuple[Any, ...]]:
    """Return a statement for points of an experiment in the order in which they were stored."""
    found = (
        select(CurvePoint.pk, Job.job_id, CurvePoint.attempt, CurvePoint.step, CurvePoint.name, CurvePoint.value)
        .join(Job, Job.pk == CurvePoint.job_pk)
        .where(CurvePoint.experiment_pk == experiment_pk, CurvePoint.pk > after)
    )
    if statuses:
        found = found.where(Job.status.in_(statuses))
    return found.order_by(CurvePoint.pk).limit(limit)
