"""Reads that several commands make, from the store or through the results service."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from schedy.results.lines import JobLine, JobNote, PointLine
from schedy.wire.base import A, JobStatus
from schedy.wire.records import ExperimentRecord, JobRecord
from schedy.wire.requests import GetExperiments, GetJobs, Request, pages

_PAGE = 500


class Reader(Protocol):
    """Answers reads, from the store itself or through the results service."""

    def ask(self, request: Request[A], *, patience_seconds: float | None = None) -> A:
        """Return the answer. Raises SchedyError for a refusal, and if no answer comes in time."""
        ...

    def job_lines(self, uid: str, statuses: Sequence[JobStatus] = ()) -> Iterator[list[JobLine]]:
        """Read the jobs of an experiment page by page, oldest first, at little cost for each."""
        ...

    def job_notes(self, uid: str, statuses: Sequence[JobStatus] = ()) -> Iterator[list[JobNote]]:
        """Read what a plain list says of the jobs, in the same way."""
        ...

    def point_lines(self, uid: str, statuses: Sequence[JobStatus] = ()) -> Iterator[list[PointLine]]:
        """Read the points of all learning curves in the same way, in the order in which they were stored."""
        ...


def find_experiment(reader: Reader, name: str) -> ExperimentRecord:
    """Return the experiment of that name. Raises NotFoundError with close names."""
    return reader.ask(GetExperiments(name=name)).experiments[0]


def all_experiments(reader: Reader) -> Iterator[ExperimentRecord]:
    """Read all experiments, page by page."""
    for page in pages(reader.ask, GetExperiments()):
        yield from page.experiments


def find_job(reader: Reader, experiment: ExperimentRecord, job_id: str) -> JobRecord:
    """Return a job. Raises NotFoundError."""
    return reader.ask(GetJobs(experiment_uid=experiment.uid, job_id=job_id)).jobs[0]


def jobs_by_age(
    reader: Reader, experiment: ExperimentRecord, *, statuses: Sequence[JobStatus], limit: int | None = None
) -> Iterator[JobRecord]:
    """Read the jobs of these statuses, or of all if there are none, oldest first and page by page."""
    size = _PAGE if limit is None else max(1, min(limit, _PAGE))
    for page in pages(reader.ask, GetJobs(experiment_uid=experiment.uid, statuses=list(statuses), limit=size)):
        yield from page.jobs


def ids_by_age(reader: Reader, experiment: ExperimentRecord, *, statuses: Sequence[JobStatus]) -> list[str]:
    """Return the ids of the jobs of these statuses, oldest first."""
    return [note.job_id for page in reader.job_notes(experiment.uid, statuses) for note in page]


def jobs_at(reader: Reader, experiment: ExperimentRecord, positions: list[int]) -> Iterator[JobRecord]:
    """Read jobs in the order of their positions, without those deleted meanwhile; a page of large jobs is shorter."""
    start = 0
    while start < len(positions):
        page = positions[start : start + _PAGE]
        answer = reader.ask(GetJobs(experiment_uid=experiment.uid, positions=page))
        yield from answer.jobs
        start += page.index(answer.jobs[-1].position) + 1 if answer.more else len(page)
