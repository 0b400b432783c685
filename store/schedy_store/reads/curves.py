"""The learning curve of a job, and those of many."""

from sqlalchemy import select

from schedy.wire.answers import CurveAnswer, CurvesAnswer
from schedy.wire.base import Answer
from schedy.wire.records import JobCurve
from schedy.wire.requests import GetCurve, GetCurves
from schedy_store.lifecycle.curves import Curves
from schedy_store.reads.common import DELETED, PAGE_CHARACTERS, experiment_pk, missing_job
from schedy_store.schema.engine import Transaction
from schedy_store.schema.records import findable
from schedy_store.schema.tables import OF_EXPERIMENT, Experiment, Job

_JOBS_AT_ONCE = 50
_CHARACTERS = 30
"""Of a step and a value in a message, without the name."""


def read_curve(transaction: Transaction, request: GetCurve) -> Answer:
    found = (
        select(Job.pk)
        .join_from(Job, Experiment, OF_EXPERIMENT)
        .where(Experiment.uid == request.experiment_uid, Job.job_id == findable(request.job_id))
    )
    pk = transaction.sql.scalar(found)
    if pk is None:
        return missing_job(request.job_id)
    points = Curves(transaction).read([pk], limit=request.limit)
    return CurveAnswer.model_construct(points=points.get(pk, []))


def read_curves(transaction: Transaction, request: GetCurves) -> Answer:
    """Answer with the curves of a page of jobs, or of fewer where it gets too large for a message."""
    experiment = experiment_pk(transaction, request.experiment_uid)
    if experiment is None:
        return DELETED
    if request.positions is None:
        limit = request.limit
        found = select(Job.pk, Job.job_id).where(Job.experiment_pk == experiment, Job.pk > request.after)
        jobs = [(row.pk, row.job_id) for row in transaction.sql.execute(found.order_by(Job.pk).limit(limit + 1))]
    else:
        limit = len(request.positions)
        chosen = select(Job.pk, Job.job_id, Job.experiment_pk).where(Job.pk.in_(request.positions))
        # Without a condition on the experiment, for which SQLite would look at all of its jobs.
        ids = {row.pk: row.job_id for row in transaction.sql.execute(chosen) if row.experiment_pk == experiment}
        jobs = [(pk, ids[pk]) for pk in request.positions if pk in ids]
    curves = Curves(transaction)
    page: list[JobCurve] = []
    characters = 0
    for start in range(0, min(limit, len(jobs)), _JOBS_AT_ONCE):
        some = jobs[start : min(limit, start + _JOBS_AT_ONCE)]
        points = curves.read([pk for pk, _job_id in some], limit=request.steps)
        for pk, job_id in some:
            if page and characters > PAGE_CHARACTERS:
                return CurvesAnswer.model_construct(curves=page, more=True)
            page.append(JobCurve.model_construct(position=pk, job_id=job_id, points=points.get(pk, [])))
            characters += sum(len(name) + _CHARACTERS for point in page[-1].points for name in point.values)
    return CurvesAnswer.model_construct(curves=page, more=len(jobs) > limit)
