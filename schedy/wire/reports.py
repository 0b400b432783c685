"""Reports: what a worker says about jobs that it holds or wants."""

from typing import ClassVar, Literal

from pydantic import Field

from schedy.wire import names
from schedy.wire.answers import ClaimAnswer, DemandAnswer, HeartbeatAnswer, ReportAnswer
from schedy.wire.base import (
    MOST_IN_A_MESSAGE,
    A,
    FinalStatus,
    JobId,
    Line,
    NamedValues,
    Part,
    Question,
    Text,
    Token,
    Uid,
    Worker,
    WorkerState,
)
from schedy.wire.records import Points


class Report(Question[A]):
    """A message of a worker."""

    routing_prefix: ClassVar[str] = names.REPORT_KEY_PREFIX


class Claim(Report[ClaimAnswer]):
    """May I run this job? Asked again with the same token, it gets the same answer."""

    kind: Literal["claim"] = "claim"
    experiment_uid: Uid
    job_id: JobId
    token: Token
    worker: Worker
    by_ticket: bool = True
    """True for a claim by a ticket, False for one by the job's id."""
    wait_id: Token | None = None
    """That of the sender's `Demand`, if there was one: a grant ends the waiting."""
    behind: Token | None = None
    """The token of the job that the sender has to end before it begins this one, if it claims ahead."""


class HeldReport(Report[ReportAnswer]):
    """A report on a held job; `sequence` counts the reports of one token from 1."""

    experiment_uid: Uid
    job_id: JobId
    token: Token
    sequence: int = Field(ge=1)


class Curve(HeldReport):
    """Points of the learning curve; the job goes on. The answer says whether the pruner would end it."""

    kind: Literal["curve"] = "curve"
    points: Points


class Progress(HeldReport):
    """Results so far, with the points of the curve that were not sent before; the job goes on.

    The answer says whether the pruner would end it, by all points up to now.
    """

    kind: Literal["progress"] = "progress"
    results: NamedValues
    quality: float
    points: Points = []


class Output(HeldReport):
    """The latest output of the attempt; the job goes on.

    `text` is the part that was not sent before, or its last 64 KiB; `end` the number of bytes of all output up to the
    end of `text`, in UTF-8. `path` is the file on the worker's machine that has all of it.
    """

    kind: Literal["output"] = "output"
    text: Text
    end: int = Field(ge=0, le=2**53)
    path: Text | None = None


class Finish(HeldReport):
    """The job is over. `traceback` is that of the exception which ended it, its last 16 KiB.

    `then` is a claim of the sender's next job, whose ticket it has; it is judged once the end is stored.
    """

    kind: Literal["finish"] = "finish"
    status: FinalStatus
    results: NamedValues
    quality: float
    error: Text | None = None
    points: Points = []
    traceback: Text | None = None
    then: Claim | None = None

    def alone(self) -> "Finish":
        """Return it without the claim, as it is when nobody waits for that any more."""
        return self if self.then is None else self.model_copy(update={"then": None})


class Release(HeldReport):
    """The job is given back unfinished; the attempt does not count. Not `begun`: it was claimed ahead, no more."""

    kind: Literal["release"] = "release"
    begun: bool = True


class HeldJob(Part):
    """One job in a heartbeat."""

    experiment_uid: Uid
    job_id: JobId
    token: Token


class Demand(Report[DemandAnswer]):
    """The sender has found no job of an experiment that makes its own, and would take one.

    `wait_id` names one waiting, which ends with a granted claim that names it, too, or after a while.
    """

    answer_seconds: ClassVar[float] = 5.0
    """A search that makes its first suggestion imports its libraries first."""
    kind: Literal["demand"] = "demand"
    experiment_uid: Uid
    worker: Worker
    wait_id: Token


class Heartbeat(Report[HeartbeatAnswer]):
    """The sender lives and still works on these jobs. `state` and `detail` are shown by `schedy workers`."""

    kind: Literal["heartbeat"] = "heartbeat"
    worker: Worker
    state: WorkerState = "alive"
    detail: Line = ""
    held: list[HeldJob] = Field(max_length=MOST_IN_A_MESSAGE)
