"""What removed experiments have left in the store."""

from sqlalchemy import func, select

from schedy.wire.answers import RemovedAnswer, RemovedExperiment
from schedy.wire.base import Answer
from schedy.wire.requests import GetRemoved
from schedy_store.lifecycle.removals import removed_experiments
from schedy_store.schema.engine import Transaction
from schedy_store.schema.tables import Job


def read_removed(transaction: Transaction, _request: GetRemoved) -> Answer:
    """Answer with the removed experiments, and how many jobs each has left."""
    left = [
        RemovedExperiment(name=name, jobs=_jobs_of(transaction, pk))
        for pk, name in removed_experiments(transaction).items()
    ]
    return RemovedAnswer(experiments=left)


def _jobs_of(transaction: Transaction, experiment_pk: int) -> int:
    return transaction.sql.scalar(select(func.count()).where(Job.experiment_pk == experiment_pk)) or 0
