"""What an experiment reads of its jobs."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

from schedy.errors import InvalidValueError
from schedy.jobs import Job
from schedy.results.best import MOST_BEST, find_best
from schedy.search.definition import Definition
from schedy.wire.answers import BestAnswer
from schedy.wire.base import check_text
from schedy.wire.records import JobRecord
from schedy.wire.requests import GetJobs, pages
from schedy.worker.session import Session
from schedy.worker.signals import ends_at_ctrl_c


class ExperimentReads(ABC):
    """The jobs of an experiment, as they are stored."""

    @property
    @abstractmethod
    def name(self) -> str: ...

    @property
    @abstractmethod
    def uid(self) -> str: ...

    @property
    @abstractmethod
    def definition(self) -> Definition: ...

    @property
    @abstractmethod
    def _session(self) -> Session: ...

    @abstractmethod
    def _job(self, record: JobRecord) -> Job: ...

    @ends_at_ctrl_c
    def get_job(self, job_id: str) -> Job:
        """Read one job. Raises NotFoundError, and InvalidValueError for an id that is no text."""
        request = GetJobs(experiment_uid=self.uid, job_id=check_text(job_id, "The id of a job"))
        answer = self._session.read(request)
        return self._job(answer.jobs[0])

    def all_jobs(self) -> Iterator[Job]:
        """Read all jobs, oldest first, page by page."""
        for page in pages(self._session.read, GetJobs(experiment_uid=self.uid)):
            yield from map(self._job, page.jobs)

    @ends_at_ctrl_c
    def best_job(self) -> Job:
        """Read the best job: DONE, with the constraints kept.

        Raises NotFoundError, saying why, if there is none, and InvalidValueError if there are several objectives.
        """
        if len(self.definition.objectives) > 1:
            raise InvalidValueError(
                f"{self.name} has several objectives, and no job is the best by all: best_jobs() returns the front."
            )
        return self._job(self._best(1).jobs[0])

    @ends_at_ctrl_c
    def best_jobs(self, n: int = MOST_BEST) -> list[Job]:
        """Read up to `n` of the best jobs, the best first; with several objectives, those of the Pareto front.

        Raises NotFoundError, saying why, if there is none.
        """
        if not 1 <= n <= MOST_BEST:
            raise InvalidValueError(f"best_jobs(n) reads from 1 to {MOST_BEST} jobs, not {n!r}.")
        return list(map(self._job, self._best(n).jobs))

    def _best(self, limit: int) -> BestAnswer:
        return find_best(self._session.read, self.uid, self.name, self.definition, limit=limit)
