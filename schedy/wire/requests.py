"""Requests: reads of the store."""

from collections.abc import Callable, Iterator
from typing import ClassVar, Literal, Self, TypeVar

from pydantic import Field, model_validator

from schedy.wire import names
from schedy.wire.answers import (
    BestAnswer,
    CurveAnswer,
    CurvesAnswer,
    ExperimentsAnswer,
    FieldsAnswer,
    HistoryAnswer,
    JobOrderAnswer,
    JobsAnswer,
    MadeByAnswer,
    OutputAnswer,
    OverviewAnswer,
    OverviewsAnswer,
    Page,
    PointsAnswer,
    RemovedAnswer,
    SampleAnswer,
    WhyAnswer,
    WorkersAnswer,
)
from schedy.wire.base import MOST_IN_A_MESSAGE, A, JobStatus, Part, Question, Uid
from schedy.wire.records import MOST_ATTEMPTS

P = TypeVar("P", bound=Page)


class Request(Question[A]):
    """A read, answered by any instance of the service."""

    routing_prefix: ClassVar[str] = names.REQUEST_KEY_PREFIX


class PagedRequest(Request[P]):
    """A read that is answered page by page, each after the position `after` and with at most `limit` items."""

    after: int = 0
    limit: int = Field(default=200, ge=1, le=1000)


def pages(ask: Callable[[PagedRequest[P]], P], request: PagedRequest[P]) -> Iterator[P]:
    """Ask for one page after the other, to the last."""
    while True:
        page = ask(request)
        yield page
        last = page.last_position()
        if not page.more or last is None:
            return
        request = request.model_copy(update={"after": last})


class GetExperiments(PagedRequest[ExperimentsAnswer]):
    """A page of the experiments, by name; `name` or `uid` picks one."""

    kind: Literal["get_experiments"] = "get_experiments"
    name: str | None = None
    uid: Uid | None = None


JOB_COLUMNS = ("id", "status", "quality", "created_at", "started_at", "finished_at", "worker", "attempt", "error")
"""The columns of a job that lists show and can be sorted by, as users write them."""


class SortField(Part):
    """A field to sort by: one of `JOB_COLUMNS`, a hyperparameter or a result."""

    source: Literal["column", "hyperparameter", "result"]
    name: str

    @model_validator(mode="after")
    def _is_known(self) -> Self:
        if self.source == "column" and self.name not in JOB_COLUMNS:
            raise ValueError(f"jobs have no column {self.name!r}")
        return self


class GetJobs(PagedRequest[JobsAnswer]):
    """A page of jobs: oldest first after the position `after`, or those at `positions`, or the one with `job_id`."""

    kind: Literal["get_jobs"] = "get_jobs"
    experiment_uid: Uid
    job_id: str | None = None
    statuses: list[JobStatus] = []
    positions: list[int] | None = Field(default=None, max_length=MOST_IN_A_MESSAGE)


class GetBest(Request[BestAnswer]):
    """The best DONE jobs, the best first; the Pareto front if there are several objectives."""

    kind: Literal["get_best"] = "get_best"
    experiment_uid: Uid
    limit: int = Field(default=1, ge=1, le=MOST_IN_A_MESSAGE)


class GetOverview(Request[OverviewAnswer]):
    """How an experiment is getting on: all that one look at it shows."""

    kind: Literal["get_overview"] = "get_overview"
    experiment_uid: Uid


class GetOverviews(PagedRequest[OverviewsAnswer]):
    """A page of the experiments with what a list shows of each; `running`: only those that are RUNNING.

    With `newest` the newest come first, and the older ones after `after`. `name` is a part of their names, in any case.
    """

    kind: Literal["get_overviews"] = "get_overviews"
    running: bool = False
    newest: bool = False
    name: str = ""


Operator = Literal["=", "!=", "<", "<=", ">", ">=", "~", "missing", "there"]


class Condition(Part):
    """What a field of a job must be: compared with a number or a text; ``~``: the text contains it.

    A job without the field fulfils ``missing`` alone.
    """

    field: SortField
    operator: Operator
    number: float | None = None
    text: str | None = Field(default=None, max_length=1000)


class GetJobOrder(Request[JobOrderAnswer]):
    """The positions of the jobs that fulfil all conditions, in the wanted order, missing values last.

    With `after` those behind the job of that position; refused as `not_found` if it is not, or no longer, among them.
    """

    kind: Literal["get_job_order"] = "get_job_order"
    experiment_uid: Uid
    statuses: list[JobStatus] = []
    sort: list[SortField]
    decreasing: bool = False
    limit: int | None = None
    after: int | None = None
    where: list[Condition] = Field(default=[], max_length=20)


class GetFields(Request[FieldsAnswer]):
    """The names of hyperparameters and results that jobs of the experiment have."""

    kind: Literal["get_fields"] = "get_fields"
    experiment_uid: Uid


class GetRemoved(Request[RemovedAnswer]):
    """What removed experiments have left in the store: it is deleted in pieces, between other work."""

    kind: Literal["get_removed"] = "get_removed"


class GetMadeBy(Request[MadeByAnswer]):
    """How many jobs each of the algorithms has made that a search like `auto` asks in turns."""

    kind: Literal["get_made_by"] = "get_made_by"
    experiment_uid: Uid


class GetWhy(Request[WhyAnswer]):
    """How a search has come to a job, and from which others it continues."""

    kind: Literal["get_why"] = "get_why"
    experiment_uid: Uid
    job_id: str


class GetHistory(PagedRequest[HistoryAnswer]):
    """A page of what happened: of a job, an experiment, or everything; after the position `after`.

    With `newest` the latest `limit` events instead, still in the order in which they happened; `before` pages back.
    With `positions` those events, which may have happened again since.
    """

    kind: Literal["get_history"] = "get_history"
    experiment_uid: Uid | None = None
    job_id: str | None = None
    before: int | None = None
    newest: bool = False
    positions: list[int] | None = Field(default=None, max_length=MOST_IN_A_MESSAGE)


class GetCurve(Request[CurveAnswer]):
    """The learning curve of the latest attempt of a job, thinned out to about `limit` steps."""

    kind: Literal["get_curve"] = "get_curve"
    experiment_uid: Uid
    job_id: str
    limit: int = Field(default=1000, ge=2, le=10_000)


class GetCurves(PagedRequest[CurvesAnswer]):
    """A page of the learning curves of all jobs, oldest first after the position `after`, or of those at `positions`.

    Each is thinned out to about `steps`. A job without a curve is there without points.
    """

    kind: Literal["get_curves"] = "get_curves"
    experiment_uid: Uid
    positions: list[int] | None = Field(default=None, max_length=MOST_IN_A_MESSAGE)
    steps: int = Field(default=1000, ge=2, le=10_000)


class GetSample(Request[SampleAnswer]):
    """Jobs that stand for all that have ended, for a drawing: all, or `limit` of them at equal distances.

    With them come the best, and all that were the best when they ended. Of the jobs that run the newest are named.
    """

    kind: Literal["get_sample"] = "get_sample"
    experiment_uid: Uid
    limit: int = Field(default=2000, ge=2, le=10_000)


class GetPoints(PagedRequest[PointsAnswer]):
    """A page of the points of all learning curves, of all attempts, in the order in which they were stored."""

    kind: Literal["get_points"] = "get_points"
    experiment_uid: Uid
    statuses: list[JobStatus] = []


class GetOutput(Request[OutputAnswer]):
    """The end of the output of an attempt of a job, None for the latest, and its traceback.

    Only what follows byte number `after` of the output, for one who has read so far.
    """

    kind: Literal["get_output"] = "get_output"
    experiment_uid: Uid
    job_id: str
    attempt: int | None = Field(default=None, ge=0, le=MOST_ATTEMPTS)
    after: int = Field(default=0, ge=0, le=2**53)


class GetWorkers(PagedRequest[WorkersAnswer]):
    """A page of the workers, oldest first after the position `after`; `gone`: also those that have ended."""

    kind: Literal["get_workers"] = "get_workers"
    gone: bool = False
