"""What an experiment reads of its jobs."""

import html
import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from schedy.errors import InvalidValueError, SchedyError
from schedy.job_list import JobList
from schedy.jobs import Job
from schedy.results.best import MOST_BEST, find_best
from schedy.results.columns import JobColumns
from schedy.results.lines import JobLine, PointLine, ask_jobs, ask_points
from schedy.search.definition import Definition
from schedy.wire.answers import BestAnswer
from schedy.wire.base import check_text
from schedy.wire.records import JobRecord
from schedy.wire.requests import GetFields, GetJobs, pages
from schedy.worker.session import Session
from schedy.worker.signals import ends_at_ctrl_c

if TYPE_CHECKING:
    import optuna
    import pandas

    from schedy.results.plots.notebook import Plots


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
        try:
            for page in pages(self._session.read, GetJobs(experiment_uid=self.uid)):
                yield from map(self._job, page.jobs)
            return
        except KeyboardInterrupt:
            pass
        raise KeyboardInterrupt  # as by `ends_at_ctrl_c`, of which a generator would add a frame

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
    def best_jobs(self, n: int = MOST_BEST) -> JobList:
        """Read up to `n` of the best jobs, the best first; with several objectives, those of the Pareto front.

        Raises NotFoundError, saying why, if there is none.
        """
        if not 1 <= n <= MOST_BEST:
            raise InvalidValueError(f"best_jobs(n) reads from 1 to {MOST_BEST} jobs, not {n!r}.")
        return JobList(map(self._job, self._best(n).jobs))

    @property
    def plot(self) -> "Plots":
        """Its plots: ``experiment.plot.history()``, `parallel`, `importance`, `curves`, `slice`, `timeline`."""
        from schedy.results.plots.notebook import Plots  # noqa: PLC0415 - workers do without

        return Plots(self._session.read, self.uid)

    def _repr_html_(self) -> str:
        from schedy.results.plots.notebook import shown_experiment  # noqa: PLC0415 - for notebooks alone

        try:
            return shown_experiment(self._session.read, self.uid)
        except SchedyError:  # it is not stored, or cannot be read now
            return html.escape(repr(self))

    @ends_at_ctrl_c
    def to_pandas(self) -> "pandas.DataFrame":
        """Read all jobs into a data frame, oldest first: a column for each field, hyperparameter and result.

        Raises MissingPackageError without pandas.
        """
        from schedy.results.frames import jobs_frame  # noqa: PLC0415 - few programs need it

        columns = JobColumns(self.definition, self._session.read(GetFields(experiment_uid=self.uid)))
        return jobs_frame(columns, self._lines())

    @ends_at_ctrl_c
    def curves(self) -> "pandas.DataFrame":
        """Read the learning curves of all attempts into a data frame: id, attempt, step, name, value.

        Raises MissingPackageError without pandas.
        """
        from schedy.results.frames import points_frame  # noqa: PLC0415 - few programs need it

        return points_frame(self._points())

    @ends_at_ctrl_c
    def to_optuna(self, storage: Any = None) -> "optuna.Study":
        """Return a study of Optuna named after the experiment, with all its jobs: for Optuna's plots and importances.

        `storage`: one of Optuna or its URL, into which the study is written; None keeps it in memory. Raises
        ResourceExistsError if the storage has the study, InvalidValueError without an objective, and
        MissingPackageError without Optuna.
        """
        from schedy.results.optuna_export import make_study  # noqa: PLC0415 - few programs need it

        return make_study(self.name, self.definition, self._lines(), self._points(), storage=storage)

    def _lines(self) -> Iterator[JobLine]:
        return itertools.chain.from_iterable(ask_jobs(self._session.read, self.uid))

    def _points(self) -> Iterator[PointLine]:
        return itertools.chain.from_iterable(ask_points(self._session.read, self.uid))

    def _best(self, limit: int) -> BestAnswer:
        return find_best(self._session.read, self.uid, self.name, self.definition, limit=limit)
