"""Rows with typed columns: what statements select, as classes whose fields name the columns once.

A field has the name of a column of the first table that has it; `experiment_status` is also `status` of `experiment`.
A name that no table has is an error at import.
"""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, TypeVar, dataclass_transform

from sqlalchemy import ColumnElement, func, select

from schedy.wire.base import ExperimentStatus, JobStatus, WorkerState
from schedy.wire.stopping import Stop
from schedy_store.schema.stored import Stored
from schedy_store.schema.tables import Event, Experiment, Job, WantedJob, Worker

R = TypeVar("R")


@dataclass_transform(frozen_default=True)
def row_class(cls: type[R]) -> type[R]:
    """Make a class of rows: for mypy a frozen dataclass.

    At run time it has slots and is not frozen: a frozen one takes ten times as long to make, a quarter of the time in
    which SQLite finds the row.
    """
    return dataclass(slots=True)(cls)


@row_class
class RecordRow:
    """A job as its record shows it: the fields of `schedy.wire.records.JobRecord` under the names of the columns."""

    pk: int
    job_id: str
    status: JobStatus
    quality: float
    hyperparameters: str
    results: str
    error: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    worker: str | None
    attempt: int
    previous_results: str
    revision: int
    stop: Stop | None
    heard_at: datetime | None
    parent: str | None
    generation: int | None
    releases: int


@row_class
class JobRow(RecordRow):
    """A job with all that decides about it, its experiment's rules included."""

    experiment_pk: int
    token: str | None
    behind: str | None
    user: str | None
    worker_pk: int | None
    attempts_forgiven: int
    sequence: int
    lease_until: datetime | None
    dispatched_at: datetime | None
    ticket: int
    ended: int | None
    reported_at: datetime | None
    timed_from: datetime | None
    initial_results: str
    initial_quality: float
    experiment_uid: str
    experiment_name: str
    experiment_status: ExperimentStatus
    scheduler: str
    objectives: str
    prunes: bool
    paused: bool
    max_attempts: int
    job_timeout: float | None
    stall_timeout: float | None
    retry_timeouts: bool


@row_class
class ExperimentRow:
    """An experiment, to be changed."""

    pk: int
    uid: str
    name: str
    scheduler: str
    settings: str
    status: ExperimentStatus
    paused: bool
    completed: bool


@row_class
class ExperimentRecordRow(ExperimentRow):
    """An experiment as its record shows it. `made`: the jobs that its search has made and stored."""

    max_attempts: int
    job_timeout: float | None
    stall_timeout: float | None
    retry_timeouts: bool
    created_at: datetime
    timed_from: datetime
    made: int
    search_end: str | None
    problem: str | None


@row_class
class EventRow:
    """An event, as its record shows it."""

    pk: int
    experiment_name: str | None
    job_id: str | None
    at: datetime
    kind: str
    worker: str | None
    attempt: int | None
    detail: str
    times: int
    last_at: datetime | None
    results: str | None


@row_class
class WorkerRow:
    """A worker, as its record shows it."""

    pk: int
    host: str
    pid: int
    program: str
    state: WorkerState
    detail: str
    since: datetime
    heard_at: datetime
    done: int
    crashed: int
    lost: int


def columns_of(row: type[Any], *tables: type[Stored], **computed: ColumnElement[Any]) -> tuple[ColumnElement[Any], ...]:
    """Return the columns to select for a class of rows, in the order of its fields."""
    return tuple(
        computed[field.name] if field.name in computed else _column(field.name, tables) for field in fields(row)
    )


def _column(name: str, tables: tuple[type[Stored], ...]) -> ColumnElement[Any]:
    for table in tables:
        for known in (name, name.removeprefix(f"{table.__tablename__}_")):
            if known in table.__table__.columns:
                return table.__table__.columns[known]
    raise AttributeError(f"No column of {', '.join(table.__tablename__ for table in tables)} is called {name!r}.")


_STILL_WANTED = (
    select(func.count())
    .select_from(WantedJob)
    .where(WantedJob.experiment_pk == Experiment.pk)
    .correlate(Experiment)
    .scalar_subquery()
)

RECORD_COLUMNS = columns_of(RecordRow, Job)
JOB_ROW_COLUMNS = columns_of(JobRow, Job, Experiment)
EXPERIMENT_ROW_COLUMNS = columns_of(ExperimentRow, Experiment)
EVENT_COLUMNS = columns_of(EventRow, Event, Experiment)
WORKER_COLUMNS = columns_of(WorkerRow, Worker)
EXPERIMENT_RECORD_COLUMNS = columns_of(ExperimentRecordRow, Experiment, made=Experiment.made - _STILL_WANTED)
