"""The messages between the results service and its search processes: one line of JSON each.

Questions of the service go to the standard input of a process, answers come from its standard output. Both belong to
the same user on the same machine. The process reads everything else that it needs from the store.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")


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
    """A request to judge whether a running job is worth continuing."""

    kind: Literal["prune"] = "prune"
    question: int
    experiment_pk: int
    job_pk: int
    attempt: int


class MadeJob(_Line):
    """A suggestion in the form in which it is stored."""

    number: int
    hyperparameters: dict[str, Any]
    results: dict[str, Any] = {}
    parent: str | None = None
    generation: int | None = None
    state: dict[str, Any] = {}


class SuggestAnswer(_Line):
    """The suggestions that could be made; `end` and `reason` explain why the others are missing."""

    kind: Literal["suggested"] = "suggested"
    question: int
    experiment_pk: int
    made: list[MadeJob]
    end: Literal["", "not_yet", "exhausted", "failed"] = ""
    reason: str = ""


class PruneAnswer(_Line):
    """The pruner's verdict, and the state to keep with the job, None if it has not changed."""

    kind: Literal["pruned"] = "pruned"
    question: int
    job_pk: int
    attempt: int
    prune: bool
    state: dict[str, Any] | None = None
    problem: str = ""


class ProcessEnded(_Line):
    """The end of a process, and with it of all open questions; reported by the service's end of the pipes."""

    kind: Literal["ended"] = "ended"
    process: str = ""
    reason: str


Question = SuggestQuestion | PruneQuestion
SearchAnswer = SuggestAnswer | PruneAnswer | ProcessEnded

QUESTION: TypeAdapter[Question] = TypeAdapter(Annotated[Question, Field(discriminator="kind")])
ANSWER: TypeAdapter[SearchAnswer] = TypeAdapter(Annotated[SearchAnswer, Field(discriminator="kind")])
