"""The workers, with the jobs that they hold."""

from sqlalchemy import select

from schedy.wire.answers import WorkersAnswer
from schedy.wire.base import Answer
from schedy.wire.requests import GetWorkers
from schedy_store.reads.common import IS_RUNNING, Silence
from schedy_store.schema.engine import Transaction
from schedy_store.schema.records import worker_record
from schedy_store.schema.rows import WORKER_COLUMNS, WorkerRow
from schedy_store.schema.tables import OF_EXPERIMENT, Experiment, Job, Worker


def read_workers(transaction: Transaction, request: GetWorkers) -> Answer:
    found = select(*WORKER_COLUMNS).where(Worker.pk > request.after).order_by(Worker.pk).limit(request.limit + 1)
    if not request.gone:
        found = found.where(Worker.state != "ended")
    rows = [WorkerRow(*row) for row in transaction.sql.execute(found)]
    silence = Silence(transaction)
    page = rows[: request.limit]
    jobs = _jobs_of_workers(transaction, [row.pk for row in page])
    workers = [
        worker_record(row, jobs.get(row.pk, []), now=transaction.now, silent=silence.of_worker(row.heard_at))
        for row in page
    ]
    return WorkersAnswer.model_construct(workers=workers, more=len(rows) > request.limit)


def _jobs_of_workers(transaction: Transaction, workers: list[int]) -> dict[int, list[str]]:
    running = (
        select(Job.worker_pk, Experiment.name, Job.job_id)
        .join_from(Job, Experiment, OF_EXPERIMENT)
        .where(IS_RUNNING, Job.worker_pk.in_(workers))
        .order_by(Job.pk)
    )
    jobs: dict[int, list[str]] = {}
    for row in transaction.sql.execute(running):
        jobs.setdefault(row.worker_pk, []).append(f"{row.name}/{row.job_id}")
    return jobs
