"""The results service as the store knows it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from schedy_store.schema.engine import Transaction
from schedy_store.schema.tables import Service

SILENT_SECONDS = 15.0
"""The active instance notes every five seconds that it works."""


@dataclass(frozen=True)
class ServiceState:
    """Which instance is active, and whether it works."""

    instance: str
    epoch: int
    active_since: datetime | None
    seen_at: datetime | None
    is_alive: bool

    @property
    def since_text(self) -> str:
        """Return since when it is silent, as the end of a sentence."""
        return "" if self.seen_at is None else f" since {self.seen_at:%H:%M:%S} UTC"


def service_state(transaction: Transaction) -> ServiceState:
    """Read the state of the results service."""
    row = transaction.sql.execute(
        select(Service.instance, Service.epoch, Service.active_since, Service.seen_at)
    ).one_or_none()
    if row is None:
        return ServiceState("", 0, None, None, is_alive=False)
    silent = None if row.seen_at is None else (transaction.now - row.seen_at).total_seconds()
    return ServiceState(
        row.instance, row.epoch, row.active_since, row.seen_at, is_alive=silent is not None and silent < SILENT_SECONDS
    )
