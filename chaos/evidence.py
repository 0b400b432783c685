"""What a run left behind: the store, the queues and the histories, as plain data for the checker."""

import contextlib
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import ChannelClosedByBroker
from sqlalchemy import func, select

from chaos.history import Record
from schedy.wire import names
from schedy.wire.values import load_values
from schedy_broker_setup.connecting import open_connection
from schedy_broker_setup.dead_letters import DeadLetter, dead_letters
from schedy_store.schema.engine import Store
from schedy_store.schema.tables import OF_EXPERIMENT, CurvePoint, Event, Experiment, Job, Removal

FINAL = frozenset({"DONE", "CRASHED", "PRUNED"})
_MOST_DEAD = 1000
_TICK = "tick"
_EMPTY_SECONDS = 1.0
"""A queue that gives nothing for so long is empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredJob:
    """A row of the store."""

    experiment: str
    job_id: str
    status: str
    attempt: int
    attempts_forgiven: int
    """Those before the latest retry."""
    max_attempts: int
    worker: str | None
    error: str | None
    quality: float | None
    hyperparameters: dict[str, Any]
    results: dict[str, Any]
    number: int | None = None
    """Which suggestion of the search it is; None for a job that was pushed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """Something that the service wrote down about a job; `at` by CLOCK_MONOTONIC."""

    experiment: str
    job_id: str
    at: float
    kind: str
    worker: str | None
    attempt: int | None
    detail: str
    times: int = 1
    results: dict[str, Any] | None = None
    """What an attempt had put when its time was over."""


@dataclass(slots=True, kw_only=True)
class Evidence:
    """All that the checker judges."""

    jobs: list[StoredJob] = field(default_factory=list)
    suggestions: list[dict[str, Any]] = field(default_factory=list)
    """What the search was to make, no job more and no job less: hyperparameters by number."""
    events: list[StoredEvent] = field(default_factory=list)
    workers: list[list[Record]] = field(default_factory=list)
    """One history for each worker process; each was alone in its own."""
    pushers: list[list[Record]] = field(default_factory=list)
    operations: list[Record] = field(default_factory=list)
    left_in_queues: dict[str, list[str]] = field(default_factory=dict)
    """For a queue that is not empty: the kinds of its messages."""
    left_by_removed: list[str] = field(default_factory=list)
    """What is left of experiments that were removed, in words."""
    dead: list[DeadLetter] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    """Processes that ended or hung on their own account."""


_JOBS = select(
    Experiment.name,
    Experiment.max_attempts,
    Job.job_id,
    Job.status,
    Job.attempt,
    Job.attempts_forgiven,
    Job.worker,
    Job.error,
    Job.quality,
    Job.hyperparameters,
    Job.results,
    Job.suggestion,
).join_from(Job, Experiment, OF_EXPERIMENT)
_EVENTS = (
    select(
        Experiment.name,
        Event.job_id,
        Event.at,
        Event.kind,
        Event.worker,
        Event.attempt,
        Event.detail,
        Event.times,
        Event.results,
    )
    .join_from(Event, Experiment, Event.experiment_pk == Experiment.pk)
    .where(Event.job_id.is_not(None), Event.kind != "denied")
    .order_by(Event.pk)
)


def unfinished(store: Store) -> list[str]:
    """Return the jobs that are not final. Raises StoreError."""
    open_jobs = select(Experiment.name, Job.job_id, Job.status).join_from(Job, Experiment, OF_EXPERIMENT)
    with store.transaction() as transaction:
        rows = transaction.sql.execute(open_jobs.where(Job.status.not_in(FINAL)))
        return [f"{row.name} {row.job_id} {row.status}" for row in rows]


def is_done(store: Store, experiment: str) -> bool:
    """Return whether an experiment is DONE. Raises StoreError."""
    with store.transaction() as transaction:
        return transaction.sql.scalar(select(Experiment.status).where(Experiment.name == experiment)) == "DONE"


def rows_of_removed(store: Store) -> list[str]:
    """Return which rows of experiments that are gone are left, in words. Raises StoreError."""
    there = select(Experiment.pk)
    gone = {
        "jobs": select(func.count()).where(Job.experiment_pk.not_in(there)),
        "events": select(func.count()).where(Event.experiment_pk.not_in(there)),
        "points": select(func.count()).where(CurvePoint.experiment_pk.not_in(there)),
        "removals under way": select(func.count(Removal.experiment_pk)),
    }
    with store.transaction() as transaction:
        counts = {what: transaction.sql.scalar(count) or 0 for what, count in gone.items()}
    return [f"{count} {what} of removed experiments" for what, count in counts.items() if count]


def read_store(store: Store) -> tuple[list[StoredJob], list[StoredEvent]]:
    """Return all jobs and events. Raises StoreError."""
    epoch = time.time() - time.monotonic()
    with store.transaction() as transaction:
        jobs = [_job(row) for row in transaction.sql.execute(_JOBS)]
        events = [_event(row, epoch) for row in transaction.sql.execute(_EVENTS)]
    return jobs, events


def _job(row: Any) -> StoredJob:
    return StoredJob(
        experiment=row.name,
        job_id=row.job_id,
        status=row.status,
        attempt=row.attempt,
        attempts_forgiven=row.attempts_forgiven,
        max_attempts=row.max_attempts,
        worker=row.worker,
        error=row.error,
        quality=row.quality,
        hyperparameters=load_values(row.hyperparameters),
        results=load_values(row.results),
        number=row.suggestion,
    )


def _event(row: Any, epoch: float) -> StoredEvent:
    at: datetime = row.at
    return StoredEvent(
        experiment=row.name,
        job_id=row.job_id,
        at=at.timestamp() - epoch,
        kind=row.kind,
        worker=row.worker,
        attempt=row.attempt,
        detail=row.detail,
        times=row.times,
        results=None if row.results is None else load_values(row.results),
    )


def waiting_messages(url: str, experiments: Iterable[str]) -> dict[str, int]:
    """Return how many messages are ready in each queue that should run empty, if any. Raises an error of pika's."""
    with open_connection(url, purpose="chaos") as connection:
        channel = connection.channel()
        counts = {
            queue: int(channel.queue_declare(queue, passive=True).method.message_count)
            for queue in [names.REPORTS_QUEUE, *map(names.jobs_queue, experiments)]
        }
    return {queue: count for queue, count in counts.items() if count}


def read_queues(url: str, queues: Iterable[str]) -> dict[str, list[str]]:
    """Return what is in the queues, now that nobody consumes; ticks are no messages that anybody misses."""
    left: dict[str, list[str]] = {}
    with open_connection(url, purpose="chaos") as connection:
        channel = connection.channel()
        for queue in queues:
            kinds = [kind for kind in _kinds(channel, queue) if not (queue == names.REPORTS_QUEUE and kind == _TICK)]
            if kinds:
                left[queue] = kinds
    return left


def queues_that_exist(url: str, queues: Iterable[str]) -> list[str]:
    """Return which of these queues the broker has, in words."""
    found: list[str] = []
    with open_connection(url, purpose="chaos") as connection:
        for queue in queues:
            with contextlib.suppress(ChannelClosedByBroker):
                connection.channel().queue_declare(queue, passive=True)
                found.append(f"the queue {queue} of a removed experiment")
    return found


def _kinds(channel: BlockingChannel, queue: str) -> list[str]:
    """The kinds of all messages; taken by a consumer, because RabbitMQ gives those of `schedy.reports` to no other."""
    kinds: list[str] = []
    for _method, properties, _body in channel.consume(queue, inactivity_timeout=_EMPTY_SECONDS):
        if properties is None:
            break
        kinds.append(properties.type or "?")
    channel.cancel()
    return kinds


def read_dead(url: str) -> list[DeadLetter]:
    return dead_letters(url, limit=_MOST_DEAD)


def jobs_by_status(jobs: Iterable[StoredJob]) -> Counter[str]:
    return Counter(job.status for job in jobs)
