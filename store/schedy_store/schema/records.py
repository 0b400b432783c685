"""Rows as the records that messages carry."""

import math
import re
from typing import Any

from sqlalchemy import Row

from schedy.wire.records import JobRecord
from schedy.wire.values import load_values
from schedy_store.schema.tables import Job

AnyRow = Row[*tuple[Any, ...]]
"""A row whose columns the reader knows by name."""

_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")


def findable(name: str) -> str:
    """Return a name to look for: itself, or, if no database takes it, one that nothing has."""
    return _UNSTORABLE.sub("\x01", name)


RECORD_COLUMNS = (
    Job.pk,
    Job.job_id,
    Job.status,
    Job.quality,
    Job.hyperparameters,
    Job.results,
    Job.error,
    Job.created_at,
    Job.started_at,
    Job.finished_at,
    Job.worker,
    Job.attempt,
    Job.previous_results,
    Job.revision,
    Job.stop,
    Job.heard_at,
    Job.parent,
    Job.generation,
)


def job_record(row: AnyRow) -> JobRecord:
    """Return the record of a row that has `RECORD_COLUMNS`. What the store holds is not validated again."""
    return JobRecord.model_construct(
        position=row.pk,
        job_id=row.job_id,
        status=row.status,
        quality=math.nan if row.quality is None else row.quality,
        hyperparameters=load_values(row.hyperparameters),
        results=load_values(row.results),
        error=row.error,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        worker=row.worker,
        attempt=row.attempt,
        previous_results=load_values(row.previous_results),
        revision=row.revision,
        stop=row.stop,
        silent_seconds=None,
        parent=row.parent,
        generation=row.generation,
    )
