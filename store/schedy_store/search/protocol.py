"""What a search algorithm is: the protocol that Schedy's own follow, and a user's own may implement.

A user's own is registered by an entry point of the group ``schedy.algorithms``; its name is then a scheduler::

    [project.entry-points."schedy.algorithms"]
    my-search = "my_package.my_module:MySearch"

An algorithm runs in a process of its own beside the results service, one call at a time. To survive a restart it
must be a pure function of the definition, the number of the suggestion and the history: what it draws comes from a
generator seeded with the definition's seed and that number (`generator`), and what it must remember from one
suggestion to the next goes into `Suggestion.state`, which comes back in `Trial.state`. What it keeps in memory may
only save time.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from schedy.search.definition import Definition
from schedy.wire.base import JobStatus


@dataclass(frozen=True, slots=True)
class Trial:
    """A job as an algorithm sees it."""

    job_id: str
    """Empty while the suggestion is not stored yet."""
    number: int | None
    """Which suggestion it is, from 0; None for a job that was pushed, or that another experiment lends."""
    key: int
    """Identifies the trial within the experiment, also after a restart: the `number` of a suggestion, else larger."""
    status: JobStatus
    hyperparameters: Mapping[str, Any]
    results: Mapping[str, Any]
    values: tuple[float, ...] | None
    """Of the objectives, in their order; None unless the job is DONE and all of them are numbers."""
    violations: tuple[float, ...] = ()
    """Of the constraints, in their order; more than 0 where one is broken, infinite where the result is missing."""
    curve: Mapping[int, float] = field(default_factory=dict)
    """What `job.report` has said of the first objective, by step."""
    state: Mapping[str, Any] = field(default_factory=dict)
    """What the algorithm and the pruner have kept with it."""
    parent: str | None = None
    generation: int | None = None


@dataclass(frozen=True, slots=True)
class History:
    """The jobs of an experiment at the moment for which a suggestion is made."""

    ended: Sequence[Trial]
    """Final ones, in the order in which they ended; those of other experiments (warm start) come first."""
    pending: Sequence[Trial]
    """QUEUED and RUNNING ones, in the order in which they were made."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A job to make."""

    hyperparameters: Mapping[str, Any]
    results: Mapping[str, Any] = field(default_factory=dict)
    """With which the job begins, those of its parent for instance."""
    parent: str | None = None
    """Id of the job that it goes on from."""
    generation: int | None = None
    state: Mapping[str, Any] = field(default_factory=dict)
    """JSON that comes back in `Trial.state`."""


@dataclass(frozen=True, slots=True)
class NotYet:
    """There is none before another job has ended."""


@dataclass(frozen=True, slots=True)
class Exhausted:
    """There is none any more; `reason` is a sentence."""

    reason: str


class Algorithm(Protocol):
    """Makes suggestions for one experiment. Made with its definition, whose seed is set."""

    def __init__(self, definition: Definition) -> None: ...

    def suggest(self, number: int, history: History) -> Suggestion | NotYet | Exhausted:
        """Return suggestion `number` (0, 1, 2, ...). Asked again for the same number, it returns the same.

        What it raises is shown to the user with the experiment, and it is asked again later.
        """
        ...


class Pruner(Protocol):
    """Says which running jobs are not worth going on with."""

    def prune(self, trial: Trial, history: History) -> tuple[bool, Mapping[str, Any]]:
        """Return whether to prune the trial, whose curve ends with the step in question, and its new state."""
        ...


def generator(definition: Definition, number: int, purpose: str = "") -> random.Random:
    """Return a generator for one suggestion: the same for the same seed, number and purpose."""
    return random.Random(f"{definition.seed} {number} {purpose}")  # noqa: S311 - nothing secret


def numeric_seed(definition: Definition, number: int) -> int:
    """Return a seed below 2**32 for one suggestion, for libraries that take one."""
    return generator(definition, number, "seed").getrandbits(32)
