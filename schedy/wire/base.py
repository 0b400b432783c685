"""Base classes and common types of all messages: statuses, names, ids, the worker.

A message is a frozen pydantic model, JSON on the wire. It has the schema version and a `kind`, and, if a client sends
it, nothing that its model does not name. A message that wants an answer names it:
``class GetJobs(Request[JobsAnswer])``. docs/protocol.md says who sends what, and what happens then.
"""

import re
import types
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Generic, Literal, TypeVar, get_args

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from schedy.errors import InvalidValueError
from schedy.lazy_models import LazyModel
from schedy.user_text import shown_value
from schedy.wire.values import LONGEST_NAME
from schedy.wire.versions import SCHEMA_VERSION

MOST_IN_A_MESSAGE = 1000
"""Jobs that one message may name: far below what a database takes in one statement."""
QUEUED: Final = "QUEUED"
RUNNING: Final = "RUNNING"
DONE: Final = "DONE"
CRASHED: Final = "CRASHED"
PRUNED: Final = "PRUNED"
JobStatus = Literal["QUEUED", "RUNNING", "DONE", "CRASHED", "PRUNED"]
FinalStatus = Literal["DONE", "CRASHED", "PRUNED"]
ExperimentStatus = Literal["RUNNING", "DONE"]
JOB_STATUSES: tuple[JobStatus, ...] = get_args(JobStatus)
FINAL_STATUSES: tuple[FinalStatus, ...] = get_args(FinalStatus)
EXPERIMENT_STATUSES: tuple[ExperimentStatus, ...] = get_args(ExperimentStatus)
LONGEST_EXPERIMENT_NAME = 200
"""Bytes in UTF-8."""
Token = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Uid = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
JobId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]{5}$")]
Text = Annotated[str, StringConstraints(max_length=65_536, pattern=r"^[^\x00]*$")]
LONGEST_LINE = 300
Line = Annotated[str, StringConstraints(max_length=LONGEST_LINE, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
LONGEST_SECONDS = 1_000_000_000
Seconds = Annotated[float, Field(gt=0, le=LONGEST_SECONDS, allow_inf_nan=False)]
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def as_line(text: str) -> str:
    """Return any text as a `Line`: control characters and lone surrogates escaped, cut to the length of one."""
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text[:LONGEST_LINE])[:LONGEST_LINE]


def check_text(text: str, what: str) -> str:
    """Return `text` if it is one, else raise InvalidValueError: in a request None would name everything."""
    if not isinstance(text, str):
        raise InvalidValueError(f"{what} is text, not {shown_value(text)}.")
    return text


def check_experiment_name(name: str) -> str:
    """Return `name` if an experiment may have it, else raise InvalidValueError saying why not."""
    if _CONTROL.search(check_text(name, "The name of an experiment")):
        raise InvalidValueError(f"The experiment name {name!r} has a control character. Use printable characters.")
    size = len(name.encode())
    if not 1 <= size <= LONGEST_EXPERIMENT_NAME:
        raise InvalidValueError(
            f"An experiment name has 1 to {LONGEST_EXPERIMENT_NAME} bytes in UTF-8, this one has {size}."
        )
    if name.startswith("-"):
        raise InvalidValueError(f"The experiment name {name!r} begins with '-', as options do. Choose another.")
    return name


def check_experiment_status(status: str) -> ExperimentStatus:
    """Return `status` if an experiment may have it, else raise InvalidValueError."""
    for known in EXPERIMENT_STATUSES:
        if status == known:
            return known
    raise InvalidValueError(f"The status of an experiment is {' or '.join(EXPERIMENT_STATUSES)}, not {status!r}.")


def _with_usable_names(values: dict[str, Any]) -> dict[str, Any]:
    for name in values:
        if not 0 < len(name) <= LONGEST_NAME:
            raise ValueError(f"a name has 1 to {LONGEST_NAME} characters")
    return values


NamedValues = Annotated[dict[str, Any], AfterValidator(_with_usable_names)]
"""Hyperparameters or results; `schedy.wire.values` says what a value may be."""


MESSAGES: dict[str, type["Message"]] = {}
"""Every kind of message and its class. A class is entered when it is defined."""


class Part(LazyModel):
    """A part of a message: frozen, and strict about unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")


class Message(Part):
    """A message. Each class narrows `kind` to its own text.

    `by_service`: the service sends it, and it is read by programs of other versions, without what they do not know.
    """

    by_service: ClassVar[bool] = False
    schema_version: int = SCHEMA_VERSION
    kind: str

    @classmethod
    def __pydantic_init_subclass__(cls, **_settings: Any) -> None:
        kind = cls.model_fields["kind"].default
        if isinstance(kind, str):
            MESSAGES[kind] = cls


class Answer(Message):
    """An answer of the results service. A field that a later version adds has a default."""

    by_service: ClassVar[bool] = True


A = TypeVar("A", bound=Answer)


class Sendable(Message):
    """A message to the results service. Its routing key is `routing_prefix` and its kind."""

    routing_prefix: ClassVar[str]


if TYPE_CHECKING:

    class _Answered(Sendable, Generic[A]):
        """What is answered with an `A`."""

else:

    class _Answered(Sendable):
        """Written `_Answered[A]` without pydantic's generics: these make a model for each answer, 20 ms at a start."""

        __class_getitem__ = classmethod(types.GenericAlias)


class Question(_Answered[A]):
    """A message that is answered with an `A`, or with a Refusal."""

    answer_type: ClassVar[type[Answer]]
    answer_seconds: ClassVar[float] = 0.0
    """Time that the service may take for the answer beyond its usual one."""

    @classmethod
    def __pydantic_init_subclass__(cls, **settings: Any) -> None:
        super().__pydantic_init_subclass__(**settings)
        for base in cls.__dict__.get("__orig_bases__", ()):
            answer = get_args(base)[0] if get_args(base) else None
            if isinstance(answer, type):
                cls.answer_type = answer


class Worker(Part):
    """A worker: shown to people, never used to decide. `uid` is random for each session with the broker."""

    host: Line
    pid: int
    program: Line
    uid: Uid

    def __str__(self) -> str:
        return f"{self.host}:{self.pid} {self.program}"


WorkerState = Literal["alive", "unhealthy", "ended"]
