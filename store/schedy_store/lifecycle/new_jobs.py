"""New jobs, pushed by users or made by a search."""

import functools
import json
import secrets
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from sqlalchemy import bindparam, func, insert, select
from sqlalchemy.sql.schema import ScalarElementColumnDefault

from schedy.search.definition import as_observation
from schedy.wire.base import FINAL_STATUSES
from schedy.wire.changes import NewJob
from schedy.wire.values import dump_values
from schedy_store.lifecycle.job_counts import count_jobs
from schedy_store.lifecycle.sort_keys import SortKeys
from schedy_store.schema.engine import Transaction
from schedy_store.schema.prepared import Prepared, padded
from schedy_store.schema.rows import RecordRow
from schedy_store.schema.tables import Experiment, Job

_ID_CHARACTERS = string.ascii_letters + string.digits + "-_"
_ID_FIRST_CHARACTERS = string.ascii_letters + string.digits + "_"
_DEFAULTS = {
    column.name: column.default.arg if isinstance(column.default, ScalarElementColumnDefault) else None
    for column in Job.__table__.columns
    if column.nullable or column.default is not None
}
"""A new job has these where nothing else is given: rows that are inserted together have the same columns."""
_INSERT = Prepared(insert(Job), [column.name for column in Job.__table__.columns if column.name != "pk"])
_RECORDED = tuple(field.name for field in fields(RecordRow) if field.name != "pk")
_OBJECTIVES = Prepared(select(Experiment.objectives).where(Experiment.pk == bindparam("pk_is")))
_IDS_AT_ONCE = 256


@functools.cache
def _with_ids(count: int) -> Prepared:
    """Return the statement that reads the keys and ids of those jobs of an experiment that have one of so many ids."""
    ids = [bindparam(f"id_{number}", type_=Job.job_id.type) for number in range(count)]
    return Prepared(select(Job.pk, Job.job_id).where(Job.experiment_pk == bindparam("pk_is"), Job.job_id.in_(ids)))


@dataclass(frozen=True, slots=True)
class Newcomer:
    """A job to store, and the columns in which it differs from a pushed job without a holder."""

    job: NewJob
    columns: dict[str, Any] = field(default_factory=dict)


class NewJobs:
    """Stores jobs within one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._now = transaction.now

    def insert(self, experiment_pk: int, job_ids: Sequence[str], newcomers: Sequence[Newcomer]) -> list[RecordRow]:
        """Store jobs under these ids; return their rows in order."""
        ((objectives_text,),) = _OBJECTIVES.read(self._transaction.sql_before_writes, {"pk_is": experiment_pk})
        objectives = json.loads(objectives_text)
        rows = [
            self._row(experiment_pk, job_id, newcomer, objectives)
            for job_id, newcomer in zip(job_ids, newcomers, strict=True)
        ]
        self._count_as_ended(experiment_pk, rows)
        _INSERT.write(self._transaction.sql_before_writes, rows)
        keys_of_ids = self._keys(experiment_pk, job_ids)
        stored = [RecordRow(keys_of_ids[row["job_id"]], **{name: row[name] for name in _RECORDED}) for row in rows]
        count_jobs(self._transaction, experiment_pk, Counter(row.status for row in stored))
        keys = self._transaction.waiting(SortKeys)
        for job, newcomer in zip(stored, newcomers, strict=True):
            keys.add(job.pk, experiment_pk, "hyperparameter", newcomer.job.hyperparameters)
            keys.add(job.pk, experiment_pk, "result", newcomer.job.results)
        return stored

    def fresh_ids(self, experiment_pk: int, count: int) -> list[str]:
        """Return ids that the experiment does not have yet."""
        fresh: set[str] = set()
        while len(fresh) < count:
            drawn = {_random_id() for _ in range(count - len(fresh))}
            fresh |= drawn - self._keys(experiment_pk, list(drawn)).keys()
        return list(fresh)

    def _keys(self, experiment_pk: int, job_ids: Sequence[str]) -> dict[str, int]:
        """Return the primary keys of the jobs that have these ids."""
        keys: dict[str, int] = {}
        for start in range(0, len(job_ids), _IDS_AT_ONCE):
            some = job_ids[start : start + _IDS_AT_ONCE]
            values = {f"id_{number}": job_id for number, job_id in enumerate(padded(some))}
            found = _with_ids(len(values)).read(self._transaction.sql_before_writes, {"pk_is": experiment_pk, **values})
            keys.update((job_id, pk) for pk, job_id in found)
        return keys

    def _row(self, experiment_pk: int, job_id: str, newcomer: Newcomer, objectives: list[str]) -> dict[str, Any]:
        new = newcomer.job
        results = dump_values(new.results)
        observation = as_observation(new.results.get(objectives[0])) if len(objectives) == 1 else None
        quality = new.quality if observation is None else observation
        return {
            **_DEFAULTS,
            "experiment_pk": experiment_pk,
            "job_id": job_id,
            "status": new.status,
            "quality": quality,
            "hyperparameters": dump_values(new.hyperparameters),
            "results": results,
            "initial_quality": quality,
            "initial_results": results,
            "created_at": self._now,
            "finished_at": self._now if new.status in FINAL_STATUSES else None,
            **newcomer.columns,
        }

    def _count_as_ended(self, experiment_pk: int, rows: list[dict[str, Any]]) -> None:
        ended = [row for row in rows if row["finished_at"] is not None]
        if ended:
            last = select(func.max(Job.ended)).where(Job.experiment_pk == experiment_pk)
            before = self._transaction.sql.scalar(last) or 0
            for position, row in enumerate(ended, start=before + 1):
                row["ended"] = position


def _random_id() -> str:
    rest = "".join(secrets.choice(_ID_CHARACTERS) for _ in range(5))
    return secrets.choice(_ID_FIRST_CHARACTERS) + rest
