"""Taking jobs of one experiment: tickets, and the claims that they permit.

The I/O thread claims as soon as a ticket comes; a thread that wants a job waits for the grant alone. A taker that
`stays`, that of a loop, keeps a consumer with room for `prefetch` tickets: the end of a job makes room for the next
ticket, whose claim follows the report of the end, and is often granted when the loop asks. What is claimed ahead and
not asked for soon is given back, as is everything when the loop stops: no waiting job sits in a busy worker.
"""

import logging
import threading
import time
from collections import deque
from dataclasses import dataclass, field

from schedy.amqp.channel import Channel, Incoming
from schedy.errors import BrokerError, SchedyError, TopologyMissingError
from schedy.wire import names
from schedy.wire.codec import decode_ticket
from schedy.wire.versions import UndecodableError
from schedy.worker.awaited import Awaited
from schedy.worker.call_table import closed_error
from schedy.worker.holds import Hold
from schedy.worker.ticket_claims import AHEAD_SECONDS, Granted, Taking, TicketClaims
from schedy.worker.tickets import QueueMissingError, TakingStoppedError, Ticket

_log = logging.getLogger(__name__)

_PREFETCHED_SECONDS = 10.0
"""Time for which a loop with several jobs in hand keeps one that it has not begun."""
_LOOK_SECONDS = 0.05


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
    result: Awaited[Taken | None] = field(default_factory=Awaited)


class Taker:
    """Takes jobs of one experiment for one thread. `ask`, `end_wait` and the closes are for that, the rest for I/O.

    The user's thread closes it in the end, whatever happens.
    """

    def __init__(
        self, taking: Taking, *, experiment_name: str, experiment_uid: str, prefetch: int, stays: bool, ahead: bool
    ) -> None:
        """`ahead`: a loop of short jobs may claim several, since none is made from the result of the one before."""
        self.channel: Channel | None = None
        self.experiment_uid = experiment_uid
        self.given: Taken | None = None
        """What the thread was given last, until it has made it its own."""
        self._taking = taking
        self._connection = taking.calls.connection
        self._queue = names.jobs_queue(experiment_name)
        self._stays = stays
        self._claims = TicketClaims(
            taking, self, experiment_uid=experiment_uid, room=prefetch, with_ends=stays, ahead=ahead
        )
        self._ahead_seconds = AHEAD_SECONDS if prefetch == 1 else _PREFETCHED_SECONDS
        self._lock = threading.Lock()
        self._ask: Ask | None = None
        self._ready: deque[Taken] = deque()
        self._tag = ""
        """That of the consumer, if there is one."""
        self._takes_spares = False
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

    @property
    def wait_id(self) -> str:
        """The name of this waiting, in claims and demands."""
        return self._claims.wait_id

    def is_claiming(self) -> bool:
        """Return True while a claim has no answer."""
        return self._claims.is_waiting

    def close(self) -> None:
        """Give back what was not begun, and take no more; does not wait. From anywhere, also from a finaliser."""
        self._connection.run(self.end)

    # For the I/O thread.

    def go_on(self) -> None:
        """Do what an ask needs that is not being done yet."""
        self._connection.assert_io_thread()
        ask = self._ask
        if ask is None or self._claims.is_waiting or self._is_opening or self._is_looking:
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
            self._claims.give_back_spares()
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
        self._claims.forget_tickets()
        if self._closed or not (self._ask or self._claims.is_waiting or self._ready):
            self._taking.channels.users.discard(self)  # until it is asked again

    def _let_channel_go(self) -> None:
        """Leave the channel to others once nothing is on it any more."""
        is_free = not (self._claims.tickets or self._tag or self._is_looking or self._is_opening)
        if self.channel is not None and is_free:
            self._taking.channels.give_back(self.channel)
            self.channel = None
        if self.channel is None and is_free and not (self._ask or self._claims.is_waiting):
            self._taking.channels.users.discard(self)

    def _consume(self) -> None:
        assert self.channel is not None  # noqa: S101 - go_on has looked
        with self._lock:
            self._tag = self._taking.channels.new_tag()
        self._takes_spares = self._claims.wants_spare and not self._is_slow
        prefetch = 1 if self._is_slow else self._claims.room + self._takes_spares
        self.channel.consume(
            self._queue, self._delivered, tag=self._tag, prefetch=prefetch, on_cancelled=self._queue_deleted
        )

    def _end_consumer(self) -> None:
        """End the consumer, if there is one; a thread that had asked because of it gets another, or an answer."""
        with self._lock:
            tag, self._tag = self._tag, ""
            was_relied_on = bool(tag) and self._ask is not None
        if was_relied_on:
            self._connection.run(self.go_on)
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
        elif self._ask is not None and not self._claims.is_waiting:
            if self._taking.channels.stopped:
                self._fail(TakingStoppedError())
            elif not self._ask.waits:
                self._answer(None)
            elif not self._tag:
                self._consume()
        if not self._stays or self._closed:
            self._let_channel_go()

    def _delivered(self, incoming: Incoming) -> None:
        held = self._claims.hold(incoming)
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
        if ticket.experiment_uid != self.experiment_uid:
            self._deliver(Foreign(held))
            return
        self._claims.use(held, ticket.job_id)
        self._watch()

    def ticket_over(self) -> None:
        self._ended_at = time.monotonic()
        if self._tag and self._claims.wants_spare and not (self._takes_spares or self._is_slow):
            self._end_consumer()
            self._consume()
        if not self._stays or self._closed:
            self._let_channel_go()

    def is_asked(self) -> bool:
        return self._ask is not None

    def granted(self, granted: Granted) -> None:
        self._deliver(granted)

    def denied(self) -> None:
        self.go_on()

    def claim_failed(self, error: SchedyError) -> None:
        self._fail(error)

    def runs_long(self) -> None:
        if self._ask is None:
            self._give_back_ahead()  # else the broker sends a ticket for this one

    def _deliver(self, taken: Taken) -> None:
        with self._lock:
            self._ready.append(taken)
            self._answer_from_ready()
        if not self._ready:
            self.go_on()  # it may be lost already, and the thread still wait
            return
        if self._closed or self._taking.channels.stopped:
            self._give_back_ahead()
        else:
            self._watch()

    def _watch(self) -> None:
        """Look after a while whether what is ready or in hand waits for too long."""
        if not self._is_watching:
            self._is_watching = True
            self._connection.later(_LOOK_SECONDS, self._look)

    def _look(self) -> None:
        self._is_watching = False
        with self._lock:
            ready = [taken.since for taken in self._ready if isinstance(taken, Granted)]
        if ready and time.monotonic() - min(ready) > self._ahead_seconds:
            self._is_slow = True
            self._claims.were_late()
            self._give_back_ahead()
        must_look = self._claims.look()
        if self._takes_spares and not self._claims.wants_spare:
            self._takes_spares = False
            self._end_consumer()
            self._claims.give_back_spares()
        if ready or must_look:
            self._watch()

    def _give_back_ahead(self) -> None:
        """Give back what was claimed ahead, and ask for no more."""
        self._end_consumer()
        self._claims.give_up()
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
