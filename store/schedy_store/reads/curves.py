"""The learning curve of a job."""

from sqlalchemy import select

from schedy.wire.answers import CurveAnswer
from schedy.wire.base import Answer
from schedy.wire.requests import GetCurve
from schedy_store.lifecycle.curves import Curves
from schedy_store.reads.common import missing_job
from schedy_store.schema.engine import Transaction
from schedy_store.schema.records import findable
from schedy_store.schema.tables import Experiment, Job


def read_curve(transaction: Transaction, request: GetCurve) -> Answer:
    found = (
        select(Job.pk, Job.attempt)
        .join_from(Job, Experiment)
        .where(Experiment.uid == request.experiment_uid, Job.job_id == findable(request.job_id))
    )
    row = transaction.sql.execute(found).one_or_none()
    if row is None:
        return missing_job(request.job_id)
    return CurveAnswer.model_construct(points=Curves(transaction).read(row.pk, row.attempt, limit=request.limit))
