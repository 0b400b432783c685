"""The answers of the results service."""

from abc import abstractmethod
from datetime import datetime
from typing import Any, Literal

from schedy.errors import (
    InvalidValueError,
    NotFoundError,
    ResourceExistsError,
    SchedyError,
    UnsafeUpdateError,
    VersionMismatchError,
)
from schedy.wire.base import A, Answer, JobId, JobStatus, Part, Question, Token, Uid
from schedy.wire.records import (
    ExperimentRecord,
    JobCurve,
    JobEvent,
    JobPoint,
    JobRecord,
    Point,
    RunningJob,
    Standing,
    WorkerRecord,
)

ErrorCode = Literal["not_found", "exists", "unsafe", "invalid"]


class Refusal(Answer):
    """The request was understood and cannot be done; nothing was changed."""

    kind: Literal["refusal"] = "refusal"
    code: ErrorCode
    reason: str


class ClaimAnswer(Answer):
    kind: Literal["claim_answer"] = "claim_answer"
    granted: bool
    reason: str = ""
    job: JobRecord | None = None
    lease_seconds: float = 0.0


class ReportAnswer(Answer):
    """`revision`, `at` (when it was stored) and `status` are set where the report has changed the job.

    `stop` says why the job is to end now, if it is; `prune` whether the pruner would end it. `claim` answers the claim
    that came with a `Finish`.
    """

    kind: Literal["report_answer"] = "report_answer"
    accepted: bool
    reason: str = ""
    revision: int | None = None
    at: datetime | None = None
    status: JobStatus | None = None
    stop: str = ""
    prune: bool = False
    claim: ClaimAnswer | None = None


class DemandAnswer(Answer):
    """`there`: a job is queued now; `coming`: a search is making one; else `reason` says why not."""

    kind: Literal["demand_answer"] = "demand_answer"
    there: bool
    coming: bool = False
    reason: str = ""


class JobNotice(Part):
    token: Token
    reason: str


class HeartbeatAnswer(Answer):
    """Jobs that are no longer the sender's, and jobs that it is to stop."""

    kind: Literal["heartbeat_answer"] = "heartbeat_answer"
    lost: list[JobNotice]
    stopped: list[JobNotice] = []


class PushAnswer(Answer):
    """The jobs as they were stored, in the order of the push."""

    kind: Literal["push_answer"] = "push_answer"
    experiment_uid: Uid
    jobs: list[JobRecord]
    lease_seconds: float
    warnings: list[str] = []
    """Sentences about jobs that a search does not learn from."""


class ExperimentChangedAnswer(Answer):
    """The experiment as it is now stored, or as it was before it was deleted."""

    kind: Literal["experiment_changed_answer"] = "experiment_changed_answer"
    experiment: ExperimentRecord


class JobDeletedAnswer(Answer):
    kind: Literal["job_deleted_answer"] = "job_deleted_answer"


class JobAmendedAnswer(Answer):
    kind: Literal["job_amended_answer"] = "job_amended_answer"
    revision: int


class JobOutcome(Part):
    job_id: JobId
    changed: bool
    detail: str


class JobsChangedAnswer(Answer):
    """The outcome for each job, in the order of the request."""

    kind: Literal["jobs_changed_answer"] = "jobs_changed_answer"
    outcomes: list[JobOutcome]


class Page(Answer):
    """A page of a longer answer; `more` tells whether another follows the last position."""

    more: bool = False

    @abstractmethod
    def last_position(self) -> int | None:
        """Return the position of the last item, None if there is no item."""


class ExperimentsAnswer(Page):
    kind: Literal["experiments_answer"] = "experiments_answer"
    experiments: list[ExperimentRecord]

    def last_position(self) -> int | None:
        return self.experiments[-1].position if self.experiments else None


class JobsAnswer(Page):
    """`more` tells also whether positions that were asked for are left. `events` are those of a single job."""

    kind: Literal["jobs_answer"] = "jobs_answer"
    jobs: list[JobRecord]
    events: list[JobEvent] = []

    def last_position(self) -> int | None:
        return self.jobs[-1].position if self.jobs else None


class BestAnswer(Answer):
    """Jobs that are DONE, have a number for each objective and keep the constraints; the best first.

    With several objectives, those of the Pareto front, in the order of the first objective; of jobs with equal values
    the oldest. `more`: the front has more than were asked for, or they are too large for one message.
    """

    kind: Literal["best_answer"] = "best_answer"
    jobs: list[JobRecord]
    more: bool = False


class OverviewAnswer(Standing, Answer):
    """How an experiment is getting on, and what its workers are doing.

    `running` has the oldest of the jobs that run, with the latest values of the first objective.
    """

    kind: Literal["overview_answer"] = "overview_answer"
    running: list[RunningJob]
    last_ended: JobRecord | None
    last_crashed: JobRecord | None


class OverviewsAnswer(Page):
    kind: Literal["overviews_answer"] = "overviews_answer"
    overviews: list[Standing]

    def last_position(self) -> int | None:
        return self.overviews[-1].experiment.position if self.overviews else None


class JobOrderAnswer(Answer):
    kind: Literal["job_order_answer"] = "job_order_answer"
    positions: list[int]


class FieldsAnswer(Answer):
    """`most_attempts`: of any job of the experiment, 0 where none had more than one."""

    kind: Literal["fields_answer"] = "fields_answer"
    hyperparameters: list[str]
    results: list[str]
    most_attempts: int = 0


class MadeBy(Part):
    algorithm: str
    jobs: int


class MadeByAnswer(Answer):
    """The algorithms in the order in which they were asked first; none for a search by one alone."""

    kind: Literal["made_by_answer"] = "made_by_answer"
    algorithms: list[MadeBy]


class Ancestor(Part):
    """A job from which others continue."""

    job_id: str
    generation: int | None = None
    hyperparameters: dict[str, Any]


class WhyAnswer(Answer):
    """How a search has come to a job. What does not apply is None.

    `number` is that of the suggestion, from 0, None for a pushed job. It was made when `ended` jobs had ended and
    `pending` others had not; `expected` is the value of the objective that was predicted for it, and `deviation` the
    standard deviation of that. `drawn`: what the algorithm proposed was not allowed, so a point was drawn at random.
    """

    kind: Literal["why_answer"] = "why_answer"
    number: int | None = None
    algorithm: str | None = None
    ended: int | None = None
    pending: int | None = None
    expected: float | None = None
    deviation: float | None = None
    drawn: bool = False
    ancestors: list[Ancestor] = []
    """The parent, its parent and so on."""


class RemovedExperiment(Part):
    """A removed experiment of which the store has rows left: those of so many `jobs`, or only others."""

    name: str
    jobs: int


class RemovedAnswer(Answer):
    """The removed experiments that have left rows, in the order in which these are deleted."""

    kind: Literal["removed_answer"] = "removed_answer"
    experiments: list[RemovedExperiment]


class HistoryAnswer(Page):
    kind: Literal["history_answer"] = "history_answer"
    events: list[JobEvent]

    def last_position(self) -> int | None:
        return self.events[-1].position if self.events else None


class CurveAnswer(Answer):
    """Points in the order of their steps."""

    kind: Literal["curve_answer"] = "curve_answer"
    points: list[Point]


class CurvesAnswer(Page):
    """`more` tells also whether positions that were asked for are left."""

    kind: Literal["curves_answer"] = "curves_answer"
    curves: list[JobCurve]

    def last_position(self) -> int | None:
        return self.curves[-1].position if self.curves else None


class SampleAnswer(Answer):
    """Jobs by their `positions`, in the order in which they ended, as numbers `places` of `ended`; those that run.

    The places have gaps where jobs were retried or deleted.
    """

    kind: Literal["sample_answer"] = "sample_answer"
    ended: int
    positions: list[int]
    places: list[int]
    running: list[int]


class PointsAnswer(Page):
    kind: Literal["points_answer"] = "points_answer"
    points: list[JobPoint]

    def last_position(self) -> int | None:
        return self.points[-1].position if self.points else None


class OutputAnswer(Answer):
    """The end of the output of an attempt: `text`, ending with byte `end` of it. `path`: its file on the worker's host.

    `running`: the attempt goes on. `status` is that of the job, `attempts` those of which anything is stored, `worker`
    the one of this attempt if something is.
    """

    kind: Literal["output_answer"] = "output_answer"
    attempt: int
    text: str
    end: int
    traceback: str | None = None
    path: str | None = None
    worker: str | None = None
    status: JobStatus
    running: bool
    attempts: list[int] = []


class WorkersAnswer(Page):
    kind: Literal["workers_answer"] = "workers_answer"
    workers: list[WorkerRecord]

    def last_position(self) -> int | None:
        return self.workers[-1].position if self.workers else None


_ERRORS: dict[ErrorCode, type[SchedyError]] = {
    "not_found": NotFoundError,
    "exists": ResourceExistsError,
    "unsafe": UnsafeUpdateError,
    "invalid": InvalidValueError,
}


def expected(question: Question[A], answer: Answer) -> A:
    """Return the answer if it is one to this question.

    Raises the error that a Refusal stands for, and VersionMismatchError for an answer of another kind.
    """
    if isinstance(answer, Refusal):
        raise _ERRORS[answer.code](answer.reason)
    if not isinstance(answer, question.answer_type):
        raise VersionMismatchError(
            f"The results service answered {question.kind!r} with {answer.kind!r}: it is of another version."
            " Install the same version of Schedy here and there."
        )
    return answer  # type: ignore[return-value]  # the class says so
