"""Experiments, jobs, events and workers as the store has them, in the answers to reads and pushes."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from schedy.wire.base import ExperimentStatus, JobId, JobStatus, NamedValues, Part, Seconds, Uid, WorkerState
from schedy.wire.stopping import Stop
from schedy.wire.values import LONGEST_NAME

MOST_ATTEMPTS = 1_000_000
MANY_RELEASES = 10
"""A job that was given back so often in a row, without a report in between, is in trouble."""
MOST_POINTS = 5000
"""Points of a learning curve in one message."""


class Point(Part):
    """Values at one step of a learning curve."""

    step: int = Field(ge=-(2**53), le=2**53)
    values: dict[Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_NAME)], float]


class JobPoint(Part):
    """A value of a job's learning curve. `position` orders pages."""

    position: int
    job_id: str
    attempt: int
    step: int
    name: str
    value: float


Points = Annotated[list[Point], Field(max_length=MOST_POINTS)]


class JobCurve(Part):
    """The learning curve of the latest attempt of a job. `position` orders pages."""

    position: int
    job_id: str
    points: list[Point]


class Limits(Part):
    """Limits of an experiment's jobs, in workers and seconds. None: the service's `max_attempts`; no limit.

    A job that has run for `job_timeout` seconds, or has put nothing for `stall_timeout`, is stopped, and CRASHED, or
    with `retry_timeouts` tried again while attempts are left.
    """

    max_attempts: int | None = Field(default=None, ge=1, le=MOST_ATTEMPTS)
    job_timeout: Seconds | None = None
    stall_timeout: Seconds | None = None
    retry_timeouts: bool = False


SEARCH_FAILED = "The search failed"
"""Beginning of each `problem` and `search_end` of a search that failed, and of its answers to waiting workers."""


def search_failure(reason: str | None) -> str:
    """Return the reason why there is no job if it is a failure of the search, else an empty text."""
    return reason if reason is not None and reason.startswith(SEARCH_FAILED) else ""


class ExperimentRecord(Part):
    """An experiment as stored; `position` orders pages.

    `made` counts the jobs that its search has made; `search_end` says why it makes no more, `problem` what went wrong
    last.
    """

    position: int
    uid: Uid
    name: str
    scheduler: str
    settings: dict[str, Any]
    status: ExperimentStatus
    paused: bool
    limits: Limits = Limits()
    created_at: datetime
    job_counts: dict[str, int]
    made: int = 0
    search_end: str | None = None
    problem: str | None = None


class RunningJob(Part):
    """What a screen shows of a job that runs: for how many seconds by the store's clock, the end of its curve."""

    job_id: str
    worker: str | None
    attempt: int
    seconds: float
    silent_seconds: float | None = None
    stop: Stop | None = None
    steps: list[int] = []
    values: list[float] = []


class JobEvent(Part):
    """Something that happened to a job or an experiment; `times` in a row, until `last_at`.

    `results` are what an attempt had put when another took its place.
    """

    position: int
    experiment: str | None
    job_id: str | None
    at: datetime
    kind: str
    worker: str | None
    attempt: int | None
    detail: str
    times: int = 1
    last_at: datetime | None = None
    results: NamedValues | None = None


class WorkerRecord(Part):
    """A worker as stored. `silent`: not heard of for longer than a lease. The seconds are by the store's clock."""

    position: int
    host: str
    pid: int
    program: str
    state: WorkerState
    detail: str
    silent: bool
    since: datetime
    heard_at: datetime
    heard_seconds_ago: float
    jobs: list[str]
    done: int
    crashed: int
    lost: int


class JobRecord(Part):
    """A job as stored. `position` orders pages; `revision` grows with every change.

    `stop` says why a RUNNING job is to end. `silent_seconds` is set where its worker should have been heard of.
    `parent` and `generation` are those of population based training. `releases`: how often in a row the job was given
    back without a report in between.
    """

    position: int
    job_id: JobId
    status: JobStatus
    quality: float
    hyperparameters: dict[str, Any]
    results: NamedValues
    error: str | None = None
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    worker: str | None = None
    attempt: int = 0
    previous_results: NamedValues = {}
    revision: int = 0
    stop: Stop | None = None
    silent_seconds: float | None = None
    parent: str | None = None
    generation: int | None = None
    releases: int = 0


class Standing(Part):
    """How an experiment is getting on.

    `best` has for each objective the job that is best by it, of those that `GetBest` chooses from. `open_jobs` will
    end, or are still to be made; None if nothing limits them. `mean_seconds` is that of the last 100 jobs to end, and
    `last_ended_at` when the last one did.
    `seconds_left`: until all are done at the present pace; None where nothing tells. `workers` counts those that are
    alive, whatever they work on, `busy` those that hold jobs of this experiment.
    """

    experiment: ExperimentRecord
    best: list[JobRecord]
    open_jobs: int | None
    mean_seconds: float | None
    last_ended_at: datetime | None = None
    seconds_left: float | None
    workers: int
    busy: int
