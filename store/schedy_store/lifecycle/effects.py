"""Effects of a message that take place after the commit: in the broker, in the memory of the service, in the log."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple

from schedy.search.algorithms import MANUAL
from schedy.wire.answers import ReportAnswer
from schedy.wire.base import Answer
from schedy_store.schema.rows import JobRow

QueueChange = Literal["wanted", "purged", "gone"]
"""A change to the queue of an experiment: it is to exist, to be emptied, or to be deleted."""


class ClaimedTicket(NamedTuple):
    """The ticket by which a job was claimed: its experiment, and when it was published."""

    experiment_pk: int
    dispatched_at: datetime


class WaitingWorker(NamedTuple):
    """A worker that waits for the search of an experiment to make a job."""

    experiment_pk: int
    wait_id: str


class PrunerCall(NamedTuple):
    """A running attempt that the pruner is to judge before its report is answered."""

    experiment_pk: int
    job_pk: int
    token: str


class SearchCheck(NamedTuple):
    """A new experiment whose definition is to be checked by what will run it, before it is answered.

    `request_id` is that of the message that has added it.
    """

    experiment_pk: int
    scheduler: str
    request_id: str


@dataclass(slots=True)
class Effects:
    """The effects of one message, grouped by their readers.

    Answer and log: the service, after the commit. Queues and awaited tickets: the service, before it sends the answer.
    Wanted, withdrawn and claimed tickets: the `TicketDispatcher`. The rest: the searches. Dispatcher and searches note
    in memory only what may be lost.
    """

    answer: Answer | None = None
    """None: no answer is sent now."""
    log: list[str] = field(default_factory=list)

    queues: list[tuple[QueueChange, str]] = field(default_factory=list)
    """Changes to the queues of experiments (by name), made in this order and before the answer is sent."""
    tickets_awaited: list[int] = field(default_factory=list)
    """Jobs whose tickets, if they are under way, the broker must have before the answer is sent."""

    tickets_wanted: set[int] = field(default_factory=set)
    """Experiments in which jobs may want tickets."""
    tickets_withdrawn: set[int] = field(default_factory=set)
    """Experiments whose tickets count no more. The `TicketDispatcher` writes that in the same transaction."""
    claimed: ClaimedTicket | None = None

    touched: set[int] = field(default_factory=set)
    """Experiments whose search may have something to do."""
    served: str | None = None
    """The `wait_id` of a worker that was granted a job, and waits no longer."""
    waiting: WaitingWorker | None = None
    """A worker that the search answers once it has a job for it."""
    pruning: PrunerCall | None = None
    checking: SearchCheck | None = None

    def add_claim(self, claim: "Effects") -> None:
        """Add the effects of the claim that came with the report answered here."""
        assert isinstance(self.answer, ReportAnswer)  # noqa: S101 - of a Finish
        self.answer = self.answer.model_copy(update={"claim": claim.answer})
        self.log += claim.log
        self.tickets_wanted |= claim.tickets_wanted
        self.touched |= claim.touched
        self.claimed, self.served = claim.claimed, claim.served

    def job_moved(self, row: JobRow) -> None:
        """Note that a job was claimed or has ended: its search, if any, may want another one, or its ticket."""
        if row.scheduler != MANUAL:
            self.touched.add(row.experiment_pk)
            self.tickets_wanted.add(row.experiment_pk)
