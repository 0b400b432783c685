"""The messages between the results service and its search processes: one line of JSON each.

Values come through as in all other messages: NaN, the infinities and any text stay themselves. Questions of the
service go to the standard input of a process, answers come from its standard output. Both belong to the same user on
the same machine. The process reads everything else that it needs from the store.
"""

import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter

from schedy.escaping import printable
from schedy.wire.base import JobId

_REASON_CHARACTERS = 1000
_LARGEST_GENERATION = 2**31 - 1


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _shown(text: str) -> str:
    """Return a text of an algorithm as it can be stored and shown: one line, with odd characters escaped."""
    return printable(text)[:_REASON_CHARACTERS]


Reason = Annotated[str, AfterValidator(_shown)]


class WantedNumber(_Line):
    """A suggestion to make; `known` is the number of jobs that had ended when it was wanted."""

    number: int
    known: int


class SuggestQuestion(_Line):
    """A request for suggestions, in this order."""

    kind: Literal["suggest"] = "suggest"
    question: int
    experiment_pk: int
    wanted: list[WantedNumber]


class PruneQuestion(_Line):
    """A request to judge whether a running job is worth continuing; the token names the attempt."""

    kind: Literal["prune"] = "prune"
    question: int
    experiment_pk: int
    job_pk: int
    token: str


class CheckQuestion(_Line):
    """A request to check the definition of a new experiment, by creating what will run it."""

    kind: Literal["check"] = "check"
    question: int
    experiment_pk: int


class MadeJob(_Line):
    """A suggestion in the form in which it is stored."""

    number: int
    hyperparameters: dict[str, Any]
    results: dict[str, Any] = {}
    parent: JobId | None = None
    generation: int | None = Field(default=None, ge=0, le=_LARGEST_GENERATION)
    state: dict[str, Any] = {}


SuggestEnd = Literal["", "not_yet", "exhausted", "failed", "unusable"]
"""``failed``: the same question may be answered another time; ``unusable``: the definition cannot be used, ever."""


class SuggestAnswer(_Line):
    """The suggestions that could be made; `end` and `reason` explain why the others are missing."""

    kind: Literal["suggested"] = "suggested"
    question: int
    experiment_pk: int
    made: list[MadeJob]
    end: SuggestEnd = ""
    reason: Reason = ""


class PruneAnswer(_Line):
    """The pruner's verdict, and the state to keep with the job, None if it has not changed."""

    kind: Literal["pruned"] = "pruned"
    question: int
    job_pk: int
    token: str
    prune: bool
    state: dict[str, Any] | None = None


class CheckAnswer(_Line):
    """The fault of a definition, empty if there is none."""

    kind: Literal["checked"] = "checked"
    question: int
    experiment_pk: int
    problem: Reason = ""


class ProcessEnded(_Line):
    """The end of a process, and with it of all open questions; reported by the service's end of the pipes."""

    kind: Literal["ended"] = "ended"
    process: str = ""
    reason: str


Question = SuggestQuestion | PruneQuestion | CheckQuestion
SearchAnswer = SuggestAnswer | PruneAnswer | CheckAnswer | ProcessEnded

_QUESTION: TypeAdapter[Question] = TypeAdapter(Annotated[Question, Field(discriminator="kind")])
_ANSWER: TypeAdapter[SearchAnswer] = TypeAdapter(Annotated[SearchAnswer, Field(discriminator="kind")])


def write_line(message: Question | SearchAnswer) -> str:
    """Return the message as a line of ASCII JSON; NaN and infinities as Python's json writes them."""
    return json.dumps(message.model_dump()) + "\n"


def read_question(line: str) -> Question:
    """Return the question that `write_line` wrote. Raises ValueError if the line is none."""
    return _QUESTION.validate_python(json.loads(line))


def read_answer(line: str) -> SearchAnswer:
    """Return the answer that `write_line` wrote. Raises ValueError if the line is none."""
    return _ANSWER.validate_python(json.loads(line))
