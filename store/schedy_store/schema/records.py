"""Rows as the records that messages carry."""

import json
import re
from datetime import datetime
from operator import attrgetter

from schedy.wire.records import ExperimentRecord, JobEvent, JobRecord, Limits, WorkerRecord
from schedy.wire.values import load_values
from schedy_store.schema.rows import EventRow, ExperimentRecordRow, RecordRow, WorkerRow

_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")
_NOT_STORED_AS_SUCH = {"position", "silent_seconds"}
_JSON = ("hyperparameters", "results", "previous_results")
_AS_STORED = tuple(name for name in JobRecord.model_fields if name not in {*_NOT_STORED_AS_SUCH, *_JSON})
_stored_values = attrgetter(*_AS_STORED)


def findable(name: str) -> str:
    """Return a name to look for: itself, or, if no database takes it, one that nothing has."""
    return _UNSTORABLE.sub("\x01", name)


def job_record(row: RecordRow) -> JobRecord:
    """Return the record of a job. What the store holds is not validated again."""
    values = dict(zip(_AS_STORED, _stored_values(row), strict=True))
    for name in _JSON:
        values[name] = load_values(getattr(row, name))
    return JobRecord.model_construct(position=row.pk, silent_seconds=None, **values)


def experiment_record(row: ExperimentRecordRow, job_counts: dict[str, int]) -> ExperimentRecord:
    """Return the record of an experiment."""
    return ExperimentRecord(
        position=row.pk,
        uid=row.uid,
        name=row.name,
        scheduler=row.scheduler,
        settings=json.loads(row.settings),
        status=row.status,
        paused=row.paused,
        limits=Limits(
            max_attempts=row.max_attempts,
            job_timeout=row.job_timeout,
            stall_timeout=row.stall_timeout,
            retry_timeouts=row.retry_timeouts,
        ),
        created_at=row.created_at,
        job_counts=job_counts,
        made=row.made,
        search_end=row.search_end,
        problem=row.problem,
    )


def event_record(row: EventRow) -> JobEvent:
    """Return the record of an event."""
    return JobEvent.model_construct(
        position=row.pk,
        experiment=row.experiment_name,
        job_id=row.job_id,
        at=row.at,
        kind=row.kind,
        worker=row.worker,
        attempt=row.attempt,
        detail=row.detail,
        times=row.times,
        last_at=row.last_at,
        results=None if row.results is None else load_values(row.results),
    )


def worker_record(row: WorkerRow, jobs: list[str], *, now: datetime, silent: bool) -> WorkerRecord:
    """Return the record of a worker, at the time `now` of the store. `silent`: not heard of for a lease."""
    return WorkerRecord(
        position=row.pk,
        host=row.host,
        pid=row.pid,
        program=row.program,
        state=row.state,
        detail=row.detail,
        silent=row.state != "ended" and silent,
        since=row.since,
        heard_at=row.heard_at,
        heard_seconds_ago=max(0.0, (now - row.heard_at).total_seconds()),
        jobs=jobs,
        done=row.done,
        crashed=row.crashed,
        lost=row.lost,
    )
