"""A job as it was read from the store."""

from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn

from schedy.results.overview import run_seconds
from schedy.wire.base import CRASHED, DONE, PRUNED, QUEUED, RUNNING, JobStatus
from schedy.wire.records import JobRecord

if TYPE_CHECKING:
    from schedy.experiments import Experiment


class StoredJob:
    """The attributes of a job. Only `results` and `quality` are written; `Job` reports them."""

    QUEUED: JobStatus = QUEUED
    RUNNING: JobStatus = RUNNING
    DONE: JobStatus = DONE
    CRASHED: JobStatus = CRASHED
    PRUNED: JobStatus = PRUNED

    results: dict[str, Any]
    quality: float

    def __init__(self, experiment: "Experiment", record: JobRecord) -> None:
        self._experiment = experiment
        self._experiment_uid = experiment.uid  # the object may follow its name to another one
        self._take_record(record)

    def _take_record(self, record: JobRecord) -> None:
        self._record = record
        self.results = dict(record.results)
        self.quality = record.quality
        self._hyperparameters = dict(record.hyperparameters)
        self._previous_results = dict(record.previous_results)

    def _update_record(self, **known: Any) -> None:
        """Change what is known of the record, since this process has changed it in the store."""
        self._record = self._record.model_copy(update=known)

    def __repr__(self) -> str:
        return f"<Job {self.job_id} of {self._experiment.name!r}: {self.status}>"

    def _repr_html_(self) -> str:
        from schedy.results.html import job_html  # noqa: PLC0415 - for notebooks alone

        return job_html(self._record, self.results)

    @property
    def job_id(self) -> str:
        """Six characters, unique in the experiment."""
        return self._record.job_id

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """The values to try, by name."""
        return self._hyperparameters

    @hyperparameters.setter
    def hyperparameters(self, _values: object) -> NoReturn:
        raise AttributeError(
            "The hyperparameters of a job cannot be changed: push another job with experiment.add_job({...})."
        )

    @property
    def previous_results(self) -> dict[str, Any]:
        """What earlier attempts had reported."""
        return self._previous_results

    @property
    def experiment(self) -> "Experiment":
        return self._experiment

    @property
    def status(self) -> JobStatus:
        """The status when the job was read, or as this process has set it since."""
        return self._record.status

    @property
    def created_at(self) -> datetime:
        """Time at which the job was stored (UTC)."""
        return self._record.created_at

    @property
    def started_at(self) -> datetime | None:
        """Start of its latest attempt (UTC)."""
        return self._record.started_at

    @property
    def finished_at(self) -> datetime | None:
        """Time at which it got its final status (UTC)."""
        return self._record.finished_at

    @property
    def seconds(self) -> float | None:
        """Time that its latest attempt took; None if it has not ended, or never ran."""
        return run_seconds(self._record)

    @property
    def worker(self) -> str | None:
        """``host:pid program`` of the latest attempt."""
        return self._record.worker

    @property
    def attempt(self) -> int:
        """Number of the latest attempt, from 1; 0 before the first."""
        return self._record.attempt

    @property
    def parent(self) -> str | None:
        """Id of the job that it continues, with whose results it started (population based training)."""
        return self._record.parent

    @property
    def generation(self) -> int | None:
        """Number of its generation, from 1 (population based training)."""
        return self._record.generation

    @property
    def error(self) -> str | None:
        """Reason why the job is CRASHED."""
        return self._record.error
