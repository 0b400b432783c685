"""Output and tracebacks of attempts: the end of each, for the latest attempts of a job."""

from typing import Any

from sqlalchemy import delete, insert, select, update

from schedy.wire.output import LONGEST_TRACEBACK, Tail, end_of
from schedy.wire.reports import Output
from schedy_store.schema.engine import Transaction
from schedy_store.schema.rows import JobRow
from schedy_store.schema.tables import AttemptOutput

_ATTEMPTS_KEPT = 5


class Outputs:
    """Writes output and tracebacks within one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def add(self, row: JobRow, message: Output) -> None:
        """Add to the output of the current attempt of a job."""
        of_attempt = select(AttemptOutput.text, AttemptOutput.written).where(*_current(row))
        stored = self._transaction.sql.execute(of_attempt).one_or_none()
        tail = Tail.of(message.text, message.end)
        if stored is not None:
            tail = Tail(stored.text, stored.written).joined(tail)
        values = {"text": tail.text, "written": tail.end}
        self._write(row, values if message.path is None else {**values, "path": message.path}, is_new=stored is None)

    def add_traceback(self, row: JobRow, traceback: str) -> None:
        """Keep the traceback that ended the current attempt of a job."""
        is_new = self._transaction.sql.scalar(select(AttemptOutput.attempt).where(*_current(row))) is None
        self._write(row, {"traceback": end_of(traceback, LONGEST_TRACEBACK)}, is_new=is_new)

    def _write(self, row: JobRow, values: dict[str, Any], *, is_new: bool) -> None:
        if not is_new:
            self._transaction.sql.execute(update(AttemptOutput).where(*_current(row)).values(**values))
            return
        named = {"job_pk": row.pk, "attempt": row.attempt, "worker": row.worker}
        self._transaction.sql.execute(insert(AttemptOutput).values(**named, **values))
        old = AttemptOutput.attempt <= row.attempt - _ATTEMPTS_KEPT
        self._transaction.sql.execute(delete(AttemptOutput).where(AttemptOutput.job_pk == row.pk, old))

    def forget_attempt(self, row: JobRow) -> None:
        """Delete what the current attempt has written: the next one gets its number."""
        self._transaction.sql.execute(delete(AttemptOutput).where(*_current(row)))


def _current(row: JobRow) -> tuple[Any, ...]:
    return AttemptOutput.job_pk == row.pk, AttemptOutput.attempt == row.attempt
