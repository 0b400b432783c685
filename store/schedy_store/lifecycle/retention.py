"""What is kept for a time only: answers to changes, and what the settings say."""

from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any

from sqlalchemy import bindparam, delete, exists, select, tuple_

from schedy_store.lifecycle.pieces import Deletion, PieceSize, Sweep
from schedy_store.schema.engine import Transaction
from schedy_store.schema.tables import AppliedChange, AttemptOutput, CurvePoint, Event, Experiment, Job

_KEEP_ANSWERS = timedelta(days=30)
_ENDED = (
    select(Job.pk, Job.ended, Job.finished_at)
    .where(Job.experiment_pk == bindparam("experiment"), Job.ended > bindparam("after"))
    .order_by(Job.ended)
    .limit(bindparam("most"))
)


class Retention:
    """Makes the sweeps that are due each hour, by how many days things are kept; 0: for ever."""

    def __init__(self, *, events_days: float, curves_days: float, outputs_days: float) -> None:
        self._events_days = events_days
        self._of_jobs = [
            _OfEndedJobs(CurvePoint, [CurvePoint.pk], curves_days, "points of learning curves"),
            _OfEndedJobs(AttemptOutput, [AttemptOutput.job_pk, AttemptOutput.attempt], outputs_days, "outputs"),
        ]

    def sweeps(self, transaction: Transaction) -> list[Sweep]:
        now = transaction.now
        sweeps: list[Sweep] = [forgotten_answers(now)]
        if self._events_days:
            sweeps.append(_old_events(now, self._events_days))
        sweeps += [sweep for sweep in self._of_jobs if sweep.begin(transaction)]
        return sweeps


def forgotten_answers(now: datetime) -> Deletion:
    """Return the deletion of answers so old that their changes do not arrive again."""
    old = AppliedChange.at < now - _KEEP_ANSWERS
    return Deletion(AppliedChange, AppliedChange.request_id, old, order=AppliedChange.at)


def _old_events(now: datetime, days: float) -> Deletion:
    """Return the deletion of events that have happened, the last time, before these days."""
    begin = now - timedelta(days=days)
    old = (Event.at < begin, Event.last_at.is_(None) | (Event.last_at < begin))
    return Deletion(Event, Event.pk, *old, order=Event.at, what=f"events older than {days:g} days")


class _OfEndedJobs(PieceSize):
    """The deletion of what belongs to jobs that ended days ago; jobs end in the order of `job.ended`.

    How far it has come in each experiment is kept from sweep to sweep, so that each looks at what is new alone.
    """

    def __init__(self, table: Any, key: list[Any], days: float, what: str) -> None:
        super().__init__()
        self._days = days
        self._what = what
        self._table = table
        some = select(*key).where(table.job_pk.in_(bindparam("jobs", expanding=True))).limit(bindparam("most"))
        self._delete = delete(table).where(tuple_(*key).in_(some) if len(key) > 1 else key[0].in_(some))
        self._done: dict[int, int] = {}
        self._experiments: list[int] = []
        self._before: datetime | None = None
        self._deleted = 0

    def begin(self, transaction: Transaction) -> bool:
        """Begin a sweep; return whether there is anything to do."""
        if not self._days:
            return False
        self._deleted = 0
        self._before = transaction.now - timedelta(days=self._days)
        ended = exists().where(Job.experiment_pk == Experiment.pk, Job.ended > 0)
        self._experiments = list(transaction.sql.scalars(select(Experiment.pk).where(ended)))
        return bool(self._experiments)

    def piece(self, transaction: Transaction) -> bool:
        experiment = self._experiments[-1]
        place = {"experiment": experiment, "after": self._done.get(experiment, 0), "most": self.rows}
        old = list(takewhile(self._is_old, transaction.sql.execute(_ENDED, place)))
        if not old:
            self._experiments.pop()
            return bool(self._experiments)
        jobs = [row.pk for row in old]
        deleted = transaction.sql.execute(self._delete, {"jobs": jobs, "most": self.rows}).rowcount
        self._deleted += deleted
        if deleted < self.rows:
            self._done[experiment] = old[-1].ended
        return True

    def _is_old(self, row: Any) -> bool:
        return self._before is not None and row.finished_at < self._before

    def summary(self) -> str:
        if not self._deleted:
            return ""
        return f"Deleted {self._deleted:,} {self._what} of jobs that had ended for {self._days:g} days."
