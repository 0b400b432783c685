"""Deleting many rows in pieces, each so small that nobody waits for it."""

from typing import Any, Protocol

from sqlalchemy import ColumnElement, bindparam, delete, select

from schedy_store.schema.engine import Transaction

_PIECE_SECONDS = 0.02
_FIRST_ROWS = 100
_MOST_ROWS = 10_000


class Sweep(Protocol):
    """Rows that are to go, in pieces. Each piece has a transaction of its own."""

    def piece(self, transaction: Transaction) -> bool:
        """Delete some rows; return whether there may be more."""
        ...

    def took(self, seconds: float) -> None:
        """Note how long the last piece took, with its commit."""
        ...

    def summary(self) -> str:
        """Return a line for the log once all is done, empty if there is nothing to say."""
        ...


class PieceSize:
    """The number of rows of a piece, by the time that the last ones took."""

    def __init__(self) -> None:
        self.rows = _FIRST_ROWS

    def took(self, seconds: float) -> None:
        """Halve the number after a piece that took long, double it after a quick one."""
        if seconds > _PIECE_SECONDS:
            self.rows = max(1, self.rows // 2)
        elif seconds < _PIECE_SECONDS / 3:
            self.rows = min(_MOST_ROWS, self.rows * 2)


class Deletion(PieceSize):
    """The deletion of the rows of a table that a condition names, by its key and in an order that an index gives."""

    def __init__(self, table: Any, key: Any, *conditions: ColumnElement[bool], order: Any, what: str = "") -> None:
        """`what` completes the line "Deleted 1,000 ..."; without it there is none."""
        super().__init__()
        self.deleted = 0
        self._what = what
        some = select(key).where(*conditions).order_by(order).limit(bindparam("most"))
        self._delete = delete(table).where(key.in_(some))

    def piece(self, transaction: Transaction) -> bool:
        deleted: int = transaction.sql.execute(self._delete, {"most": self.rows}).rowcount
        self.deleted += deleted
        return deleted == self.rows

    def summary(self) -> str:
        return f"Deleted {self.deleted:,} {self._what}." if self.deleted and self._what else ""
