"""Jobs and points of learning curves as plain tuples, for exports and lists of any number of them.

Read from the service they come page by page; where the store is at hand, `schedy_store.reads.lines` reads the same.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from schedy.results.ask import Ask
from schedy.wire.base import JobStatus
from schedy.wire.records import JobRecord
from schedy.wire.requests import GetJobs, GetPoints, pages

_PAGE = 1000


class JobLine(NamedTuple):
    """A job as it is exported: fields of `schedy.wire.records.JobRecord`."""

    job_id: str
    status: str
    quality: float
    hyperparameters: dict[str, Any]
    results: dict[str, Any]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    worker: str | None
    attempt: int
    error: str | None

    @classmethod
    def of(cls, job: JobRecord) -> "JobLine":
        return cls(*(getattr(job, name) for name in cls._fields))


class JobNote(NamedTuple):
    """A job as a plain list has it: fields of `schedy.wire.records.JobRecord`."""

    job_id: str
    status: str
    attempt: int
    stop: str | None
    releases: int
    silent_seconds: float | None

    @classmethod
    def of(cls, job: JobRecord) -> "JobNote":
        return cls(*(getattr(job, name) for name in cls._fields))


class PointLine(NamedTuple):
    """A value of a learning curve."""

    job_id: str
    attempt: int
    step: int
    name: str
    value: float


def ask_jobs(ask: Ask, uid: str, statuses: Sequence[JobStatus] = ()) -> Iterator[list[JobLine]]:
    """Read the jobs of an experiment, of these statuses or of all, oldest first and page by page."""
    for page in pages(ask, GetJobs(experiment_uid=uid, statuses=list(statuses), limit=_PAGE)):
        yield [JobLine.of(job) for job in page.jobs]


def ask_notes(ask: Ask, uid: str, statuses: Sequence[JobStatus] = ()) -> Iterator[list[JobNote]]:
    """Read the jobs of an experiment as `ask_jobs` does, for a plain list."""
    for page in pages(ask, GetJobs(experiment_uid=uid, statuses=list(statuses), limit=_PAGE)):
        yield [JobNote.of(job) for job in page.jobs]


def ask_points(ask: Ask, uid: str, statuses: Sequence[JobStatus] = ()) -> Iterator[list[PointLine]]:
    """Read the points of all learning curves in the order in which they were stored, page by page."""
    for page in pages(ask, GetPoints(experiment_uid=uid, statuses=list(statuses), limit=_PAGE)):
        yield [PointLine(each.job_id, each.attempt, each.step, each.name, each.value) for each in page.points]
