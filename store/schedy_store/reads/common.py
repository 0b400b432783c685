"""What several reads share: the size of a page, whose experiment it is, until when silence counts."""

import math
from datetime import datetime

from sqlalchemy import literal_column, select

from schedy.wire.answers import Refusal
from schedy_store.schema.engine import Transaction
from schedy_store.schema.tables import Experiment, Job, Service

PAGE_CHARACTERS = 4_000_000
DELETED = Refusal(code="not_found", reason="The experiment was deleted.")
IS_RUNNING = Job.status == literal_column("'RUNNING'")
"""With no parameter, so that SQLite uses the indexes of running jobs."""
_SILENT_LEASES = 0.7
"""Part of a lease after which a worker is silent: by then two heartbeats in a row have not come."""

_MEASURED_SECONDS = 10.0
"""Seconds after its latest noted tick in which a service surely measures the time."""


def experiment_pk(transaction: Transaction, uid: str) -> int | None:
    return transaction.sql.scalar(select(Experiment.pk).where(Experiment.uid == uid))


class Silence:
    """For how long workers have been silent: counted no longer than a service listened."""

    def __init__(self, transaction: Transaction) -> None:
        service = transaction.sql.execute(select(Service.lease_seconds, Service.measured_until)).one()
        until, now = service.measured_until, transaction.now
        is_measured = until is None or abs((now - until).total_seconds()) < _MEASURED_SECONDS
        self._lease = service.lease_seconds or math.inf
        self._until = now if is_measured else until

    def of_job(self, heard_at: datetime | None) -> float | None:
        """Return for how many seconds the worker of a running job is silent that should have been heard of."""
        if heard_at is None:
            return None
        silent = (self._until - heard_at).total_seconds()
        return silent if silent > self._lease * _SILENT_LEASES else None

    def of_worker(self, heard_at: datetime) -> bool:
        """Return True if a worker was not heard of for a lease."""
        return (self._until - heard_at).total_seconds() > self._lease


def missing_job(job_id: str) -> Refusal:
    reason = f"There is no job {job_id!r} in this experiment. `schedy list NAME` shows the ids."
    return Refusal(code="not_found", reason=reason)
