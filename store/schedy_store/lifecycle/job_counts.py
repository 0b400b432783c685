"""The number of jobs of each status, kept beside the jobs: counting a million of them takes too long for a screen.

Whatever inserts, moves or deletes jobs counts them in the same transaction.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, select, text

from schedy.wire.base import JobStatus
from schedy_store.schema.tables import JobCount

_COUNT = text(
    "INSERT INTO job_count (experiment_pk, status, jobs) VALUES (:experiment, :status, :more)"
    " ON CONFLICT (experiment_pk, status) DO UPDATE SET jobs = job_count.jobs + excluded.jobs"
)
_MOVE = text(
    "INSERT INTO job_count (experiment_pk, status, jobs) VALUES (:experiment, :before, -1), (:experiment, :after, 1)"
    " ON CONFLICT (experiment_pk, status) DO UPDATE SET jobs = job_count.jobs + excluded.jobs"
)


def count_jobs(sql: Connection, experiment_pk: int, more: Mapping[JobStatus, int]) -> None:
    """Count jobs that are new, or with a negative number gone."""
    rows = [{"experiment": experiment_pk, "status": status, "more": count} for status, count in more.items()]
    if rows:
        sql.execute(_COUNT, rows)


def count_move(sql: Connection, experiment_pk: int, before: JobStatus, after: JobStatus) -> None:
    """Count a job whose status has changed."""
    sql.execute(_MOVE, {"experiment": experiment_pk, "before": before, "after": after})


def job_counts(sql: Connection, experiments: Sequence[int]) -> dict[int, dict[str, int]]:
    """Return for each of these experiments the numbers of its jobs by status; there is none that is 0."""
    found = select(JobCount.experiment_pk, JobCount.status, JobCount.jobs)
    counts: dict[int, dict[str, int]] = {experiment: {} for experiment in experiments}
    for experiment, status, jobs in sql.execute(
        found.where(JobCount.experiment_pk.in_(experiments), JobCount.jobs != 0).order_by(JobCount.status)
    ):
        counts[experiment][status] = jobs
    return counts
