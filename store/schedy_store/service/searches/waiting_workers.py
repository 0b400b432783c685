"""The workers that wait for a job of a search, and the questions of theirs that are held."""

import math
from dataclasses import dataclass, field

from schedy.amqp.channel import Incoming
from schedy.wire.answers import DemandAnswer
from schedy.wire.base import Answer

_EXPIRY_SECONDS = 15.0
"""A waiting worker repeats its question within this time; one that does not no longer counts."""
_HOLD_SECONDS = 0.5
"""A question is held this long, in case a job is made; then the answer is that one is being made.

Without an answer the worker would take the service for dead.
"""
SERVED = DemandAnswer(there=True)
"""The answer to a worker that has got its job."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer to send after the commit, and the message that it answers."""

    incoming: Incoming
    answer: Answer


@dataclass(slots=True)
class _Wait:
    held_since: float
    expires_at: float
    held: Incoming | None
    """Its question, until that is answered."""

    def is_due(self, now: float) -> bool:
        return self.held is not None and now - self.held_since >= _HOLD_SECONDS


@dataclass(slots=True)
class ServedWaits:
    """The waits that have ended with a job: their questions may come once more. Times are monotonic seconds."""

    _until: dict[str, float] = field(default_factory=dict)
    """By `wait_id`, oldest first."""

    def add(self, wait_id: str, now: float) -> None:
        """Note that a worker has got a job, and forget those for which that is long ago."""
        self._until[wait_id] = now + _EXPIRY_SECONDS
        while (oldest := next(iter(self._until))) != wait_id and self._until[oldest] <= now:
            del self._until[oldest]

    def has(self, wait_id: str, now: float) -> bool:
        """Return whether this wait has ended a short time ago."""
        return self._until.get(wait_id, now) > now


@dataclass(slots=True)
class WaitingWorkers:
    """The workers that wait for a job of one search. Times are monotonic seconds."""

    _waits: dict[str, _Wait] = field(default_factory=dict)
    """By `wait_id`, which a worker draws for each time that it waits."""

    def add(self, wait_id: str, incoming: Incoming, now: float) -> None:
        """Hold the question of a worker. A repeated question is answered as soon as the first one would have been."""
        before = self._waits.get(wait_id)
        since = now if before is None or before.held is None else before.held_since
        self._waits[wait_id] = _Wait(since, now + _EXPIRY_SECONDS, incoming)

    def serve(self, wait_id: str) -> list[Reply]:
        """Forget a worker that has got a job; it may be unknown here. Return the reply to its question, if one is held.

        It cannot begin the job before it has the answer.
        """
        wait = self._waits.pop(wait_id, None)
        return [] if wait is None or wait.held is None else [Reply(wait.held, SERVED)]

    def count(self, now: float) -> int:
        """Return how many workers wait, and forget those that have stopped asking."""
        self._waits = {wait_id: wait for wait_id, wait in self._waits.items() if wait.expires_at > now}
        return len(self._waits)

    def has_due(self, now: float) -> bool:
        """Return whether a question has been held long enough."""
        return any(wait.is_due(now) for wait in self._waits.values())

    def answer(self, answer: DemandAnswer) -> list[Reply]:
        """Return replies to all questions; the workers still count as waiting."""
        return self._answer(answer, math.inf)

    def answer_due(self, answer: DemandAnswer, now: float) -> list[Reply]:
        """Return replies to the questions that have been held long enough."""
        return self._answer(answer, now)

    def _answer(self, answer: DemandAnswer, now: float) -> list[Reply]:
        replies: list[Reply] = []
        for wait in self._waits.values():
            if wait.held is not None and wait.is_due(now):
                replies.append(Reply(wait.held, answer))
                wait.held = None
        return replies
