"""The number of jobs of each status, kept beside the jobs: counting a million of them takes too long for a screen.

Whatever inserts, moves or deletes jobs counts them in the same transaction.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, select, text

from schedy.wire.base import JobStatus
from schedy_store.schema.engine import Transaction, Waiting
from schedy_store.schema.prepared import Prepared
from schedy_store.schema.tables import JobCount

_COUNT = Prepared(
    text(
        "INSERT INTO job_count (experiment_pk, status, jobs) VALUES (:experiment, :status, :more)"
        " ON CONFLICT (experiment_pk, status) DO UPDATE SET jobs = job_count.jobs + excluded.jobs"
    )
)


class _Counted(Waiting):
    """Changes of the counts that wait, see `Transaction.waiting`."""

    def __init__(self) -> None:
        self.more: Counter[tuple[int, JobStatus]] = Counter()

    def write(self, sql: Connection) -> None:
        rows = [
            {"experiment": experiment, "status": status, "more": more}
            for (experiment, status), more in self.more.items()
            if more
        ]
        self.more.clear()
        if rows:
            _COUNT.write(sql, rows)


def count_jobs(transaction: Transaction, experiment_pk: int, more: Mapping[JobStatus, int]) -> None:
    """Count jobs that are new, or with a negative number gone."""
    counted = transaction.waiting(_Counted)
    for status, count in more.items():
        counted.more[experiment_pk, status] += count


def job_counts(sql: Connection, experiments: Sequence[int]) -> dict[int, dict[str, int]]:
    """Return for each of these experiments the numbers of its jobs by status; there is none that is 0."""
    found = select(JobCount.experiment_pk, JobCount.status, JobCount.jobs)
    counts: dict[int, dict[str, int]] = {experiment: {} for experiment in experiments}
    for experiment, status, jobs in sql.execute(
        found.where(JobCount.experiment_pk.in_(experiments), JobCount.jobs != 0).order_by(JobCount.status)
    ):
        counts[experiment][status] = jobs
    return counts
