"""The jobs of an experiment: a page of them, those at given positions, or one with its events."""

import itertools
from collections.abc import Iterator
from typing import Any

from sqlalchemy import CompoundSelect, Select, select, union_all

from schedy.wire.answers import JobsAnswer
from schedy.wire.base import Answer
from schedy.wire.records import JobRecord
from schedy.wire.requests import GetHistory, GetJobs
from schedy.wire.values import Values
from schedy_store.reads.common import DELETED, PAGE_CHARACTERS, Silence, experiment_pk, missing_job
from schedy_store.reads.events import page_of_events
from schedy_store.schema.engine import Transaction
from schedy_store.schema.records import findable, job_record
from schedy_store.schema.rows import RECORD_COLUMNS, RecordRow
from schedy_store.schema.tables import Job

_EVENTS_SHOWN = 200
_JOBS_AT_ONCE = 50


def read_jobs(transaction: Transaction, request: GetJobs) -> Answer:
    experiment = experiment_pk(transaction, request.experiment_uid)
    if experiment is None:
        return DELETED
    found = select(*RECORD_COLUMNS).where(Job.experiment_pk == experiment)
    if request.job_id is not None:
        return _one_job(transaction, found, experiment, request.job_id)
    if request.positions is not None:
        return cut(records_at(transaction, found, request.positions), len(request.positions))
    first = _first_of(experiment, request)
    found = found.where(Job.pk > request.after if first is None else Job.pk.in_(first))
    found = found.order_by(Job.pk).limit(request.limit + 1)
    return cut(records(transaction, found), request.limit)


def _first_of(experiment: int, request: GetJobs) -> CompoundSelect[int] | None:
    """Return a statement for the first jobs of each wanted status, None for all: an index has each in its order."""
    jobs = select(Job.pk).where(Job.experiment_pk == experiment, Job.pk > request.after)
    parts = [
        select(jobs.where(Job.status == status).order_by(Job.pk).limit(request.limit + 1).subquery())
        for status in dict.fromkeys(request.statuses)
    ]
    return union_all(*parts) if parts else None


def records(
    transaction: Transaction, found: Select[*tuple[Any, ...]], silence: Silence | None = None
) -> Iterator[JobRecord]:
    """Yield records; that of a running job whose worker should have been heard of says how long it is silent."""
    silence = silence or Silence(transaction)
    for row in itertools.starmap(RecordRow, transaction.sql.execute(found)):
        record = job_record(row)
        silent = silence.of_job(row.heard_at) if row.status == "RUNNING" else None
        yield record if silent is None else record.model_copy(update={"silent_seconds": silent})


def _one_job(transaction: Transaction, found: Select[*tuple[Any, ...]], experiment: int, job_id: str) -> Answer:
    jobs = list(records(transaction, found.where(Job.job_id == findable(job_id))))
    if not jobs:
        return missing_job(job_id)
    newest = GetHistory(job_id=job_id, newest=True, limit=_EVENTS_SHOWN)
    events = page_of_events(transaction, newest, experiment)[0]
    return JobsAnswer.model_construct(jobs=jobs, events=events)


def records_at(transaction: Transaction, found: Select[*tuple[Any, ...]], positions: list[int]) -> Iterator[JobRecord]:
    """Yield the records at these positions, in their order; those that were deleted are left out."""
    for start in range(0, len(positions), _JOBS_AT_ONCE):
        some = positions[start : start + _JOBS_AT_ONCE]
        jobs = {record.position: record for record in records(transaction, found.where(Job.pk.in_(some)))}
        yield from (jobs[position] for position in some if position in jobs)


def cut(jobs: Iterator[JobRecord], limit: int) -> JobsAnswer:
    """Return a page of at most `limit` jobs, or fewer where it gets too large for a message."""
    page: list[JobRecord] = []
    characters = 0
    for job in jobs:
        if page and (len(page) == limit or characters > PAGE_CHARACTERS):
            return JobsAnswer.model_construct(jobs=page, more=True)
        page.append(job)
        characters += sum(map(_most_characters, (job.hyperparameters, job.results, job.previous_results)))
        characters += 6 * len(job.error or "")
    return JobsAnswer.model_construct(jobs=page)


def _most_characters(values: Values) -> int:
    """Return a number that the characters of values in a message do not exceed; writing them takes ten times as long.

    JSON has up to twice the characters of Python's text, for which `"` and control characters are shorter.
    """
    return 2 * len(ascii(values))
