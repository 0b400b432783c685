"""Answers to new searches, held until their definitions have been checked."""

import time
from dataclasses import dataclass, field, replace

from schedy.amqp.channel import Incoming
from schedy.wire.base import Answer
from schedy.wire.changes import AddExperiment
from schedy_store.lifecycle.effects import SearchCheck
from schedy_store.service.searches.search_processes import process_of
from schedy_store.service.searches.waiting_workers import Reply

_LIMIT = 500


@dataclass(frozen=True, slots=True)
class HeldCheck:
    """The answer to a message that has added an experiment, if its definition is not refused."""

    incoming: Incoming
    answer: Answer
    check: SearchCheck
    held_since: float

    @property
    def reply(self) -> Reply:
        """Return the reply without a refusal."""
        return Reply(self.incoming, self.answer)


@dataclass(slots=True)
class HeldChecks:
    """The answers that wait. Times are monotonic seconds."""

    _held: dict[int, HeldCheck] = field(default_factory=dict)
    """By the number of the question that the search process was asked."""

    @property
    def is_full(self) -> bool:
        """Return True if no more can be held."""
        return len(self._held) >= _LIMIT

    def hold(self, question: int, incoming: Incoming, answer: Answer, check: SearchCheck) -> None:
        """Hold an answer until `take`."""
        self._held[question] = HeldCheck(incoming, answer, check, time.monotonic())

    def replace(self, incoming: Incoming, check: SearchCheck) -> bool:
        """Hold the answer for a message that has come again instead of the first one; False if none is held."""
        for number, held in self._held.items():
            if held.check == check:
                self._held[number] = replace(held, incoming=incoming)
                return True
        return False

    def take(self, question: int) -> HeldCheck | None:
        """Return what a question was about; None if that is not held any more."""
        return self._held.pop(question, None)

    def release_due(self, now: float) -> list[Reply]:
        """Return replies, without a check, to what was held for too long."""
        return self._release(
            [number for number, held in self._held.items() if now - held.held_since >= AddExperiment.answer_seconds]
        )

    def release_of(self, process: str) -> list[Reply]:
        """Return replies, without a check, to what a process that has ended was asked."""
        held_for = {number: process_of(held.check.scheduler) for number, held in self._held.items()}
        return self._release([number for number, asked in held_for.items() if asked == process])

    def clear(self) -> None:
        """Forget all answers: their connection is lost, or another instance has taken over; clients ask again."""
        self._held.clear()

    def _release(self, questions: list[int]) -> list[Reply]:
        return [self._held.pop(question).reply for question in questions]
