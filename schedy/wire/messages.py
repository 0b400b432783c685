"""The protocol: every message as a frozen pydantic model, JSON on the wire.

A message has the schema version, a `kind`, and nothing that its model does not name. Who sends what, and what
happens then, is told in docs/architecture.md.
"""

import json
import re
from datetime import datetime
from typing import Annotated, Any, ClassVar, Final, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    field_validator,
)

from schedy.errors import InvalidValueError
from schedy.wire import names
from schedy.wire.values import LONGEST_NAME, Values, dump_values

SCHEMA_VERSION = 1

MOST_IN_A_MESSAGE = 1000
"""Jobs that one message may name: far below what a database takes in one statement."""

MOST_POINTS = 5000
"""Points of a learning curve in one message."""

M = TypeVar("M")

QUEUED: Final = "QUEUED"
RUNNING: Final = "RUNNING"
DONE: Final = "DONE"
CRASHED: Final = "CRASHED"
PRUNED: Final = "PRUNED"
JobStatus = Literal["QUEUED", "RUNNING", "DONE", "CRASHED", "PRUNED"]
FinalStatus = Literal["DONE", "CRASHED", "PRUNED"]
ExperimentStatus = Literal["RUNNING", "DONE"]
JOB_STATUSES: tuple[JobStatus, ...] = ("QUEUED", "RUNNING", "DONE", "CRASHED", "PRUNED")
FINAL_STATUSES: tuple[FinalStatus, ...] = ("DONE", "CRASHED", "PRUNED")

Token = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Uid = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
JobId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]{5}$")]
Text = Annotated[str, StringConstraints(max_length=65_536, pattern=r"^[^\x00]*$")]
Line = Annotated[str, StringConstraints(max_length=300, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def check_experiment_name(name: str) -> str:
    """Return `name` if an experiment may have it, else raise InvalidValueError saying why not."""
    if _CONTROL.search(name):
        raise InvalidValueError(f"The experiment name {name!r} has a control character. Use printable characters.")
    if not 1 <= len(name.encode()) <= 200:
        raise InvalidValueError(f"An experiment name has 1 to 200 bytes in UTF-8, this one has {len(name.encode())}.")
    if name.startswith("-"):
        raise InvalidValueError(f"The experiment name {name!r} begins with '-', as options do. Choose another.")
    return name


def _with_usable_names(values: dict[str, Any]) -> dict[str, Any]:
    for name in values:
        if not 0 < len(name) <= LONGEST_NAME:
            raise ValueError(f"a name has 1 to {LONGEST_NAME} characters")
    return values


NamedValues = Annotated[dict[str, Any], AfterValidator(_with_usable_names)]
"""Hyperparameters or results; `schedy.wire.values` says what a value may be."""


class Message(BaseModel):
    """What all messages have in common."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    schema_version: Literal[1] = 1


class Worker(BaseModel):
    """Who works: shown to people, never used to decide. `uid` is random for each session with the broker."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: Line
    pid: int
    program: Line
    uid: Uid

    def __str__(self) -> str:
        return f"{self.host}:{self.pid} {self.program}"


# Reports: what a worker says about a job that it holds or wants.


class Claim(Message):
    """May I run this job? Asked again with the same token, it gets the same answer."""

    kind: Literal["claim"] = "claim"
    routing_prefix: ClassVar[str] = names.REPORT_KEY_PREFIX
    experiment_uid: Uid
    job_id: JobId
    token: Token
    worker: Worker
    by_ticket: bool = True
    """Whether a ticket led here, or the user who named the job."""
    wait_id: Token | None = None
    """That of the sender's `Demand`, if there was one: a grant ends the waiting."""


class _Held(Message):
    """A report on a held job; `sequence` counts the reports of one token from 1."""

    routing_prefix: ClassVar[str] = names.REPORT_KEY_PREFIX
    experiment_uid: Uid
    job_id: JobId
    token: Token
    sequence: int = Field(ge=1)


class Point(BaseModel):
    """Values at one step of a learning curve."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    step: int = Field(ge=-(2**53), le=2**53)
    values: dict[Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_NAME)], float]


Points = Annotated[list[Point], Field(max_length=MOST_POINTS)]


class Curve(_Held):
    """Points of the learning curve; the job goes on. The answer says whether the pruner would end it."""

    kind: Literal["curve"] = "curve"
    points: Points


class Progress(_Held):
    """What is known now, with the points of the curve that were not sent before; the job goes on."""

    kind: Literal["progress"] = "progress"
    results: NamedValues
    quality: float
    points: Points = []


class Finish(_Held):
    """The job is over."""

    kind: Literal["finish"] = "finish"
    status: FinalStatus
    results: NamedValues
    quality: float
    error: Text | None = None
    points: Points = []


class Release(_Held):
    """The job is given back unfinished; the attempt does not count."""

    kind: Literal["release"] = "release"


class HeldJob(BaseModel):
    """One job in a heartbeat."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    experiment_uid: Uid
    job_id: JobId
    token: Token


class Demand(Message):
    """The sender has found no job of an experiment that makes its own, and would take one.

    `wait_id` names one waiting, which ends with a granted claim that names it, too, or after a while.
    """

    kind: Literal["demand"] = "demand"
    routing_prefix: ClassVar[str] = names.REPORT_KEY_PREFIX
    experiment_uid: Uid
    worker: Worker
    wait_id: Token


WorkerState = Literal["alive", "unhealthy", "ended"]


class Heartbeat(Message):
    """The sender lives and still works on these jobs. `state` and `detail` are shown by `schedy workers`."""

    kind: Literal["heartbeat"] = "heartbeat"
    routing_prefix: ClassVar[str] = names.REPORT_KEY_PREFIX
    worker: Worker
    state: WorkerState = "alive"
    detail: Line = ""
    held: list[HeldJob] = Field(max_length=MOST_IN_A_MESSAGE)


# Changes: idempotent by `request_id`; the first answer is kept and given again.


class _Change(Message):
    routing_prefix: ClassVar[str] = names.CHANGE_KEY_PREFIX
    request_id: Token


class NewJob(BaseModel):
    """A job to store; with status RUNNING the sender holds it under `token`."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    hyperparameters: NamedValues
    status: JobStatus = "QUEUED"
    results: NamedValues = {}
    quality: float = 0.0
    token: Token | None = None


class Push(_Change):
    """Jobs for an experiment, given by name or, where it is known, by uid."""

    kind: Literal["push"] = "push"
    experiment_name: str
    experiment_uid: Uid | None = None
    jobs: list[NewJob] = Field(min_length=1, max_length=MOST_IN_A_MESSAGE)
    worker: Worker


Seconds = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]


class Limits(BaseModel):
    """What the jobs of an experiment may cost, in workers and seconds. None: the service's `max_attempts`; no limit.

    A job that has run for `job_timeout` seconds, or has put nothing for `stall_timeout`, is stopped, and CRASHED, or
    with `retry_timeouts` tried again while attempts are left.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_attempts: int | None = Field(default=None, ge=1, le=1_000_000)
    job_timeout: Seconds | None = None
    stall_timeout: Seconds | None = None
    retry_timeouts: bool = False


class AddExperiment(_Change):
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


class UpdateExperiment(_Change):
    """What is None stays as it is."""

    kind: Literal["update_experiment"] = "update_experiment"
    experiment_uid: Uid
    status: ExperimentStatus | None = None
    paused: bool | None = None
    settings: dict[str, Any] | None = None
    limits: Limits | None = None


class DeleteExperiment(_Change):
    kind: Literal["delete_experiment"] = "delete_experiment"
    experiment_uid: Uid


class DeleteJob(_Change):
    kind: Literal["delete_job"] = "delete_job"
    experiment_uid: Uid
    job_id: JobId


class AmendJob(_Change):
    """Results and quality of a final job, changed afterwards; refused if it changed since `revision`."""

    kind: Literal["amend_job"] = "amend_job"
    experiment_uid: Uid
    job_id: JobId
    results: NamedValues
    quality: float
    revision: int | None


class _JobsChange(_Change):
    experiment_uid: Uid
    job_ids: list[JobId] = Field(min_length=1, max_length=MOST_IN_A_MESSAGE)


class CancelJobs(_JobsChange):
    """Jobs that nobody wants any more: PRUNED if QUEUED, else once their workers have stopped."""

    kind: Literal["cancel_jobs"] = "cancel_jobs"


class RetryJobs(_JobsChange):
    """Final jobs that are to run again."""

    kind: Literal["retry_jobs"] = "retry_jobs"


# From those who run the service, to the service.


class Tick(Message):
    """Sent each second by every instance; whoever receives it judges the leases."""

    kind: Literal["tick"] = "tick"
    routing_prefix: ClassVar[str] = names.SERVICE_KEY_PREFIX
    instance: Line


class Replay(Message):
    """A dead letter that is to be handled anew, as if it had just come from `user`; `body` is base64."""

    kind: Literal["replay"] = "replay"
    routing_prefix: ClassVar[str] = names.SERVICE_KEY_PREFIX
    routing_key: Line
    body: str
    user: Line | None = None


# Requests: reads, answered by any instance.


class _Request(Message):
    routing_prefix: ClassVar[str] = names.REQUEST_KEY_PREFIX


class GetExperiments(_Request):
    """A page of the experiments, by name; `name` or `uid` picks one."""

    kind: Literal["get_experiments"] = "get_experiments"
    name: str | None = None
    uid: Uid | None = None
    after: int = 0
    limit: int = Field(default=200, ge=1, le=1000)


class SortField(BaseModel):
    """A field to sort by: a column of the job, a hyperparameter or a result."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Literal["column", "hyperparameter", "result"]
    name: str


class GetJobs(_Request):
    """A page of jobs: oldest first after the one numbered `after`, or those in `numbers`, or the one with `job_id`."""

    kind: Literal["get_jobs"] = "get_jobs"
    experiment_uid: Uid
    job_id: str | None = None
    statuses: list[JobStatus] = []
    numbers: list[int] | None = Field(default=None, max_length=MOST_IN_A_MESSAGE)
    after: int = 0
    limit: int = Field(default=200, ge=1, le=1000)


class GetJobOrder(_Request):
    """The numbers of all jobs in the wanted order, missing values last."""

    kind: Literal["get_job_order"] = "get_job_order"
    experiment_uid: Uid
    statuses: list[JobStatus] = []
    sort: list[SortField]
    decreasing: bool = False
    limit: int | None = None


class GetFields(_Request):
    """The names of hyperparameters and results that jobs of the experiment have."""

    kind: Literal["get_fields"] = "get_fields"
    experiment_uid: Uid


class GetHistory(_Request):
    """A page of what happened: of a job, an experiment, or everything; after the event numbered `after`.

    With `newest` the latest `limit` events instead, still in the order in which they happened; `before` pages back.
    """

    kind: Literal["get_history"] = "get_history"
    experiment_uid: Uid | None = None
    job_id: str | None = None
    after: int = 0
    before: int | None = None
    newest: bool = False
    limit: int = Field(default=200, ge=1, le=1000)


class GetCurve(_Request):
    """The learning curve of the latest attempt of a job, thinned out to about `limit` steps."""

    kind: Literal["get_curve"] = "get_curve"
    experiment_uid: Uid
    job_id: str
    limit: int = Field(default=1000, ge=2, le=10_000)


class GetWorkers(_Request):
    """A page of the workers, oldest first after the one numbered `after`; `gone`: also those that have ended."""

    kind: Literal["get_workers"] = "get_workers"
    gone: bool = False
    after: int = 0
    limit: int = Field(default=200, ge=1, le=1000)


# Tickets: in an experiment's queue.


class Ticket(Message):
    """A permission to ask for a job. `hyperparameters` are for people and absent when large; the answer has them."""

    kind: Literal["ticket"] = "ticket"
    experiment_uid: Uid
    experiment: str
    job_id: JobId
    hyperparameters: dict[str, Any] | None = None


# Records and answers.


class ExperimentRecord(BaseModel):
    """An experiment as stored; `number` orders pages.

    `made` counts the jobs that its search has made; `search_end` says why it makes no more, `problem` what went wrong
    last.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
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


class JobEvent(BaseModel):
    """Something that happened to a job or an experiment; `times` in a row, until `last_at`.

    `results` are what an attempt had put when another took its place.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    number: int
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


class WorkerRecord(BaseModel):
    """A worker as stored. `silent`: not heard of for longer than a lease. The seconds are by the store's clock."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
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


class JobRecord(BaseModel):
    """A job as stored. `number` orders pages; `revision` grows with every change.

    `stop` says why a RUNNING job is to end. `silent_seconds` is set where its worker should have been heard of.
    `parent` and `generation` are those of population based training.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
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
    stop: str | None = None
    silent_seconds: float | None = None
    parent: str | None = None
    generation: int | None = None


ErrorCode = Literal["not_found", "exists", "unsafe", "invalid"]


class Refusal(Message):
    """The request was understood and cannot be done; nothing was changed."""

    kind: Literal["refusal"] = "refusal"
    code: ErrorCode
    reason: str


class ClaimAnswer(Message):
    kind: Literal["claim_answer"] = "claim_answer"
    granted: bool
    reason: str = ""
    job: JobRecord | None = None
    lease_seconds: float = 0.0


class ReportAnswer(Message):
    """`revision`, `at` (when it was stored) and `status` are set where the report has changed the job.

    `stop` says why the job is to end now, if it is; `prune` whether the pruner would end it.
    """

    kind: Literal["report_answer"] = "report_answer"
    accepted: bool
    reason: str = ""
    revision: int | None = None
    at: datetime | None = None
    status: JobStatus | None = None
    stop: str = ""
    prune: bool = False


class DemandAnswer(Message):
    """Whether a job is there now, or is being made; or else why not."""

    kind: Literal["demand_answer"] = "demand_answer"
    there: bool
    coming: bool = False
    reason: str = ""


class JobNotice(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    token: Token
    reason: str


class HeartbeatAnswer(Message):
    """Jobs that are no longer the sender's, and jobs that it is to stop."""

    kind: Literal["heartbeat_answer"] = "heartbeat_answer"
    lost: list[JobNotice]
    stopped: list[JobNotice] = []


class PushAnswer(Message):
    """Ids in the order of the jobs pushed."""

    kind: Literal["push_answer"] = "push_answer"
    experiment_uid: Uid
    job_ids: list[JobId]
    created_at: datetime
    lease_seconds: float


class ChangeAnswer(Message):
    kind: Literal["change_answer"] = "change_answer"
    experiment: ExperimentRecord | None = None
    revision: int | None = None


class JobOutcome(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    job_id: JobId
    changed: bool
    detail: str


class JobsChangedAnswer(Message):
    """What became of each job, in the order of the request."""

    kind: Literal["jobs_changed_answer"] = "jobs_changed_answer"
    outcomes: list[JobOutcome]


class ExperimentsAnswer(Message):
    kind: Literal["experiments_answer"] = "experiments_answer"
    experiments: list[ExperimentRecord]


class JobsAnswer(Message):
    """A page; `more` tells whether another follows the last number, or whether numbers that were asked for are left."""

    kind: Literal["jobs_answer"] = "jobs_answer"
    jobs: list[JobRecord]
    events: list[JobEvent] = []
    more: bool = False


class JobOrderAnswer(Message):
    kind: Literal["job_order_answer"] = "job_order_answer"
    numbers: list[int]


class FieldsAnswer(Message):
    """`most_attempts`: of any job of the experiment."""

    kind: Literal["fields_answer"] = "fields_answer"
    hyperparameters: list[str]
    results: list[str]
    most_attempts: int = 0


class HistoryAnswer(Message):
    """A page; `more` tells whether another follows the last number."""

    kind: Literal["history_answer"] = "history_answer"
    events: list[JobEvent]
    more: bool = False


class CurveAnswer(Message):
    """Points in the order of their steps."""

    kind: Literal["curve_answer"] = "curve_answer"
    points: list[Point]


class WorkersAnswer(Message):
    kind: Literal["workers_answer"] = "workers_answer"
    workers: list[WorkerRecord]


Report = Claim | Progress | Curve | Finish | Release | Heartbeat | Demand
Change = Push | AddExperiment | UpdateExperiment | DeleteExperiment | DeleteJob | AmendJob | CancelJobs | RetryJobs
Request = GetExperiments | GetJobs | GetJobOrder | GetFields | GetHistory | GetCurve | GetWorkers
Sendable = Report | Change | Request | Tick | Replay
Answer = (
    Refusal
    | ClaimAnswer
    | ReportAnswer
    | DemandAnswer
    | HeartbeatAnswer
    | PushAnswer
    | ChangeAnswer
    | JobsChangedAnswer
    | ExperimentsAnswer
    | JobsAnswer
    | JobOrderAnswer
    | FieldsAnswer
    | HistoryAnswer
    | CurveAnswer
    | WorkersAnswer
)

_SENDABLE: TypeAdapter[Sendable] = TypeAdapter(Annotated[Sendable, Field(discriminator="kind")])
_ANSWER: TypeAdapter[Answer] = TypeAdapter(Annotated[Answer, Field(discriminator="kind")])
_TICKET = TypeAdapter(Ticket)


class UndecodableError(Exception):
    """A body that is no message of this schema; the text says why."""


def routing_key(message: Sendable) -> str:
    """Return the key under which `message` goes to the inbox exchange."""
    return message.routing_prefix + message.kind


def encode(message: Message) -> bytes:
    """Return the message as ASCII JSON; NaN and infinities as Python's json writes them."""
    return json.dumps(message.model_dump(exclude_defaults=False), default=_encode_time, separators=(",", ":")).encode()


def _encode_time(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} in a message")


def decode(body: bytes) -> Sendable:
    """Return the message that a client sent. Raises UndecodableError."""
    return _decode(_SENDABLE, body)


def decode_answer(body: bytes) -> Answer:
    """Return the answer that a service gave. Raises UndecodableError."""
    return _decode(_ANSWER, body)


def decode_ticket(body: bytes) -> Ticket:
    """Return the ticket in an experiment's queue. Raises UndecodableError."""
    return _decode(_TICKET, body)


def _decode(adapter: "TypeAdapter[M]", body: bytes) -> M:
    try:
        raw = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UndecodableError(f"not JSON: {error}") from None
    if not isinstance(raw, dict):
        raise UndecodableError("not a JSON object")
    version = raw.get("schema_version")
    if version != SCHEMA_VERSION:
        raise UndecodableError(f"schema version {version!r}, this program speaks {SCHEMA_VERSION}")
    try:
        return adapter.validate_python(raw)
    except (ValidationError, InvalidValueError, RecursionError) as error:
        raise UndecodableError(f"not a known message: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        fault = error.errors(include_input=False, include_url=False)[0]
        return f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"
    return str(error)


def checked_size(values: Values, *, limit_bytes: int, what: str) -> int:
    """Return the size of the values' JSON text. Raises InvalidValueError if it is over `limit_bytes`."""
    size = len(dump_values(values))
    if size > limit_bytes:
        raise InvalidValueError(
            f"The {what} have {size:,} bytes as JSON, the limit is {limit_bytes:,}. Store large data in a file"
            " and send its path, or raise max_message_bytes in the settings."
        )
    return size
