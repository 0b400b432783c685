"""The jobs that a search has still to make, and those of it that nobody has claimed."""

import json
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import bindparam, delete, exists, func, insert, select, update

from schedy.wire.changes import NewJob
from schedy_store.lifecycle.new_jobs import Newcomer, NewJobs
from schedy_store.schema.engine import Transaction
from schedy_store.schema.rows import columns_of, row_class
from schedy_store.schema.tables import Experiment, Job, JobCount, WantedJob
from schedy_store.search.wire import MadeJob


@row_class
class WantedRow:
    """A suggestion that is wanted; `known` is the number of jobs that had ended when it was first wanted."""

    suggestion: int
    known: int


_WANTED = (
    select(*columns_of(WantedRow, WantedJob))
    .where(WantedJob.experiment_pk == bindparam("pk_is"))
    .order_by(WantedJob.suggestion)
)


@row_class
class QueuedRow:
    """A QUEUED job; `dispatched_at` is None until its ticket is out."""

    pk: int
    dispatched_at: datetime | None


_QUEUED = (
    select(*columns_of(QueuedRow, Job))
    .where(Job.experiment_pk == bindparam("pk_is"), Job.status == "QUEUED")
    .order_by(Job.pk)
    .limit(bindparam("most"))
)
_RUNNING = select(JobCount.jobs).where(JobCount.experiment_pk == bindparam("pk_is"), JobCount.status == "RUNNING")
_ENDED = select(func.max(Job.ended)).where(Job.experiment_pk == bindparam("pk_is"))
_UNFINISHED = select(exists().where(Job.experiment_pk == bindparam("pk_is"), Job.status.in_(("QUEUED", "RUNNING"))))


class Backlog:
    """The backlog of one search, within one transaction.

    An experiment's `made` counts the suggestions that were ever wanted, so its next one has that number.
    """

    def __init__(self, transaction: Transaction, experiment_pk: int) -> None:
        self._transaction = transaction
        self._pk = experiment_pk

    def wanted(self) -> list[WantedRow]:
        """Return the suggestions that are wanted, in order."""
        return [WantedRow(*row) for row in self._transaction.sql.execute(_WANTED, {"pk_is": self._pk})]

    def queued(self, limit: int) -> list[QueuedRow]:
        """Return the oldest QUEUED jobs, pushed ones too."""
        return [QueuedRow(*row) for row in self._transaction.sql.execute(_QUEUED, {"pk_is": self._pk, "most": limit})]

    def running(self) -> int:
        """Return how many jobs run."""
        return self._transaction.sql.scalar(_RUNNING, {"pk_is": self._pk}) or 0

    def ended(self) -> int:
        """Return how many jobs have ended."""
        return self._transaction.sql.scalar(_ENDED, {"pk_is": self._pk}) or 0

    def has_unfinished(self) -> bool:
        """Return whether a job is QUEUED or RUNNING."""
        return bool(self._transaction.sql.scalar(_UNFINISHED, {"pk_is": self._pk}))

    def want(self, count: int, *, first: int, known: int) -> None:
        """Want further suggestions, from number `first`."""
        numbers = range(first, first + count)
        rows = [{"experiment_pk": self._pk, "suggestion": number, "known": known} for number in numbers]
        self._transaction.sql.execute(insert(WantedJob), rows)
        self._count_made(first + count)

    def want_again(self, *, known: int) -> None:
        """Want the same suggestions, now that more jobs have ended."""
        self._transaction.sql.execute(update(WantedJob).where(WantedJob.experiment_pk == self._pk).values(known=known))

    def drop_from(self, number: int) -> None:
        """Want no suggestion from this number on."""
        surplus = (WantedJob.experiment_pk == self._pk, WantedJob.suggestion >= number)
        self._transaction.sql.execute(delete(WantedJob).where(*surplus))
        self._count_made(number)

    def exhaust(self, reason: str, *, made: int) -> None:
        """Want nothing more, ever, because the algorithm has no further suggestion."""
        self._transaction.sql.execute(delete(WantedJob).where(WantedJob.experiment_pk == self._pk))
        values = {"search_end": reason, "made": made}
        self._transaction.sql.execute(update(Experiment).where(Experiment.pk == self._pk).values(values))

    def store(self, made: Iterable[MadeJob], wanted: Iterable[WantedRow]) -> bool:
        """Store the jobs that are among the wanted ones; return whether there are any."""
        numbers = {row.suggestion for row in wanted}
        jobs = [job for job in made if job.number in numbers]
        if not jobs:
            return False
        new_jobs = NewJobs(self._transaction)
        new_jobs.insert(self._pk, new_jobs.fresh_ids(self._pk, len(jobs)), [_newcomer(job) for job in jobs])
        stored = (WantedJob.experiment_pk == self._pk, WantedJob.suggestion.in_([job.number for job in jobs]))
        self._transaction.sql.execute(delete(WantedJob).where(*stored))
        return True

    def _count_made(self, made: int) -> None:
        self._transaction.sql.execute(update(Experiment).where(Experiment.pk == self._pk).values(made=made))


def _newcomer(made: MadeJob) -> Newcomer:
    return Newcomer(
        NewJob(hyperparameters=made.hyperparameters, results=made.results),
        {
            "suggestion": made.number,
            "parent": made.parent,
            "generation": made.generation,
            "search_state": json.dumps(made.state),
        },
    )
