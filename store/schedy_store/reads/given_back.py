"""Jobs in trouble that no status shows: those that are given back again and again."""

from typing import NamedTuple

from sqlalchemy import literal_column, select

from schedy.wire.base import FINAL_STATUSES
from schedy.wire.records import MANY_RELEASES
from schedy_store.schema.engine import Transaction
from schedy_store.schema.tables import OF_EXPERIMENT, Experiment, Job

_OFTEN = (
    select(Experiment.name, Job.job_id, Job.releases)
    .join_from(Job, Experiment, OF_EXPERIMENT)
    .where(Job.releases > literal_column("1"), Job.releases >= MANY_RELEASES, Job.status.not_in(FINAL_STATUSES))
    .order_by(Job.releases.desc(), Job.pk)
)


class GivenBack(NamedTuple):
    """A job that was given back so many times in a row without a report."""

    experiment: str
    job_id: str
    releases: int


def given_back_often(transaction: Transaction) -> list[GivenBack]:
    """Return the jobs that have not ended and were given back very often in a row, those given back most first."""
    return [GivenBack(*row) for row in transaction.sql.execute(_OFTEN)]
