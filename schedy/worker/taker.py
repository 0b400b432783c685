"""Taking jobs of one experiment: tickets, and the claims that they permit.

The I/O thread claims as soon as a ticket comes; a thread that wants a job waits for the grant alone. A taker that
`stays`, that of a loop, keeps a consumer with room for `prefetch` tickets: the end of a job makes room for the next
ticket, whose claim follows the report of the end, and is often granted when the loop asks. What is claimed ahead and
not asked for soon is given back, as is everything when the loop stops: no waiting job sits in a busy worker.
"""

import logging
import threading
import time
import uuid
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial

from schedy.amqp.channel import Channel, Incoming
from schedy.errors import BrokerError, SchedyError, TopologyMissingError
from schedy.settings import Settings
from schedy.wire import names
from schedy.wire.answers import expected
from schedy.wire.base import Answer, Worker
from schedy.wire.codec import decode_ticket
from schedy.wire.records import JobRecord
from schedy.wire.reports import Claim
from schedy.wire.versions import UndecodableError
from schedy.worker.call_table import Call, closed_error
from schedy.worker.calls import Calls
from schedy.worker.holds import Hold
from schedy.worker.leases import Leases
from schedy.worker.tickets import QueueMissingError, TakingStoppedError, Ticket, TicketChannels

_log = logging.getLogger(__name__)

_AHEAD_SECONDS = 0.2
"""Time for which a loop holds the job that it has claimed ahead without beginning it."""
_PREFETCHED_SECONDS = 10.0
"""The same for a loop with several jobs in hand."""


@dataclass(frozen=True, slots=True)
class Granted:
    """A job that is granted to this process."""

    record: JobRecord
    hold: Hold
    since: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True)
class Foreign:
    """A ticket of another experiment: which has the name now, or had it before."""

    ticket: Ticket


Taken = Granted | Foreign


@dataclass(slots=True, eq=False)
class Ask:
    """A thread's question for a job; None says that there is none now. Lives in both threads, under `Taker`'s lock."""

    waits: bool
    """True to wait for a ticket, False to look whether there is one."""
    result: "Future[Taken | None]" = field(default_factory=Future)


@dataclass(frozen=True, slots=True)
class Taking:
    """What takers need of their session."""

    calls: Calls
    leases: Leases
    channels: TicketChannels
    worker: Worker
    settings: Settings


class Taker:
    """Takes jobs of one experiment for one thread. `ask`, `end_wait` and the closes are for that, the rest for I/O.

    The user's thread closes it in the end, whatever happens. `wait_id` is that of the thread's demands.
    """

    def __init__(
        self, taking: Taking, *, experiment_name: str, experiment_uid: str, prefetch: int, stays: bool
    ) -> None:
        self.channel: Channel | None = None
        self.experiment_uid = experiment_uid
        self.wait_id = uuid.uuid4().hex
        self.given: Taken | None = None
        """What the thread was given last, until it has made it its own."""
        self._taking = taking
        self._connection = taking.calls.connection
        self._queue = names.jobs_queue(experiment_name)
        self._prefetch = prefetch
        self._stays = stays
        self._ahead_seconds = _AHEAD_SECONDS if prefetch == 1 else _PREFETCHED_SECONDS
        self._lock = threading.Lock()
        self._ask: Ask | None = None
        self._ready: deque[Taken] = deque()
        self._claims: dict[Hold, Call] = {}
        self._tickets: set[Ticket] = set()
        self._tag = ""
        """That of the consumer, if there is one."""
        self._is_opening = self._is_looking = self._is_watching = False
        self._is_slow = False
        """True if the thread has left a job that was claimed ahead waiting: none is claimed for it until it asks."""
        self._ended_at = 0.0
        self._closed = False

    # For the thread.

    def ask(self, *, waits: bool) -> Ask:
        """Ask for the next job."""
        ask = Ask(waits)
        with self._lock:
            self._is_slow = self._is_slow and time.monotonic() - self._ended_at > self._ahead_seconds
            self._ask = ask
            self._answer_from_ready()
            is_coming = bool(self._tag) and waits
        if not ask.result.done() and not is_coming:
            self._connection.run(self.go_on)
        return ask

    def end_wait(self, ask: Ask) -> None:
        """Look once more, instead of waiting."""
        ask.waits = False
        self._connection.run(self.go_on)

    def is_claiming(self) -> bool:
        """Return True while a claim has no answer."""
        return bool(self._claims)

    def close(self) -> None:
        """Give back what was not begun, and take no more; does not wait. From anywhere, also from a finaliser."""
        self._connection.run(self.end)

    # For the I/O thread.

    def go_on(self) -> None:
        """Do what an ask needs that is not being done yet."""
        self._connection.assert_io_thread()
        ask = self._ask
        if ask is None or self._claims or self._is_opening or self._is_looking:
            return
        if self._taking.channels.stopped or self._closed:
            self._fail(TakingStoppedError())
            return
        self._taking.channels.users.add(self)
        if self.channel is None:
            self._open()
        elif not ask.waits or not (self._tag or self._stays):
            self._is_looking = True
            self.channel.get(self._queue, self._got)
        elif not self._tag:
            self._consume()

    def end(self) -> None:
        """Give back what was not begun, and take no more."""
        self._connection.assert_io_thread()
        self._closed = True
        self._fail(closed_error())
        self._give_back_ahead()
        if self.given is not None:
            self._give_back(self.given)
        self._let_channel_go()

    def stop(self) -> None:
        """Take no more tickets; a claim that the thread waits for is still answered."""
        if self._ask is None:
            self._give_back_ahead()
        else:
            self._end_consumer()
            self.go_on()

    def lost(self) -> None:
        """Forget channel and tickets, which the broker has taken back. Claims go on."""
        self._forget_channel()

    def failed(self, error: BrokerError) -> None:
        self._forget_channel()
        self._fail(QueueMissingError() if isinstance(error, TopologyMissingError) else error)

    def ended(self) -> None:
        self._forget_channel()
        self._fail(closed_error())

    def _open(self) -> None:
        self._is_opening = True
        try:
            if not self._taking.channels.lend(self._opened):
                self._is_opening = False
        except BrokerError as error:
            self._is_opening = False
            self._fail(error)

    def _opened(self, channel: Channel) -> None:
        self._is_opening = False
        self.channel = channel
        if self._closed:
            self._let_channel_go()
        else:
            self.go_on()

    def _forget_channel(self) -> None:
        with self._lock:
            self._tag = ""
        self.channel = None
        self._is_opening = self._is_looking = False
        for ticket in self._tickets:
            ticket.end()
        self._tickets.clear()
        if self._closed or not (self._ask or self._claims or self._ready):
            self._taking.channels.users.discard(self)  # until it is asked again

    def _let_channel_go(self) -> None:
        """Leave the channel to others once nothing is on it any more."""
        is_free = not (self._tickets or self._tag or self._is_looking or self._is_opening)
        if self.channel is not None and is_free:
            self._taking.channels.give_back(self.channel)
            self.channel = None
        if self.channel is None and is_free and not (self._ask or self._claims):
            self._taking.channels.users.discard(self)

    def _consume(self) -> None:
        assert self.channel is not None  # noqa: S101 - go_on has looked
        with self._lock:
            self._tag = self._taking.channels.new_tag()
        prefetch = 1 if self._is_slow else self._prefetch
        self.channel.consume(
            self._queue, self._delivered, tag=self._tag, prefetch=prefetch, on_cancelled=self._queue_deleted
        )

    def _end_consumer(self) -> None:
        with self._lock:
            tag, self._tag = self._tag, ""
        if tag and self.channel is not None:
            self.channel.cancel(tag, lambda: None)

    def _queue_deleted(self) -> None:
        with self._lock:
            self._tag = ""
        self._fail(QueueMissingError())

    def _got(self, incoming: Incoming | None) -> None:
        self._is_looking = False
        if incoming is not None:
            self._delivered(incoming)
        elif self._ask is not None and not self._claims:
            if self._taking.channels.stopped:
                self._fail(TakingStoppedError())
            elif not self._ask.waits:
                self._answer(None)
            elif not self._tag:
                self._consume()
        if not self._stays or self._closed:
            self._let_channel_go()

    def _delivered(self, incoming: Incoming) -> None:
        held = Ticket(incoming, self._connection, self._ticket_over)
        self._tickets.add(held)
        if self._closed or self._taking.channels.stopped:
            held.give_back()
            return
        if not self._stays or self._is_slow:
            self._end_consumer()
        try:
            ticket = decode_ticket(incoming.body)
        except UndecodableError as error:
            _log.warning("A ticket that cannot be read goes to %s: %s", names.DEAD_QUEUE, error)
            held.discard()
            self.go_on()
            return
        if ticket.experiment_uid == self.experiment_uid:
            self._claim(ticket.job_id, held)
        else:
            self._deliver(Foreign(held))

    def _ticket_over(self, ticket: Ticket) -> None:
        self._tickets.discard(ticket)
        self._ended_at = time.monotonic()
        if not self._stays or self._closed:
            self._let_channel_go()

    def _claim(self, job_id: str, ticket: Ticket) -> None:
        hold = Hold(self.experiment_uid, job_id, uuid.uuid4().hex, ticket=ticket)
        claim = Claim(
            experiment_uid=self.experiment_uid,
            job_id=job_id,
            token=hold.token,
            worker=self._taking.worker,
            wait_id=self.wait_id,
        )
        call = self._taking.calls.call(
            claim, resend_seconds=self._taking.settings.claim_retry_seconds, on_silence=self._say_waiting
        )
        self._claims[hold] = call
        call.answer.add_done_callback(partial(self._answered, hold, claim))

    def _say_waiting(self) -> None:
        if self._ask is not None:
            self._taking.calls.say_waiting()

    def _answered(self, hold: Hold, claim: Claim, answer: "Future[Answer]") -> None:
        call = self._claims.pop(hold, None)
        if call is None:
            return  # it was given up
        try:
            answered = expected(claim, answer.result())
        except SchedyError as error:
            self._release(hold)
            self._fail(error)
            return
        if answered.granted and answered.job is not None:
            hold.lease_seconds = answered.lease_seconds
            self._taking.leases.hold(hold)
            if hold.ticket is not None and not hold.ticket.is_over:
                hold.ticket.after(self._taking.settings.ticket_hold_seconds, partial(self._runs_long, hold.ticket))
            self._deliver(Granted(answered.job, hold))
            return
        if call.times_sent > 1:
            self._release(hold)  # sent again, it may have been granted after this answer
        hold.ack_ticket()
        self.go_on()

    def _deliver(self, taken: Taken) -> None:
        with self._lock:
            self._ready.append(taken)
            self._answer_from_ready()
        if not self._ready:
            return
        if self._closed or self._taking.channels.stopped:
            self._give_back_ahead()
        elif not self._is_watching:
            self._watch(self._ahead_seconds)

    def _watch(self, seconds: float) -> None:
        """Look after so long whether what is ready waits for too long."""
        self._is_watching = True
        self._connection.later(seconds, self._look_at_ready)

    def _look_at_ready(self) -> None:
        self._is_watching = False
        with self._lock:
            since = [taken.since for taken in self._ready if isinstance(taken, Granted)]
        if not since:
            return
        left = min(since) + self._ahead_seconds - time.monotonic()
        if left > 0:
            self._watch(left)
        else:
            self._is_slow = True
            self._give_back_ahead()

    def _runs_long(self, ticket: Ticket) -> None:
        """Let go of the ticket of a job that runs for long, so that no timeout of the broker matters, and of others."""
        if self._ask is None:
            self._give_back_ahead()  # else the broker sends a ticket for this one
        ticket.ack()

    def _give_back_ahead(self) -> None:
        """Give back what was claimed ahead, and ask for no more."""
        self._end_consumer()
        claims, self._claims = self._claims, {}
        for hold, call in claims.items():
            self._taking.calls.cancel(call)
            self._release(hold)
        with self._lock:
            ready, self._ready = list(self._ready), deque()
        for taken in ready:
            self._give_back(taken)

    def _give_back(self, taken: Taken) -> None:
        if isinstance(taken, Granted):
            self._release(taken.hold)
        else:
            taken.ticket.give_back()

    def _release(self, hold: Hold) -> None:
        self._taking.leases.release(hold)

    def _answer_from_ready(self) -> None:
        """Answer the ask with the first that is ready and still ours; under the lock."""
        while self._ready and self._ask is not None:
            self.given = taken = self._ready[0]
            self._ready.popleft()
            if isinstance(taken, Granted) and (taken.hold.lost or taken.hold.stop):
                self.given = None
                self._release(taken.hold)
                continue
            ask, self._ask = self._ask, None
            ask.result.set_result(taken)

    def _answer(self, nothing: None) -> None:
        with self._lock:
            ask, self._ask = self._ask, None
        if ask is not None:
            ask.result.set_result(nothing)

    def _fail(self, error: Exception) -> None:
        with self._lock:
            ask, self._ask = self._ask, None
        if ask is not None:
            ask.result.set_exception(error)
