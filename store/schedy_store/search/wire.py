"""What the results service and its search process say to each other: a line of JSON each.

The service asks, over the standard input of the process; the process answers, over its standard output. Both belong to
the same user on the same machine. What the process needs to know it reads from the store.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")


class WantedNumber(_Line):
    """A suggestion to make; `known` is how many jobs had ended when it was wanted."""

    number: int
    known: int


class SuggestQuestion(_Line):
    """Make these suggestions, in order."""

    kind: Literal["suggest"] = "suggest"
    question: int
    experiment_pk: int
    wanted: list[WantedNumber]


class PruneQuestion(_Line):
    """Is this job worth going on with?"""

    kind: Literal["prune"] = "prune"
    question: int
    experiment_pk: int
    job_pk: int
    attempt: int


class MadeJob(_Line):
    """A suggestion as it is to be stored."""

    number: int
    hyperparameters: dict[str, Any]
    results: dict[str, Any] = {}
    parent: str | None = None
    generation: int | None = None
    state: dict[str, Any] = {}


class SuggestAnswer(_Line):
    """The suggestions, as far as there are any; `end` and `reason` say why one that was asked for is missing."""

    kind: Literal["suggested"] = "suggested"
    question: int
    experiment_pk: int
    made: list[MadeJob]
    end: Literal["", "not_yet", "exhausted", "failed"] = ""
    reason: str = ""


class PruneAnswer(_Line):
    """What the pruner says, and what it wants to have kept with the job, None if that has not changed."""

    kind: Literal["pruned"] = "pruned"
    question: int
    job_pk: int
    attempt: int
    prune: bool
    state: dict[str, Any] | None = None
    problem: str = ""


class ProcessEnded(_Line):
    """Said by the service to itself: the process has gone, with all that it was asked."""

    kind: Literal["ended"] = "ended"
    process: str = ""
    reason: str


Question = SuggestQuestion | PruneQuestion
SearchAnswer = SuggestAnswer | PruneAnswer | ProcessEnded

QUESTION: TypeAdapter[Question] = TypeAdapter(Annotated[Question, Field(discriminator="kind")])
ANSWER: TypeAdapter[SearchAnswer] = TypeAdapter(Annotated[SearchAnswer, Field(discriminator="kind")])
