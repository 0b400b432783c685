"""Messages that `schedy.reports` has lost: somebody purged it, or a policy removes messages from it.

Nothing can bring them back. The service notices it by its own ticks, which the broker has confirmed and which never
come, and says what may be missing. An instance that stops leaves a last one in the queue, and its name in the store.
"""

import time
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Update, select, update

from schedy.wire import names
from schedy.wire.service import Tick
from schedy_store.lifecycle.effects import Effects
from schedy_store.lifecycle.journal import LOST_MESSAGES, Journal
from schedy_store.schema.engine import Transaction
from schedy_store.schema.tables import Event
from schedy_store.schema.tables import Service as ServiceRow

_MOST_SERIES = 100
_QUIET_SECONDS = 60.0

_CONSEQUENCES = (
    "Reports, pushes and changes that were in it are not stored: jobs whose end is among them run again when their"
    " leases have run out; look for pushed jobs with `schedy list`, and push again what is missing."
)
PURGED = (
    f"RabbitMQ has lost messages of {names.REPORTS_QUEUE}, some of the service's own among them: somebody purged the"
    f" queue, or a policy removes messages from it. {_CONSEQUENCES}"
)
DELETED = f"The queue {names.REPORTS_QUEUE} was missing, and was declared again. {_CONSEQUENCES}"
PURGED_BETWEEN = (
    f"The queue {names.REPORTS_QUEUE} has lost messages between {{}}, when the results service stopped, and {{}}:"
    " somebody purged it, or a policy removed messages from it, or this store was restored from a backup."
    f" {_CONSEQUENCES}"
)


class Loss(NamedTuple):
    """A loss that was noticed."""

    at: datetime
    detail: str


class TickLedger:
    """Counts the ticks that come back. Lives in the service thread."""

    def __init__(self) -> None:
        self._due: dict[str, int] = {}
        """By series: the number of confirmed ticks of the next tick, at most."""
        self._said_at: float | None = None

    def reset(self) -> None:
        """Start again: ticks may have come to another instance, or over another connection."""
        self._due.clear()

    def note(self, transaction: Transaction, tick: Tick) -> Effects:
        """Count a tick. If others of its series have not come before it, say so, once in a while."""
        due = self._due.pop(tick.series, tick.confirmed)
        self._due[tick.series] = max(due, tick.confirmed) + 1
        while len(self._due) > _MOST_SERIES:
            del self._due[next(iter(self._due))]
        now = time.monotonic()
        is_quiet = self._said_at is not None and now - self._said_at < _QUIET_SECONDS
        if tick.confirmed <= due or is_quiet:
            return Effects()
        self._said_at = now
        Journal(transaction).record(LOST_MESSAGES, PURGED, experiment_pk=None)
        return Effects(log=[PURGED])


def note_last_tick(transaction: Transaction, tick: Tick) -> Effects:
    """Note that the last tick of a stopped instance has come, or say so if one behind it has come first."""
    if tick.name:
        transaction.sql.execute(_awaited(tick.name))
    if not tick.behind:
        return Effects()
    stopped_at = transaction.sql.scalar(_awaited(tick.behind).returning(ServiceRow.awaited_since))
    if stopped_at is None:
        return Effects()
    detail = PURGED_BETWEEN.format(_shown(stopped_at), _shown(transaction.now))
    Journal(transaction).record(LOST_MESSAGES, detail, experiment_pk=None)
    return Effects(log=[detail])


def _awaited(name: str) -> Update:
    """Return the statement that no longer waits for this tick."""
    return update(ServiceRow).where(ServiceRow.awaited_tick == name).values(awaited_tick=None)


def _shown(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def last_loss(transaction: Transaction, *, within: timedelta) -> Loss | None:
    """Return the loss that was noticed last, None if none was in this time."""
    since = transaction.now - within
    found = (
        select(Event.at, Event.detail)
        .where(Event.experiment_pk.is_(None), Event.kind == LOST_MESSAGES, Event.at >= since)
        .order_by(Event.pk.desc())
        .limit(1)
    )
    row = transaction.sql.execute(found).one_or_none()
    return None if row is None else Loss(*row)
