"""The tables, with constraints for all that must always hold.

Values are JSON text, ASCII-escaped (see `schedy.wire.values`), never a JSON column: PostgreSQL's refuses NaN and
reorders keys. The keys by which lists are sorted are in a narrow table of their own, `job_value`.
"""

from datetime import datetime
from typing import get_args

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

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


class Base(DeclarativeBase):
    """Root of the models."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Experiment(Base):
    """A named set of jobs.

    `objectives` is a JSON list of the names of the objectives, and `prunes` tells whether there is a pruner: both are
    in `settings` too, which reports need not read. `made` counts the jobs that the search was asked for; `search_end`
    says why it makes no more. `timed_from` is the time from which its search is timed: when it was added, later by the
    time that nobody has measured since. `completed`: it is DONE because no job is left, not at a user's request.
    `rewritten` grows when a job that had ended is retried, amended or deleted.
    """

    __tablename__ = "experiment"
    __table_args__ = (
        CheckConstraint(f"status IN {EXPERIMENT_STATUSES}", name="status"),
        CheckConstraint("max_attempts >= 1", name="max_attempts"),
        {"sqlite_autoincrement": True},
    )

    pk: Mapped[int] = mapped_column(Key, primary_key=True)
    uid: Mapped[str] = mapped_column(String(32), unique=True)
    name: Mapped[str] = mapped_column(String(LONGEST_EXPERIMENT_NAME), unique=True)
    scheduler: Mapped[str] = mapped_column(String(300))
    settings: Mapped[str] = mapped_column(Text)
    status: Mapped[ExperimentStatus] = mapped_column(String(16))
    paused: Mapped[bool]
    max_attempts: Mapped[int]
    job_timeout: Mapped[float | None] = mapped_column(Double)
    stall_timeout: Mapped[float | None] = mapped_column(Double)
    retry_timeouts: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    timed_from: Mapped[datetime] = mapped_column(UtcDateTime)
    objectives: Mapped[str] = mapped_column(Text, default="[]")
    prunes: Mapped[bool] = mapped_column(default=False)
    made: Mapped[int] = mapped_column(default=0)
    search_end: Mapped[str | None] = mapped_column(Text)
    problem: Mapped[str | None] = mapped_column(Text)
    completed: Mapped[bool] = mapped_column(default=False)
    rewritten: Mapped[int] = mapped_column(default=0)


class Job(Base):
    """A job, and the holder that may report on it.

    `dispatched_at` is when ticket number `ticket` was published; while it is NULL, a QUEUED job wants a ticket.
    `revision` grows with every change and guards every update. Each attempt starts from the initial results and
    quality, those of the push; the results of earlier ones are in `previous_results`. `timed_from` is the time from
    which the attempt is timed: when it started, later by the time that nobody has measured since. `heard_at` and
    `reported_at` are moved so, too. `user` is the broker's user that
    claimed the job. A job that a search has made has the number of its suggestion, from 0, and what the search keeps
    with it in `search_state`, which no message may set: some libraries keep pickled objects there. `ended` numbers the
    jobs of an experiment in the order in which they ended. `releases` counts how often in a row the job was given back.
    """

    __tablename__ = "job"
    __table_args__ = (
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
        Index(
            "ix_job_held",
            "worker_pk",
            sqlite_where=text("status = 'RUNNING'"),
            postgresql_where=text("status = 'RUNNING'"),
        ),
        Index(
            "ix_job_crashed",
            "experiment_pk",
            "ended",
            sqlite_where=text("status = 'CRASHED'"),
            postgresql_where=text("status = 'CRASHED'"),
        ),
        Index(
            "ix_job_wants_ticket",
            "experiment_pk",
            "status",  # always the same here, but without it SQLite prefers the index on the status
            "pk",
            sqlite_where=text("status = 'QUEUED' AND dispatched_at IS NULL"),
            postgresql_where=text("status = 'QUEUED' AND dispatched_at IS NULL"),
        ),
        Index(
            "ix_job_dispatched",
            "experiment_pk",
            "status",
            "dispatched_at",
            sqlite_where=text("status = 'QUEUED' AND dispatched_at IS NOT NULL"),
            postgresql_where=text("status = 'QUEUED' AND dispatched_at IS NOT NULL"),
        ),
        Index(
            "ix_job_tried_again",
            "experiment_pk",
            "attempt",
            sqlite_where=text("attempt > 1"),
            postgresql_where=text("attempt > 1"),
        ),
        Index(
            "ix_job_given_back",
            "releases",
            sqlite_where=text("releases > 1"),
            postgresql_where=text("releases > 1"),
        ),
        Index(
            "ix_job_lease",
            "lease_until",
            sqlite_where=text("status = 'RUNNING'"),
            postgresql_where=text("status = 'RUNNING'"),
        ),
        {"sqlite_autoincrement": True},
    )

    pk: Mapped[int] = mapped_column(Key, primary_key=True)
    experiment_pk: Mapped[int] = mapped_column(Key, ForeignKey("experiment.pk", ondelete="CASCADE"))
    job_id: Mapped[str] = mapped_column(String(6))
    status: Mapped[JobStatus] = mapped_column(String(16))
    quality: Mapped[float] = mapped_column(NanAsNull, nullable=True)
    hyperparameters: Mapped[str] = mapped_column(Text)
    results: Mapped[str] = mapped_column(Text)
    initial_quality: Mapped[float] = mapped_column(NanAsNull, nullable=True)
    initial_results: Mapped[str] = mapped_column(Text)
    previous_results: Mapped[str] = mapped_column(Text, default="{}")
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    heard_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    reported_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    timed_from: Mapped[datetime | None] = mapped_column(UtcDateTime)
    worker: Mapped[str | None] = mapped_column(Text)
    worker_pk: Mapped[int | None] = mapped_column(Key)
    user: Mapped[str | None] = mapped_column(Text)
    attempt: Mapped[int] = mapped_column(default=0)
    attempts_forgiven: Mapped[int] = mapped_column(default=0)
    stop: Mapped[Stop | None] = mapped_column(String(16))
    token: Mapped[str | None] = mapped_column(String(32))
    sequence: Mapped[int] = mapped_column(default=0)
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    dispatched_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ticket: Mapped[int] = mapped_column(default=1)
    revision: Mapped[int] = mapped_column(default=1)
    suggestion: Mapped[int | None]
    ended: Mapped[int | None]
    parent: Mapped[str | None] = mapped_column(String(6))
    generation: Mapped[int | None]
    search_state: Mapped[str] = mapped_column(Text, default="{}")
    releases: Mapped[int] = mapped_column(default=0, server_default="0")


class JobCount(Base):
    """The number of jobs of a status that an experiment has, kept by all that changes it."""

    __tablename__ = "job_count"
    __table_args__ = (CheckConstraint(f"status IN {JOB_STATUSES}", name="status"),)

    experiment_pk: Mapped[int] = mapped_column(Key, ForeignKey("experiment.pk", ondelete="CASCADE"), primary_key=True)
    status: Mapped[JobStatus] = mapped_column(String(16), primary_key=True)
    jobs: Mapped[int] = mapped_column(BigInteger)


class WantedJob(Base):
    """A job that the search was asked for and has not made yet; `known` is the number of jobs that had ended then."""

    __tablename__ = "wanted_job"

    experiment_pk: Mapped[int] = mapped_column(Key, ForeignKey("experiment.pk", ondelete="CASCADE"), primary_key=True)
    suggestion: Mapped[int] = mapped_column(Integer, primary_key=True)
    known: Mapped[int]


class CurvePoint(Base):
    """A value that a job has reported for a step of an attempt."""

    __tablename__ = "curve_point"
    __table_args__ = (
        Index("ix_curve_point_job_pk", "job_pk", "attempt", "step"),
        Index("ix_curve_point_experiment_pk", "experiment_pk", "pk"),
        {"sqlite_autoincrement": True},
    )

    pk: Mapped[int] = mapped_column(Key, primary_key=True)
    experiment_pk: Mapped[int] = mapped_column(Key)
    job_pk: Mapped[int] = mapped_column(Key, ForeignKey("job.pk", ondelete="CASCADE"))
    attempt: Mapped[int]
    step: Mapped[int] = mapped_column(BigInteger)
    name: Mapped[str] = mapped_column(Text)
    value: Mapped[float | None] = mapped_column(NanAsNull)


class AttemptOutput(Base):
    """The end of the output of an attempt, with its byte number `written`, and the traceback that ended it."""

    __tablename__ = "attempt_output"

    job_pk: Mapped[int] = mapped_column(Key, ForeignKey("job.pk", ondelete="CASCADE"), primary_key=True)
    attempt: Mapped[int] = mapped_column(Integer, primary_key=True)
    text: Mapped[str] = mapped_column(Text, default="")
    written: Mapped[int] = mapped_column(BigInteger, default=0)
    traceback: Mapped[str | None] = mapped_column(Text)
    path: Mapped[str | None] = mapped_column(Text)
    worker: Mapped[str | None] = mapped_column(Text)


class JobValue(Base):
    """A number or the beginning of a text that jobs can be sorted by; `name` is ASCII-escaped.

    PostgreSQL orders texts as SQLite does, whatever the database's own order is.
    """

    __tablename__ = "job_value"
    __table_args__ = (
        CheckConstraint("source IN ('hyperparameter', 'result')", name="source"),
        Index("ix_job_value_order", "experiment_pk", "source", "name", "number", "text", "job_pk"),
    )

    job_pk: Mapped[int] = mapped_column(Key, ForeignKey("job.pk", ondelete="CASCADE"), primary_key=True)
    source: Mapped[str] = mapped_column(String(16), primary_key=True)
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    experiment_pk: Mapped[int] = mapped_column(Key)
    number: Mapped[float | None] = mapped_column(Double)
    text: Mapped[str | None] = mapped_column(
        String(SORTED_CHARACTERS).with_variant(String(SORTED_CHARACTERS, collation="C"), "postgresql")
    )


class Event(Base):
    """Something that happened to a job, an experiment, or the service; `times` in a row, until `last_at`.

    `token` tells which worker a refused report is from. `results` are kept when another attempt takes a job over.
    """

    __tablename__ = "event"
    __table_args__ = (
        Index("ix_event_experiment_pk_job_id", "experiment_pk", "job_id"),
        Index("ix_event_experiment_pk_pk", "experiment_pk", "pk"),
        Index("ix_event_at", "at"),
        {"sqlite_autoincrement": True},
    )

    pk: Mapped[int] = mapped_column(Key, primary_key=True)
    experiment_pk: Mapped[int | None] = mapped_column(Key, ForeignKey("experiment.pk", ondelete="CASCADE"))
    job_id: Mapped[str | None] = mapped_column(String(6))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    kind: Mapped[str] = mapped_column(String(32))
    worker: Mapped[str | None] = mapped_column(Text)
    attempt: Mapped[int | None]
    token: Mapped[str | None] = mapped_column(String(32))
    detail: Mapped[str] = mapped_column(Text)
    times: Mapped[int] = mapped_column(default=1)
    last_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    results: Mapped[str | None] = mapped_column(Text)


class Worker(Base):
    """A session of a process that pulls jobs; `state` as it reports it."""

    __tablename__ = "worker"
    __table_args__ = (
        CheckConstraint(f"state IN {get_args(WorkerState)}", name="state"),
        {"sqlite_autoincrement": True},
    )

    pk: Mapped[int] = mapped_column(Key, primary_key=True)
    uid: Mapped[str] = mapped_column(String(32), unique=True)
    host: Mapped[str] = mapped_column(Text)
    pid: Mapped[int] = mapped_column(BigInteger)
    program: Mapped[str] = mapped_column(Text)
    state: Mapped[WorkerState] = mapped_column(String(16))
    detail: Mapped[str] = mapped_column(Text)
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    heard_at: Mapped[datetime] = mapped_column(UtcDateTime)
    done: Mapped[int] = mapped_column(default=0)
    crashed: Mapped[int] = mapped_column(default=0)
    lost: Mapped[int] = mapped_column(default=0)


class AppliedChange(Base):
    """The first answer to a change, given again when the change arrives twice."""

    __tablename__ = "applied_change"
    __table_args__ = (Index("ix_applied_change_at", "at"),)

    request_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    answer: Mapped[str] = mapped_column(Text)


class Service(Base):
    """One row: which instance is active, and its lease. Every transaction of the service checks its epoch here.

    `broker_id` names the broker through which the store is served, which has an exchange named after it; none before
    the first service. The active instance notes every few seconds in `seen_at` that it works, and empties it when it
    stops. `measured_until` is the time of its latest tick, noted as often. `awaited_tick` is the last tick of an
    instance that stopped at `awaited_since`; none once it has come.
    """

    __tablename__ = "service"
    __table_args__ = (CheckConstraint("pk = 1", name="one_row"),)

    pk: Mapped[int] = mapped_column(Integer, primary_key=True)
    epoch: Mapped[int] = mapped_column(BigInteger)
    instance: Mapped[str] = mapped_column(Text)
    active_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    lease_seconds: Mapped[float | None] = mapped_column(Double)
    broker_id: Mapped[str | None] = mapped_column(Text)
    seen_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    measured_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    awaited_tick: Mapped[str | None] = mapped_column(Text)
    awaited_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
