"""Reports whose answers wait for the pruner's verdict."""

import json
import time
from dataclasses import dataclass, field

from sqlalchemy import update

from schedy.amqp.channel import Incoming
from schedy.wire.answers import ReportAnswer
from schedy_store.schema.engine import Transaction
from schedy_store.schema.tables import Job
from schedy_store.search.wire import PruneAnswer
from schedy_store.service.searches.waiting_workers import Reply

_LIMIT = 500
_LONGEST_SECONDS = 2.0
"""A pruner that takes longer keeps no worker waiting: its verdict comes with the next report."""


@dataclass(slots=True)
class HeldReports:
    """The reports that wait, with the answers they get, in which only the verdict is missing."""

    _held: dict[int, tuple[Incoming, ReportAnswer, float]] = field(default_factory=dict)
    """By the number of the question that the pruner was asked; since when, in monotonic seconds, the oldest first."""

    @property
    def is_full(self) -> bool:
        """Return whether the pruner has enough to do."""
        return len(self._held) >= _LIMIT

    def hold(self, question: int, incoming: Incoming, answer: ReportAnswer) -> None:
        """Hold the answer to a report until `release`."""
        self._held[question] = (incoming, answer, time.monotonic())

    def release(self, verdict: PruneAnswer) -> list[Reply]:
        """Return the reply with the pruner's verdict; none if its report is not held any more."""
        if verdict.question not in self._held:
            return []
        incoming, answer, _since = self._held.pop(verdict.question)
        return [Reply(incoming, answer.model_copy(update={"prune": verdict.prune}))]

    def release_due(self, now: float) -> list[Reply]:
        """Return the replies, without a verdict, to reports that were held for too long."""
        due = [question for question, held in self._held.items() if now - held[-1] >= _LONGEST_SECONDS]
        return [Reply(*self._held.pop(question)[:2]) for question in due]

    def release_all(self) -> list[Reply]:
        """Return the replies to all reports, without a verdict."""
        held, self._held = self._held, {}
        return [Reply(incoming, answer) for incoming, answer, _since in held.values()]

    def clear(self) -> None:
        """Forget all reports: their connection is lost, or their sender reports to another instance."""
        self._held.clear()


def store_pruner_state(transaction: Transaction, verdict: PruneAnswer) -> None:
    """Store what the pruner keeps with a job, if that has changed and the attempt still goes on.

    The number of an attempt that was given back is that of the next one, too; tokens are never used again.
    """
    if verdict.state is None:
        return
    attempt = (Job.pk == verdict.job_pk, Job.token == verdict.token)
    transaction.sql.execute(update(Job).where(*attempt).values(search_state=json.dumps(verdict.state)))
