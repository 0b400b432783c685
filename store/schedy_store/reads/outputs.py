"""The output and the traceback of an attempt."""

from sqlalchemy import select

from schedy.wire.answers import OutputAnswer
from schedy.wire.base import RUNNING, Answer
from schedy.wire.output import Tail
from schedy.wire.requests import GetOutput
from schedy_store.reads.common import missing_job
from schedy_store.schema.engine import Transaction
from schedy_store.schema.records import findable
from schedy_store.schema.tables import OF_EXPERIMENT, AttemptOutput, Experiment, Job


def read_output(transaction: Transaction, request: GetOutput) -> Answer:
    found = (
        select(Job.pk, Job.attempt, Job.status)
        .join_from(Job, Experiment, OF_EXPERIMENT)
        .where(Experiment.uid == request.experiment_uid, Job.job_id == findable(request.job_id))
    )
    job = transaction.sql.execute(found).one_or_none()
    if job is None:
        return missing_job(request.job_id)
    attempt = job.attempt if request.attempt is None else request.attempt
    of_job = select(AttemptOutput.attempt).where(AttemptOutput.job_pk == job.pk).order_by(AttemptOutput.attempt)
    of_attempt = select(AttemptOutput).where(AttemptOutput.job_pk == job.pk, AttemptOutput.attempt == attempt)
    stored = transaction.sql.execute(of_attempt.with_only_columns(*AttemptOutput.__table__.c)).one_or_none()
    tail = Tail() if stored is None else Tail(stored.text, stored.written).after(request.after)
    return OutputAnswer(
        attempt=attempt,
        text=tail.text,
        end=tail.end,
        traceback=None if stored is None else stored.traceback,
        path=None if stored is None else stored.path,
        worker=None if stored is None else stored.worker,
        status=job.status,
        running=job.status == RUNNING and attempt == job.attempt,
        attempts=list(transaction.sql.scalars(of_job)),
    )
