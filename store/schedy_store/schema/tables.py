"""The tables, with constraints for all that must always hold.

Values are JSON text, ASCII-escaped (see `schedy.wire.values`), never a JSON column: PostgreSQL's refuses NaN and
reorders keys. The keys by which lists are sorted are in a narrow table of their own, `job_value`.
"""

from datetime import datetime
from typing import Any, get_args

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ColumnElement,
    Double,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    text,
)

from schedy.wire.base import (
    EXPERIMENT_STATUSES,
    FINAL_STATUSES,
    JOB_STATUSES,
    LONGEST_EXPERIMENT_NAME,
    ExperimentStatus,
    JobStatus,
    WorkerState,
)
from schedy.wire.stopping import STOPS, Stop
from schedy.wire.values import SORTED_CHARACTERS
from schedy_store.schema.column_types import Key, NanAsNull, UtcDateTime
from schedy_store.schema.stored import Stored


def _required(kind: Any, *constraints: Any, **options: Any) -> ColumnElement[Any]:
    return Column(kind, *constraints, nullable=False, **options)


def _optional(kind: Any, *constraints: Any) -> ColumnElement[Any]:
    return Column(kind, *constraints, nullable=True)


def _partial(name: str, *columns: str, where: str) -> Index:
    """Return an index of the rows that fulfil a condition.

    PostgreSQL's option is left to the migrations: to name it here would import its dialect, 20 ms for each command.
    """
    return Index(name, *columns, sqlite_where=text(where), info={"where": where})


class Experiment(Stored):
    """A named set of jobs.

    `objectives` is a JSON list of the names of the objectives, and `prunes` tells whether there is a pruner: both are
    in `settings` too, which reports need not read. `made` counts the jobs that the search was asked for; `search_end`
    says why it makes no more. `timed_from` is the time from which its search is timed: when it was added, later by the
    time that nobody has measured since. `completed`: it is DONE because no job is left, not at a user's request.
    `rewritten` grows when a job that had ended is retried, amended or deleted.
    """

    __tablename__ = "experiment"
    __constraints__ = (
        CheckConstraint(f"status IN {EXPERIMENT_STATUSES}", name="status"),
        CheckConstraint("max_attempts >= 1", name="max_attempts"),
    )
    __counts_up__ = True

    pk: ColumnElement[int] = Column(Key, primary_key=True)
    uid: ColumnElement[str] = _required(String(32), unique=True)
    name: ColumnElement[str] = _required(String(LONGEST_EXPERIMENT_NAME), unique=True)
    scheduler: ColumnElement[str] = _required(String(300))
    settings: ColumnElement[str] = _required(Text)
    status: ColumnElement[ExperimentStatus] = _required(String(16))
    paused: ColumnElement[bool] = _required(Boolean)
    max_attempts: ColumnElement[int] = _required(Integer)
    job_timeout: ColumnElement[float | None] = _optional(Double)
    stall_timeout: ColumnElement[float | None] = _optional(Double)
    retry_timeouts: ColumnElement[bool] = _required(Boolean, default=False)
    created_at: ColumnElement[datetime] = _required(UtcDateTime)
    timed_from: ColumnElement[datetime] = _required(UtcDateTime)
    objectives: ColumnElement[str] = _required(Text, default="[]")
    prunes: ColumnElement[bool] = _required(Boolean, default=False)
    made: ColumnElement[int] = _required(Integer, default=0)
    search_end: ColumnElement[str | None] = _optional(Text)
    problem: ColumnElement[str | None] = _optional(Text)
    completed: ColumnElement[bool] = _required(Boolean, default=False)
    rewritten: ColumnElement[int] = _required(Integer, default=0)


class Removal(Stored):
    """An experiment that was removed and has left jobs or events, which the service deletes."""

    __tablename__ = "removal"

    experiment_pk: ColumnElement[int] = Column(Key, primary_key=True, autoincrement=False)
    name: ColumnElement[str] = _required(String(LONGEST_EXPERIMENT_NAME))
    at: ColumnElement[datetime] = _required(UtcDateTime)


class Job(Stored):
    """A job, and the holder that may report on it. Its experiment is there, or was removed (`Removal`).

    `dispatched_at` is when ticket number `ticket` was published; while it is NULL, a QUEUED job wants a ticket.
    `revision` grows with every change and guards every update. Each attempt starts from the initial results and
    quality, those of the push; the results of earlier ones are in `previous_results`. `timed_from` is the time from
    which the attempt is timed: when it started, later by the time that nobody has measured since. `heard_at` and
    `reported_at` are moved so, too. `user` is the broker's user that claimed the job; `behind`, of one that was claimed
    ahead, the token of the job that its worker has to end before. A job that a search has made has the number of its
    suggestion, from 0, and what the search keeps with it in `search_state`, which no message may set: some libraries
    keep pickled objects there. `ended` numbers the jobs of an experiment in the order in which they ended. `releases`
    counts how often in a row the job was given back.
    """

    __tablename__ = "job"
    __constraints__ = (
        UniqueConstraint("experiment_pk", "job_id"),
        UniqueConstraint("experiment_pk", "suggestion"),
        CheckConstraint(f"status IN {JOB_STATUSES}", name="status"),
        CheckConstraint("attempt >= attempts_forgiven AND attempts_forgiven >= 0", name="attempt"),
        CheckConstraint(f"stop IN {STOPS}", name="stop"),
        CheckConstraint(
            "(status = 'RUNNING') = (lease_until IS NOT NULL) AND (status <> 'RUNNING' OR token IS NOT NULL)",
            name="running_under_lease",
        ),
        CheckConstraint(
            f"(status IN {FINAL_STATUSES}) = (finished_at IS NOT NULL)",
            name="final_when_finished",
        ),
        CheckConstraint("status <> 'RUNNING' OR attempt >= 1", name="running_attempt"),
        Index("ix_job_experiment_pk_status_pk", "experiment_pk", "status", "pk"),
        Index("ix_job_experiment_pk_pk", "experiment_pk", "pk"),
        Index("ix_job_experiment_pk_ended", "experiment_pk", "ended"),
        _partial("ix_job_held", "worker_pk", where="status = 'RUNNING'"),
        _partial("ix_job_crashed", "experiment_pk", "ended", where="status = 'CRASHED'"),
        _partial(
            "ix_job_wants_ticket",
            "experiment_pk",
            "status",
            "dispatched_at",
            "pk",
            where="status = 'QUEUED' AND dispatched_at IS NULL",
        ),
        _partial(
            "ix_job_dispatched",
            "experiment_pk",
            "status",
            "dispatched_at",
            where="status = 'QUEUED' AND dispatched_at IS NOT NULL",
        ),
        _partial("ix_job_tried_again", "experiment_pk", "attempt", where="attempt > 1"),
        _partial("ix_job_given_back", "releases", where="releases > 1"),
        _partial("ix_job_lease", "lease_until", where="status = 'RUNNING'"),
    )
    __counts_up__ = True

    pk: ColumnElement[int] = Column(Key, primary_key=True)
    experiment_pk: ColumnElement[int] = _required(Key)
    job_id: ColumnElement[str] = _required(String(6))
    status: ColumnElement[JobStatus] = _required(String(16))
    quality: ColumnElement[float] = _optional(NanAsNull)
    hyperparameters: ColumnElement[str] = _required(Text)
    results: ColumnElement[str] = _required(Text)
    initial_quality: ColumnElement[float] = _optional(NanAsNull)
    initial_results: ColumnElement[str] = _required(Text)
    previous_results: ColumnElement[str] = _required(Text, default="{}")
    error: ColumnElement[str | None] = _optional(Text)
    created_at: ColumnElement[datetime] = _required(UtcDateTime)
    started_at: ColumnElement[datetime | None] = _optional(UtcDateTime)
    finished_at: ColumnElement[datetime | None] = _optional(UtcDateTime)
    heard_at: ColumnElement[datetime | None] = _optional(UtcDateTime)
    reported_at: ColumnElement[datetime | None] = _optional(UtcDateTime)
    timed_from: ColumnElement[datetime | None] = _optional(UtcDateTime)
    worker: ColumnElement[str | None] = _optional(Text)
    worker_pk: ColumnElement[int | None] = _optional(Key)
    user: ColumnElement[str | None] = _optional(Text)
    attempt: ColumnElement[int] = _required(Integer, default=0)
    attempts_forgiven: ColumnElement[int] = _required(Integer, default=0)
    stop: ColumnElement[Stop | None] = _optional(String(16))
    token: ColumnElement[str | None] = _optional(String(32))
    behind: ColumnElement[str | None] = _optional(String(32))
    sequence: ColumnElement[int] = _required(Integer, default=0)
    lease_until: ColumnElement[datetime | None] = _optional(UtcDateTime)
    dispatched_at: ColumnElement[datetime | None] = _optional(UtcDateTime)
    ticket: ColumnElement[int] = _required(Integer, default=1)
    revision: ColumnElement[int] = _required(Integer, default=1)
    suggestion: ColumnElement[int | None] = _optional(Integer)
    ended: ColumnElement[int | None] = _optional(Integer)
    parent: ColumnElement[str | None] = _optional(String(6))
    generation: ColumnElement[int | None] = _optional(Integer)
    search_state: ColumnElement[str] = _required(Text, default="{}")
    releases: ColumnElement[int] = _required(Integer, default=0, server_default="0")


OF_EXPERIMENT = Job.experiment_pk == Experiment.pk
"""Joins a job to its experiment; leaves out what a removed one has left."""


class JobCount(Stored):
    """The number of jobs of a status that an experiment has, kept by all that changes it."""

    __tablename__ = "job_count"
    __constraints__ = (CheckConstraint(f"status IN {JOB_STATUSES}", name="status"),)

    experiment_pk: ColumnElement[int] = Column(Key, ForeignKey("experiment.pk", ondelete="CASCADE"), primary_key=True)
    status: ColumnElement[JobStatus] = _required(String(16), primary_key=True)
    jobs: ColumnElement[int] = _required(BigInteger)


class WantedJob(Stored):
    """A job that the search was asked for and has not made yet; `known` is the number of jobs that had ended then."""

    __tablename__ = "wanted_job"

    experiment_pk: ColumnElement[int] = Column(Key, ForeignKey("experiment.pk", ondelete="CASCADE"), primary_key=True)
    suggestion: ColumnElement[int] = Column(Integer, primary_key=True)
    known: ColumnElement[int] = _required(Integer)


class CurvePoint(Stored):
    """A value that a job has reported for a step of an attempt."""

    __tablename__ = "curve_point"
    __constraints__ = (
        Index("ix_curve_point_job_pk", "job_pk", "attempt", "step"),
        Index("ix_curve_point_experiment_pk", "experiment_pk", "pk"),
    )
    __counts_up__ = True

    pk: ColumnElement[int] = Column(Key, primary_key=True)
    experiment_pk: ColumnElement[int] = _required(Key)
    job_pk: ColumnElement[int] = _required(Key, ForeignKey("job.pk", ondelete="CASCADE"))
    attempt: ColumnElement[int] = _required(Integer)
    step: ColumnElement[int] = _required(BigInteger)
    name: ColumnElement[str] = _required(Text)
    value: ColumnElement[float | None] = _optional(NanAsNull)


class AttemptOutput(Stored):
    """The end of the output of an attempt, with its byte number `written`, and the traceback that ended it."""

    __tablename__ = "attempt_output"

    job_pk: ColumnElement[int] = Column(Key, ForeignKey("job.pk", ondelete="CASCADE"), primary_key=True)
    attempt: ColumnElement[int] = Column(Integer, primary_key=True)
    text: ColumnElement[str] = _required(Text, default="")
    written: ColumnElement[int] = _required(BigInteger, default=0)
    traceback: ColumnElement[str | None] = _optional(Text)
    path: ColumnElement[str | None] = _optional(Text)
    worker: ColumnElement[str | None] = _optional(Text)


class JobValue(Stored):
    """A number or the beginning of a text that jobs can be sorted by; `name` is ASCII-escaped.

    PostgreSQL orders texts as SQLite does, whatever the database's own order is.
    """

    __tablename__ = "job_value"
    __constraints__ = (
        CheckConstraint("source IN ('hyperparameter', 'result')", name="source"),
        Index("ix_job_value_order", "experiment_pk", "source", "name", "number", "text", "job_pk"),
    )

    job_pk: ColumnElement[int] = Column(Key, ForeignKey("job.pk", ondelete="CASCADE"), primary_key=True)
    source: ColumnElement[str] = Column(String(16), primary_key=True)
    name: ColumnElement[str] = Column(Text, primary_key=True)
    experiment_pk: ColumnElement[int] = _required(Key)
    number: ColumnElement[float | None] = _optional(Double)
    text: ColumnElement[str | None] = _optional(
        String(SORTED_CHARACTERS).with_variant(String(SORTED_CHARACTERS, collation="C"), "postgresql")
    )


class Event(Stored):
    """Something that happened to a job, an experiment, or the service; `times` in a row, until `last_at`.

    `token` tells which worker a refused report is from. `results` are kept when another attempt takes a job over.
    """

    __tablename__ = "event"
    __constraints__ = (
        Index("ix_event_experiment_pk_job_id", "experiment_pk", "job_id"),
        Index("ix_event_experiment_pk_pk", "experiment_pk", "pk"),
        Index("ix_event_at", "at"),
    )
    __counts_up__ = True

    pk: ColumnElement[int] = Column(Key, primary_key=True)
    experiment_pk: ColumnElement[int | None] = _optional(Key)
    job_id: ColumnElement[str | None] = _optional(String(6))
    at: ColumnElement[datetime] = _required(UtcDateTime)
    kind: ColumnElement[str] = _required(String(32))
    worker: ColumnElement[str | None] = _optional(Text)
    attempt: ColumnElement[int | None] = _optional(Integer)
    token: ColumnElement[str | None] = _optional(String(32))
    detail: ColumnElement[str] = _required(Text)
    times: ColumnElement[int] = _required(Integer, default=1)
    last_at: ColumnElement[datetime | None] = _optional(UtcDateTime)
    results: ColumnElement[str | None] = _optional(Text)


class Worker(Stored):
    """A session of a process that pulls jobs; `state` as it reports it."""

    __tablename__ = "worker"
    __constraints__ = (CheckConstraint(f"state IN {get_args(WorkerState)}", name="state"),)
    __counts_up__ = True

    pk: ColumnElement[int] = Column(Key, primary_key=True)
    uid: ColumnElement[str] = _required(String(32), unique=True)
    host: ColumnElement[str] = _required(Text)
    pid: ColumnElement[int] = _required(BigInteger)
    program: ColumnElement[str] = _required(Text)
    state: ColumnElement[WorkerState] = _required(String(16))
    detail: ColumnElement[str] = _required(Text)
    since: ColumnElement[datetime] = _required(UtcDateTime)
    heard_at: ColumnElement[datetime] = _required(UtcDateTime)
    done: ColumnElement[int] = _required(Integer, default=0)
    crashed: ColumnElement[int] = _required(Integer, default=0)
    lost: ColumnElement[int] = _required(Integer, default=0)


class AppliedChange(Stored):
    """The first answer to a change, given again when the change arrives twice; `lifecycle.kept_answers` reads it."""

    __tablename__ = "applied_change"
    __constraints__ = (Index("ix_applied_change_at", "at"),)

    request_id: ColumnElement[str] = Column(String(32), primary_key=True)
    at: ColumnElement[datetime] = _required(UtcDateTime)
    answer: ColumnElement[str] = _required(Text)


class Service(Stored):
    """One row: which instance is active, and its lease. Every transaction of the service checks its epoch here.

    `broker_id` names the broker through which the store is served, which has an exchange named after it; none before
    the first service. The active instance notes every few seconds in `seen_at` that it works, and empties it when it
    stops. `measured_until` is the time of its latest tick, noted as often. `awaited_tick` is the last tick of an
    instance that stopped at `awaited_since`; none once it has come. `changes` grows with each transaction of the
    service that has changed more than its sign of life: who shows the store reads it again when that has grown.
    """

    __tablename__ = "service"
    __constraints__ = (CheckConstraint("pk = 1", name="one_row"),)

    pk: ColumnElement[int] = Column(Integer, primary_key=True)
    epoch: ColumnElement[int] = _required(BigInteger)
    instance: ColumnElement[str] = _required(Text)
    active_since: ColumnElement[datetime | None] = _optional(UtcDateTime)
    lease_seconds: ColumnElement[float | None] = _optional(Double)
    broker_id: ColumnElement[str | None] = _optional(Text)
    seen_at: ColumnElement[datetime | None] = _optional(UtcDateTime)
    measured_until: ColumnElement[datetime | None] = _optional(UtcDateTime)
    awaited_tick: ColumnElement[str | None] = _optional(Text)
    awaited_since: ColumnElement[datetime | None] = _optional(UtcDateTime)
    changes: ColumnElement[int] = _required(BigInteger, default=0, server_default="0")
