"""Changes: experiments and jobs added, changed and deleted."""

from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from schedy.wire import names
from schedy.wire.answers import (
    ExperimentChangedAnswer,
    JobAmendedAnswer,
    JobDeletedAnswer,
    JobsChangedAnswer,
    PushAnswer,
)
from schedy.wire.base import (
    MOST_IN_A_MESSAGE,
    A,
    ExperimentStatus,
    JobId,
    JobStatus,
    Line,
    NamedValues,
    Part,
    Question,
    Token,
    Uid,
    Worker,
    check_experiment_name,
)
from schedy.wire.records import Limits

JOBS_CHANGED_AT_ONCE = 100
"""Jobs that programs cancel or retry by one message: so few that nobody waits long for the transaction."""


class Change(Question[A]):
    """A change, idempotent by `request_id`: the first answer is kept and given again."""

    routing_prefix: ClassVar[str] = names.CHANGE_KEY_PREFIX
    request_id: Token


class NewJob(Part):
    """A job to store; with status RUNNING the sender holds it under `token`."""

    hyperparameters: NamedValues
    status: JobStatus = "QUEUED"
    results: NamedValues = {}
    quality: float = 0.0
    token: Token | None = None


class Push(Change[PushAnswer]):
    """Jobs for an experiment, given by name or, where it is known, by uid."""

    kind: Literal["push"] = "push"
    experiment_name: str
    experiment_uid: Uid | None = None
    jobs: list[NewJob] = Field(min_length=1, max_length=MOST_IN_A_MESSAGE)
    worker: Worker


class AddExperiment(Change[ExperimentChangedAnswer]):
    answer_seconds: ClassVar[float] = 5.0
    """Those who will run a new search check its definition first."""
    kind: Literal["add_experiment"] = "add_experiment"
    name: str
    scheduler: Line
    settings: dict[str, Any] = {}
    status: ExperimentStatus = "RUNNING"
    limits: Limits = Limits()

    @field_validator("name")
    @classmethod
    def _usable(cls, name: str) -> str:
        return check_experiment_name(name)


class UpdateExperiment(Change[ExperimentChangedAnswer]):
    """Fields that are None leave the experiment unchanged."""

    kind: Literal["update_experiment"] = "update_experiment"
    experiment_uid: Uid
    status: ExperimentStatus | None = None
    paused: bool | None = None
    settings: dict[str, Any] | None = None
    limits: Limits | None = None


class DeleteExperiment(Change[ExperimentChangedAnswer]):
    kind: Literal["delete_experiment"] = "delete_experiment"
    experiment_uid: Uid


class DeleteJob(Change[JobDeletedAnswer]):
    kind: Literal["delete_job"] = "delete_job"
    experiment_uid: Uid
    job_id: JobId


class AmendJob(Change[JobAmendedAnswer]):
    """Results and quality of a final job, changed afterwards; refused if it changed since `revision`."""

    kind: Literal["amend_job"] = "amend_job"
    experiment_uid: Uid
    job_id: JobId
    results: NamedValues
    quality: float
    revision: int | None


class JobsChange(Change[JobsChangedAnswer]):
    experiment_uid: Uid
    job_ids: list[JobId] = Field(min_length=1, max_length=MOST_IN_A_MESSAGE)


class CancelJobs(JobsChange):
    """Cancel jobs: PRUNED at once if QUEUED, else when their workers have stopped."""

    kind: Literal["cancel_jobs"] = "cancel_jobs"


class RetryJobs(JobsChange):
    """Final jobs that are to run again."""

    kind: Literal["retry_jobs"] = "retry_jobs"
