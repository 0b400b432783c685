"""Rows of experiments that make their own jobs."""

from datetime import datetime

from sqlalchemy import bindparam, select, update

from schedy.search.algorithms import MANUAL
from schedy.wire.base import ExperimentStatus
from schedy.wire.records import SEARCH_FAILED
from schedy_store.lifecycle.journal import Journal
from schedy_store.schema.engine import Transaction
from schedy_store.schema.rows import columns_of, row_class
from schedy_store.schema.tables import Experiment

_FAILED = f"{SEARCH_FAILED} and is tried again: "


@row_class
class SearchRow:
    """The columns of an experiment that its search depends on."""

    pk: int
    name: str
    scheduler: str
    settings: str
    status: ExperimentStatus
    paused: bool
    made: int
    search_end: str | None
    problem: str | None
    timed_from: datetime

    @property
    def is_open(self) -> bool:
        """Return whether jobs of the experiment may start now."""
        return self.status == "RUNNING" and not self.paused


_SEARCH = select(*columns_of(SearchRow, Experiment)).where(
    Experiment.pk == bindparam("pk_is"), Experiment.scheduler != MANUAL
)
_RUNNING = select(Experiment.pk).where(Experiment.scheduler != MANUAL, Experiment.status == "RUNNING")


class SearchRows:
    """The experiments that make their own jobs, within one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._journal = Journal(transaction)

    def find(self, pk: int) -> SearchRow | None:
        """Return an experiment; None if it was deleted, or makes no jobs."""
        row = self._transaction.sql.execute(_SEARCH, {"pk_is": pk}).one_or_none()
        return None if row is None else SearchRow(*row)

    def running(self) -> set[int]:
        """Return the primary keys of all experiments whose searches go on."""
        return set(self._transaction.sql.scalars(_RUNNING))

    def complete(self, row: SearchRow, reason: str) -> str:
        """Make an experiment DONE because nothing is left to do; return a line for the log."""
        values = {"status": "DONE", "completed": True, "search_end": reason}
        self._transaction.sql.execute(update(Experiment).where(Experiment.pk == row.pk).values(values))
        text = f"The experiment is DONE. {reason}"
        self._journal.record("status", text, experiment_pk=row.pk)
        return f"{row.name}: the experiment is DONE. {reason}"

    def show_failure(self, row: SearchRow, problem: str) -> list[str]:
        """Show a failure of the algorithm with its experiment; return what is new, as lines for the log."""
        text = f"{_FAILED}{problem}"
        if text == row.problem:
            return []
        self._transaction.sql.execute(update(Experiment).where(Experiment.pk == row.pk).values(problem=text))
        self._journal.record("problem", text, experiment_pk=row.pk)
        return [f"{row.name}: {text}"]

    def note_end(self, row: SearchRow, reason: str) -> str:
        """Record that a search has failed for good; return a line for the log."""
        self._journal.record("problem", reason, experiment_pk=row.pk)
        return f"{row.name}: {reason}"

    def clear_failure(self, row: SearchRow) -> None:
        """Remove a failure of the algorithm, and no other problem, from an experiment."""
        if (row.problem or "").startswith(_FAILED):
            self._transaction.sql.execute(update(Experiment).where(Experiment.pk == row.pk).values(problem=None))
