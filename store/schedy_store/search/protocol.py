"""The protocol of search algorithms and pruners; an algorithm of a user's own imports from here alone.

An entry point of the group ``schedy.algorithms`` registers an algorithm; its name is then a scheduler::

    [project.entry-points."schedy.algorithms"]
    my-search = "my_package.my_module:MySearch"

An algorithm runs in a process beside the results service, one call at a time. To survive a restart it must be a pure
function of the definition, the number of the suggestion and the history: random numbers come from a generator seeded
with the definition's seed and that number (`generator`), and what it must remember from one suggestion to the next
goes into `Suggestion.state`, which comes back in `Trial.state`. Attributes may only be caches.

`Definition` holds the experiment's hyperparameters, objectives, seed and `options`; each hyperparameter has a
`Distribution`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from schedy.random import Distribution
from schedy.search.definition import Definition
from schedy.search.seeds import generator, numeric_seed
from schedy.wire.base import JobStatus

__all__ = [
    "MADE_BY",
    "WHY",
    "Algorithm",
    "Definition",
    "Distribution",
    "Exhausted",
    "History",
    "NotYet",
    "Pruner",
    "Suggestion",
    "Trial",
    "generator",
    "numeric_seed",
]


PRUNER_STATE = "pruner"
"""Entry of `Trial.state` that is the pruner's. It belongs to an attempt: the next one of the job starts without it."""


MADE_BY = "by"
"""Entry of `Suggestion.state` of a search that asks several algorithms: which has made it, as `show` prints it."""


WHY = "why"
"""Entry of `Suggestion.state` with what `schedy why` prints: how many jobs had ended, what is expected of the job.

It does not come back in `Trial.state`.
"""


@dataclass(frozen=True, slots=True)
class Trial:
    """A job as an algorithm sees it."""

    job_id: str
    """Empty until the suggestion is stored."""
    number: int | None
    """Number of the suggestion, from 0; None for a job that was pushed, or comes from another experiment."""
    key: int
    """Identifies the trial within the experiment, also after a restart: `number` if there is one, else a larger one."""
    status: JobStatus
    hyperparameters: Mapping[str, Any]
    results: Mapping[str, Any]
    values: tuple[float, ...] | None
    """Values of the objectives, in their order; None unless the job is DONE and all of them are numbers."""
    violations: tuple[float, ...] = ()
    """One per constraint, in their order: more than 0 if it is violated, infinite if the result is missing."""
    curve: Mapping[int, float] = field(default_factory=dict)
    """Values of the first objective that `job.report` reported, by step."""
    state: Mapping[str, Any] = field(default_factory=dict)
    """State that the algorithm and the pruner keep with the job."""
    parent: str | None = None
    generation: int | None = None


@dataclass(frozen=True, slots=True)
class History:
    """The jobs of an experiment at the moment for which a suggestion is made."""

    ended: Sequence[Trial]
    """Final jobs, in the order in which they ended; those of other experiments (warm start) come first."""
    pending: Sequence[Trial]
    """QUEUED and RUNNING jobs, in the order in which they were made."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A job to be made."""

    hyperparameters: Mapping[str, Any]
    results: Mapping[str, Any] = field(default_factory=dict)
    """Initial results of the job, for example those of its parent."""
    parent: str | None = None
    """Id of the job that it continues."""
    generation: int | None = None
    state: Mapping[str, Any] = field(default_factory=dict)
    """JSON object that comes back in `Trial.state`."""


@dataclass(frozen=True, slots=True)
class NotYet:
    """No suggestion until another job has ended. If no job is queued or running, the search is over.

    Unless pushed jobs are waited for, too.
    """

    for_pushed: bool = False


@dataclass(frozen=True, slots=True)
class Exhausted:
    """No further suggestion, ever; `reason` is a sentence that users read."""

    reason: str


class Algorithm(Protocol):
    """Suggests jobs for one experiment. Created with its definition, whose seed is set."""

    def __init__(self, definition: Definition) -> None: ...

    def suggest(self, number: int, history: History) -> Suggestion | NotYet | Exhausted:
        """Return suggestion `number` (0, 1, 2, ...). Asked again for the same number, it returns the same.

        An exception is shown to users as the experiment's problem, and the call is repeated later.
        """
        ...


class Pruner(Protocol):
    """Decides which running jobs are not worth continuing."""

    def prune(self, trial: Trial, history: History) -> tuple[bool, Mapping[str, Any]]:
        """Return whether to prune the trial, whose curve ends with the step to judge, and its new state."""
        ...
