"""What several reads share: the size of a page, whose experiment it is, until when silence counts."""

import math
from datetime import datetime

from sqlalchemy import select

from schedy.wire.answers import Refusal
from schedy_store.schema.engine import Transaction
from schedy_store.schema.tables import Experiment, Service

PAGE_CHARACTERS = 4_000_000
DELETED = Refusal(code="not_found", reason="The experiment was deleted.")
_MEASURED_SECONDS = 10.0
"""Seconds after its latest noted tick in which a service surely measures the time."""


def experiment_pk(transaction: Transaction, uid: str) -> int | None:
    return transaction.sql.scalar(select(Experiment.pk).where(Experiment.uid == uid))


def measured(transaction: Transaction) -> tuple[float, datetime]:
    """Return the lease, and the time until which a worker's silence counts: no longer than a service listened."""
    service = transaction.sql.execute(select(Service.lease_seconds, Service.measured_until)).one()
    until, now = service.measured_until, transaction.now
    is_measured = until is None or abs((now - until).total_seconds()) < _MEASURED_SECONDS
    return service.lease_seconds or math.inf, now if is_measured else until


def missing_job(job_id: str) -> Refusal:
    reason = f"There is no job {job_id!r} in this experiment. `schedy list NAME` shows the ids."
    return Refusal(code="not_found", reason=reason)
