"""The results service's inbox: deliveries and other news that the service thread has not taken yet."""

import threading
import time
from collections import deque
from dataclasses import dataclass, field

from schedy.amqp.channel import Incoming
from schedy.errors import BrokerError
from schedy.wire import names
from schedy_store.lifecycle.tickets import TicketKey
from schedy_store.search.wire import SearchAnswer

_GATHER_SECONDS = 0.25
_GATHER_CONFIRMS_SECONDS = 0.01
_CONFIRMS_AT_ONCE = 20
_HEARTBEATS_AT_ONCE = 100
_REPORT_BYTES = 500
"""Size of a report in a bundle, about."""
_HEARTBEAT_KEY = names.REPORT_KEY_PREFIX + "heartbeat"


@dataclass(slots=True)
class Arrivals:
    """Everything that has arrived since the last `take`."""

    deliveries: list[Incoming] = field(default_factory=list)
    confirmed: list[TicketKey] = field(default_factory=list)
    """Tickets that the broker has."""
    returned: list[TicketKey] = field(default_factory=list)
    """Tickets that the broker did not take."""
    queue_lengths: dict[int, int] = field(default_factory=dict)
    """Tickets ready in the queues that were counted, by the keys of their experiments."""
    recreated: set[str] = field(default_factory=set)
    """Experiments whose queue was lost and created again: the tickets in it are gone."""
    answers: list[SearchAnswer] = field(default_factory=list)
    """Answers of the search processes."""
    connection: int = 0
    """Number of the connection that all of this belongs to; it grows with each connect and each loss."""
    error: BrokerError | None = None
    """The reason why there is no connection, if there is none."""

    @property
    def has_outcomes(self) -> bool:
        """True if anything but deliveries has arrived."""
        return bool(self.confirmed) or self.has_urgent_outcomes

    @property
    def has_urgent_outcomes(self) -> bool:
        """True if anything but deliveries and a few confirms has arrived."""
        is_much = len(self.confirmed) >= _CONFIRMS_AT_ONCE
        return is_much or bool(self.returned or self.queue_lengths or self.recreated or self.answers)


class Inbox:
    """The service thread's inbox: the I/O threads and those of the search processes put in, `take` takes out.

    Any thread may call any method; a lock guards everything.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._deliveries: deque[Incoming] = deque()
        self._outcomes = Arrivals()
        """All that has arrived but the deliveries."""
        self._connection = 0
        self._connection_taken = 0
        self._error: BrokerError | None = None
        self._has_delivered = False
        self._taken_at = time.monotonic()

    def take(self, *, wait_seconds: float, most: int, most_bytes: int) -> Arrivals:
        """Return what has arrived, about `most` messages and `most_bytes` at most; wait if it is nothing.

        Heartbeats alone are gathered for a moment, since many together cost little more than one. A few confirms of
        tickets wait for a shorter one, since the next push or the claim by such a ticket mostly follows.
        """
        self._taken_at = time.monotonic()
        with self._changed:
            self._changed.wait_for(self._has_news, wait_seconds)
            if self._has_news():
                self._changed.wait_for(self._has_more_than_heartbeats, _GATHER_SECONDS)
            if self._outcomes.confirmed:
                self._changed.wait_for(self._has_urgent_news, _GATHER_CONFIRMS_SECONDS)
            arrivals, self._outcomes = self._outcomes, Arrivals()
            arrivals.connection = self._connection_taken = self._connection
            arrivals.error = self._error
            size = messages = 0
            while self._deliveries and messages < most and size <= most_bytes:
                delivery = self._deliveries.popleft()
                arrivals.deliveries.append(delivery)
                size += len(delivery.body)
                messages += 1 + len(delivery.body) // _REPORT_BYTES * (delivery.routing_key == names.BUNDLE_KEY)
            return arrivals

    def put_delivery(self, incoming: Incoming) -> None:
        with self._changed:
            self._has_delivered = True
            self._deliveries.append(incoming)
            self._changed.notify_all()

    def put_confirmed(self, ticket: TicketKey) -> None:
        with self._changed:
            self._outcomes.confirmed.append(ticket)
            self._changed.notify_all()

    def put_returned(self, ticket: TicketKey) -> None:
        with self._changed:
            self._outcomes.returned.append(ticket)
            self._changed.notify_all()

    def put_queue_length(self, experiment_pk: int, ready: int) -> None:
        with self._changed:
            self._outcomes.queue_lengths[experiment_pk] = ready
            self._changed.notify_all()

    def put_recreated(self, experiment: str) -> None:
        with self._changed:
            self._outcomes.recreated.add(experiment)
            self._changed.notify_all()

    def put_answer(self, answer: SearchAnswer) -> None:
        with self._changed:
            self._outcomes.answers.append(answer)
            self._changed.notify_all()

    def connected(self) -> None:
        """Note a new connection."""
        with self._changed:
            self._connection += 1
            self._error = None
            self._changed.notify_all()

    def channel_failed(self, error: BrokerError) -> None:
        """Note why the connection is about to be cut."""
        with self._changed:
            self._error = error

    def lost(self, error: BrokerError) -> None:
        """Note that the connection is lost, or could not be made: the broker takes back what was delivered over it."""
        with self._changed:
            self._deliveries.clear()
            self._outcomes = Arrivals(recreated=self._outcomes.recreated, answers=self._outcomes.answers)
            self._connection += 1
            self._error = self._error or error
            self._has_delivered = False
            self._changed.notify_all()

    @property
    def connection(self) -> int:
        """Number of the current connection."""
        return self._connection

    @property
    def has_delivered(self) -> bool:
        """True once the current connection has delivered a report."""
        return self._has_delivered

    @property
    def seconds_since_taken(self) -> float:
        """Seconds since the service thread last asked for something to do."""
        return time.monotonic() - self._taken_at

    def confirmed_of(self, jobs: set[int]) -> list[int]:
        """Return those of the jobs whose tickets are confirmed, which was not taken yet."""
        with self._changed:
            return [job for job, _number in self._outcomes.confirmed if job in jobs]

    def _has_news(self) -> bool:
        return bool(self._deliveries) or self._outcomes.has_outcomes or self._connection != self._connection_taken

    def _has_more_than_heartbeats(self) -> bool:
        return bool(self._outcomes.confirmed) or self._has_urgent_news()

    def _has_urgent_news(self) -> bool:
        """Return whether there is more than a few heartbeats and confirms."""
        return (
            self._outcomes.has_urgent_outcomes
            or self._connection != self._connection_taken
            or len(self._deliveries) >= _HEARTBEATS_AT_ONCE
            or any(delivery.routing_key != _HEARTBEAT_KEY for delivery in self._deliveries)
        )
