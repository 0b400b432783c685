"""The experiments, with the numbers of their jobs."""

from sqlalchemy import select

from schedy.wire.answers import ExperimentsAnswer
from schedy.wire.base import Answer
from schedy.wire.requests import GetExperiments
from schedy_store.lifecycle.experiment_names import missing_experiment
from schedy_store.lifecycle.job_counts import job_counts
from schedy_store.reads.common import DELETED
from schedy_store.schema.engine import Transaction
from schedy_store.schema.records import experiment_record, findable
from schedy_store.schema.rows import EXPERIMENT_RECORD_COLUMNS, ExperimentRecordRow
from schedy_store.schema.tables import Experiment


def read_experiments(transaction: Transaction, request: GetExperiments) -> Answer:
    found = select(*EXPERIMENT_RECORD_COLUMNS).order_by(Experiment.pk).limit(request.limit + 1)
    if request.name is not None:
        found = found.where(Experiment.name == findable(request.name))
    elif request.uid is not None:
        found = found.where(Experiment.uid == request.uid)
    else:
        found = found.where(Experiment.pk > request.after)
    rows = [ExperimentRecordRow(*row) for row in transaction.sql.execute(found)]
    if not rows and request.name is not None:
        return missing_experiment(transaction.sql, request.name)
    if not rows and request.uid is not None:
        return DELETED
    page = rows[: request.limit]
    counts = job_counts(transaction.sql, [row.pk for row in page])
    records = [experiment_record(row, counts[row.pk]) for row in page]
    return ExperimentsAnswer(experiments=records, more=len(rows) > request.limit)
