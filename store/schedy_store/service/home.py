"""The broker through which a store is served: one store has one broker.

Two services on one store, but on different brokers, would each be the only consumer of its reports, and take the store
from each other for ever. So the store has the id of its broker, and the broker has an exchange named after that id.
"""

import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import select, update

from schedy.errors import StoreError
from schedy.urls import without_password
from schedy_store.lifecycle.journal import LOST_MESSAGES, Journal
from schedy_store.schema.engine import Store, Transaction
from schedy_store.schema.tables import Service as ServiceRow
from schedy_store.service.lost_messages import DELETED

_log = logging.getLogger(__name__)

_SILENT_SECONDS = 30.0
"""Time without a sign of the service on another broker after which the store may be served through this one."""

_ROW = select(ServiceRow.broker_id, ServiceRow.instance, ServiceRow.seen_at)


class Broker(Protocol):
    """The broker, as a service prepares it before it connects. Every method may raise BrokerError."""

    def prepare(self) -> Sequence[str]:
        """Declare what is missing; return the changes, one line each."""

    def has_mark(self, broker_id: str) -> bool:
        """Return whether it is the broker with this id."""

    def leave_mark(self, broker_id: str) -> None:
        """Make it the broker with this id."""


@dataclass(frozen=True, slots=True)
class Served:
    """The broker by which a store is served, and the instance that was active last.

    `silent_seconds`: since it was last seen; None if it has stopped, or there was none.
    """

    broker_id: str | None
    instance: str
    silent_seconds: float | None

    @property
    def is_active(self) -> bool:
        """Return whether it was seen a short time ago."""
        return self.silent_seconds is not None and self.silent_seconds < _SILENT_SECONDS


def served(transaction: Transaction) -> Served:
    """Return how the store is served."""
    row = transaction.sql.execute(_ROW).one()
    silence = None if row.seen_at is None else (transaction.now - row.seen_at).total_seconds()
    return Served(row.broker_id, row.instance, silence)


class Home:
    """Finds out whether a store may be served through a broker. Lives in the service thread."""

    def __init__(self, store: Store, broker: Broker) -> None:
        self._store = store
        self._broker = broker
        self._settled: str | None = None

    def settle(self, *, lost_reports: bool = False) -> str:
        """Return the id of the broker, with which the store may be served.

        `lost_reports`: the queue of the reports was missing there, which is noted if this was the store's broker
        before. Raises StoreError while the store is served through another broker.
        """
        with self._store.transaction() as transaction:
            found = served(transaction)
        if found.broker_id is not None and found.broker_id == self._settled:
            self._broker.leave_mark(found.broker_id)  # it may have been deleted meanwhile, with all else
        elif found.broker_id is None or not self._broker.has_mark(found.broker_id):
            return self._move(found)
        if lost_reports:
            with self._store.transaction() as transaction:
                Journal(transaction).record(LOST_MESSAGES, DELETED, experiment_pk=None)
                transaction.sql.execute(update(ServiceRow).values(awaited_tick=None))
            _log.warning("%s", DELETED)
        self._settled = found.broker_id
        return found.broker_id

    def _move(self, found: Served) -> str:
        """Serve the store through this broker from now on."""
        if found.is_active:
            raise StoreError(
                f"The store {without_password(self._store.url)} is served through another RabbitMQ, by the instance"
                f" {found.instance}. Stop one of the two, or give both the same SCHEDY_BROKER_URL. This one serves when"
                f" the other has been silent for {_SILENT_SECONDS:.0f} s."
            )
        broker_id = uuid.uuid4().hex
        self._broker.leave_mark(broker_id)
        before = ServiceRow.broker_id.is_(None) if found.broker_id is None else ServiceRow.broker_id == found.broker_id
        with self._store.transaction() as transaction:
            change = update(ServiceRow).where(before).values(broker_id=broker_id, awaited_tick=None)
            if transaction.sql.scalars(change.returning(ServiceRow.broker_id)).one_or_none() is None:
                raise StoreError("Another instance of the results service has started at the same moment.")
            if found.broker_id is not None:
                Journal(transaction).record("service", _MOVED.format(found.instance), experiment_pk=None)
        if found.broker_id is not None:
            _log.warning("%s", _MOVED.format(found.instance))
        self._settled = broker_id
        return broker_id


_MOVED = (
    "This store was served through another RabbitMQ before, by the instance {}. Reports and pushes that wait there are"
    " not in this store; serve it there again to store them."
)
