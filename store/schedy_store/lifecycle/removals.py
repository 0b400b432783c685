"""Removing experiments: gone for everybody at once, while their rows are deleted in pieces.

All that reads, claims or reports finds a job through its experiment, so nobody sees jobs that have none. The removal
is noted in `removal`, by the transaction that removes the experiment, until no row is left.
"""

from sqlalchemy import delete, insert, select

from schedy_store.lifecycle.pieces import Deletion
from schedy_store.schema.engine import Transaction
from schedy_store.schema.tables import CurvePoint, Event, Experiment, Job, Removal

_REMOVED = select(Removal.experiment_pk, Removal.name).order_by(Removal.at)


def remove_experiment(transaction: Transaction, pk: int, name: str) -> None:
    """Remove an experiment; its jobs and events are left to `RemovedRows`."""
    transaction.sql.execute(insert(Removal).values(experiment_pk=pk, name=name, at=transaction.now))
    transaction.sql.execute(delete(Experiment).where(Experiment.pk == pk))


def removed_experiments(transaction: Transaction) -> dict[int, str]:
    """Return the keys and names of removed experiments that have left rows."""
    return {row.experiment_pk: row.name for row in transaction.sql.execute(_REMOVED)}


class RemovedRows:
    """The rows that a removed experiment has left.

    Events go first, the newest before, since who reads the log has to pass them; then points, of which a single job may
    have very many; then jobs, with what belongs to each.
    """

    def __init__(self, experiment_pk: int, name: str) -> None:
        self._pk = experiment_pk
        self._name = name
        self._jobs = Deletion(Job, Job.pk, Job.experiment_pk == experiment_pk, order=Job.pk)
        self._left = [
            Deletion(Event, Event.pk, Event.experiment_pk == experiment_pk, order=Event.pk.desc()),
            Deletion(CurvePoint, CurvePoint.pk, CurvePoint.experiment_pk == experiment_pk, order=CurvePoint.pk),
            self._jobs,
        ]
        self._last = self._left[0]

    def piece(self, transaction: Transaction) -> bool:
        self._last = self._left[0]
        if self._last.piece(transaction):
            return True
        del self._left[0]
        if self._left:
            return True
        transaction.sql.execute(delete(Removal).where(Removal.experiment_pk == self._pk))
        return False

    def took(self, seconds: float) -> None:
        self._last.took(seconds)

    def summary(self) -> str:
        if not self._jobs.deleted:
            return ""
        return f"{self._name}: deleted {self._jobs.deleted:,} jobs of the removed experiment; none is left"
