"""Epochs, by which an instance of the results service finds that another has taken over, and gaps between ticks.

RabbitMQ makes one instance the consumer of the reports and tells nobody. So the store has a number, the epoch, which
an instance raises when it becomes active, and which every transaction checks.
"""

import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

from sqlalchemy import Connection, select, update

from schedy_store.lifecycle.journal import Journal
from schedy_store.schema.engine import Store, Transaction, Waiting
from schedy_store.schema.prepared import Prepared
from schedy_store.schema.tables import Service as ServiceRow

_LONGEST_GAP_SECONDS = 5.0
_SEEN_SECONDS = 5.0
_EPOCH = select(ServiceRow.epoch)
_LOCKED_EPOCH = Prepared(_EPOCH.with_for_update())
_COUNT = Prepared(update(ServiceRow).values(changes=ServiceRow.changes + 1))


class DeposedError(Exception):
    """Another instance has taken over. `was_active`: this one had an epoch until then."""

    def __init__(self, *, was_active: bool) -> None:
        super().__init__("Another instance of the results service has taken over.")
        self.was_active = was_active


@dataclass(frozen=True, slots=True)
class Turn:
    """This instance's turn as the active one: its epoch, and when a tick or a renewal of the leases came last.

    A transaction makes a new one, which counts once it is committed.
    """

    epoch: int | None = None
    last_tick: tuple[float, datetime] | None = None
    """The time in seconds by this machine's clock, and the time by the database's."""
    measured_until: datetime | None = None
    """The time of the latest tick that the instance before has noted, by the database's clock."""
    awaited_tick: str | None = None
    """Name of the tick that an instance before has left, if it had not come at the beginning of this turn."""

    def ticked(self, transaction: Transaction) -> Self:
        return replace(self, last_tick=(time.monotonic(), transaction.now))

    def gap(self, transaction: Transaction) -> timedelta | None:
        """Return the time without a measure since the last tick, or since that of the instance before.

        None if ticks come regularly, by both clocks. No lease may be judged after a gap. The time is the database's, so
        it is negative after its clock was set back.
        """
        if self.last_tick is None:
            return timedelta() if self.measured_until is None else transaction.now - self.measured_until
        seconds, database_time = self.last_tick
        passed = time.monotonic() - seconds
        elapsed = transaction.now - database_time
        drift = elapsed.total_seconds() - passed
        return elapsed if passed >= _LONGEST_GAP_SECONDS or abs(drift) >= _LONGEST_GAP_SECONDS else None


class _Counted(Waiting):
    """A change that is to be counted, with the other writes of its transaction."""

    def __init__(self) -> None:
        self._is_written = False

    def write(self, sql: Connection) -> None:
        if not self._is_written:
            _COUNT.write(sql, [{}])
            self._is_written = True


class Epochs:
    """Takes epochs and checks them. Lives in the service thread."""

    def __init__(self, store: Store, *, instance: str, broker_id: str, lease_seconds: float) -> None:
        """`broker_id` is that of the store's broker; once it has another, no epoch can be taken."""
        self._store = store
        self._broker_id = broker_id
        self._instance = instance
        self._lease_seconds = lease_seconds
        self._before = 0
        self._seen = 0.0
        """The time at which a tick was last noted in the store, by `time.monotonic`."""

    def look(self) -> None:
        """Read the epoch before a subscription: only the one that follows it can be taken.

        An instance that takes over from one that holds a batch has taken that: so the batch cannot be applied after
        what its successor has applied.
        """
        with self._store.transaction() as transaction:
            self._before = transaction.sql.scalars(_EPOCH).one()

    def check(self, transaction: Transaction, turn: Turn) -> Turn:
        """Return the turn if its epoch is still the store's, or a new turn if it has none.

        Locks the row until the commit. Raises DeposedError if another instance has taken over.
        """
        if turn.epoch is None:
            return self._take(transaction)
        if _LOCKED_EPOCH.read(transaction.sql, {}) != [[turn.epoch]]:
            raise DeposedError(was_active=True)
        return turn

    def count_change(self, transaction: Transaction) -> None:
        """Note in the store that this transaction changes something: more than the sign of life does."""
        transaction.waiting(_Counted)

    def ticked(self, transaction: Transaction, turn: Turn) -> Turn:
        """Return the turn with the tick that came; every few seconds its time is noted in the store."""
        if time.monotonic() - self._seen >= _SEEN_SECONDS:
            self._seen = time.monotonic()
            now = transaction.now
            transaction.sql.execute(update(ServiceRow).values(seen_at=now, measured_until=now))
        return turn.ticked(transaction)

    def leave(self, turn: Turn, *, last_tick: str | None = None) -> None:
        """Note in the store that this instance has stopped, so that another broker may follow at once.

        `last_tick` names a tick that is in the queue of the reports. If another instance has taken over, it may have
        come already, and nothing is noted; nor if the store has moved to another broker.
        """
        with self._store.transaction() as transaction:
            mine = update(ServiceRow).where(ServiceRow.epoch == turn.epoch)
            transaction.sql.execute(mine.values(seen_at=None, changes=ServiceRow.changes + 1))
            if last_tick is not None:
                is_first = ServiceRow.awaited_tick.is_(None)  # else that one tells of more
                noted = mine.where(ServiceRow.broker_id == self._broker_id, is_first)
                transaction.sql.execute(noted.values(awaited_tick=last_tick, awaited_since=transaction.now))

    def _take(self, transaction: Transaction) -> Turn:
        taken = transaction.sql.execute(
            update(ServiceRow)
            .where(ServiceRow.epoch == self._before, ServiceRow.broker_id == self._broker_id)
            .values(
                epoch=ServiceRow.epoch + 1,
                instance=self._instance,
                active_since=transaction.now,
                lease_seconds=self._lease_seconds,
                seen_at=transaction.now,
                changes=ServiceRow.changes + 1,
            )
            .returning(ServiceRow.epoch, ServiceRow.measured_until, ServiceRow.awaited_tick)
        ).one_or_none()
        if taken is None:
            raise DeposedError(was_active=False)
        detail = f"The results service {self._instance} is active."
        Journal(transaction).record("service", detail, experiment_pk=None)
        return Turn(taken.epoch, measured_until=taken.measured_until, awaited_tick=taken.awaited_tick)
