"""Tickets that were published and that the broker has not confirmed yet."""

import time
from dataclasses import dataclass, field

from schedy_store.lifecycle.tickets import TicketKey
from schedy_store.service.broker.channel_steps import Action


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """A ticket under way, by its experiment, and when it was published (`time.monotonic`)."""

    experiment: str
    published_at: float


@dataclass(slots=True)
class TicketsUnderWay:
    """The tickets under way, oldest first, and what waits for the last of an experiment. Lives in the I/O thread."""

    _tickets: dict[TicketKey, Unconfirmed] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)
    """By experiment; none is zero."""
    _waiting: dict[str, list[Action]] = field(default_factory=dict)

    @property
    def oldest(self) -> Unconfirmed | None:
        return next(iter(self._tickets.values()), None)

    def add(self, key: TicketKey, experiment: str) -> None:
        """Note that a ticket is published."""
        self.discard(key)
        self._tickets[key] = Unconfirmed(experiment, time.monotonic())
        self._counts[experiment] = self._counts.get(experiment, 0) + 1

    def discard(self, key: TicketKey) -> None:
        """Note that the broker has, or refuses, a ticket."""
        ticket = self._tickets.pop(key, None)
        if ticket is None:
            return
        self._counts[ticket.experiment] -= 1
        if not self._counts[ticket.experiment]:
            del self._counts[ticket.experiment]
            for action in self._waiting.pop(ticket.experiment, []):
                action()

    def when_none(self, experiment: str, action: Action) -> None:
        """Call `action` once no ticket of this experiment is under way; never if the connection is lost before."""
        if experiment in self._counts:
            self._waiting.setdefault(experiment, []).append(action)
        else:
            action()

    def clear(self) -> None:
        """Forget all, as the broker does when the connection is lost."""
        self._tickets.clear()
        self._counts.clear()
        self._waiting.clear()
