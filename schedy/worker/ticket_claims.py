"""The tickets that a taker has in hand, and the claims by them.

There is room for some claims at a time, for more once jobs have been short. Each claim names the job behind which its
own waits, and jobs begin in the order of their claims: the service knows which of those that a lost worker held had
begun. After a few short jobs a loop gets one ticket more, a spare, which nobody has claimed: its claim leaves in the
very message that reports the end of the job before. A spare that is not used soon goes back to its queue, so that no
waiting job sits in a busy worker.
"""

import threading
import time
import uuid
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from schedy.amqp.channel import Incoming
from schedy.errors import SchedyError
from schedy.settings import Settings
from schedy.wire.answers import ClaimAnswer, ReportAnswer, expected
from schedy.wire.base import Answer, Worker
from schedy.wire.records import JobRecord
from schedy.wire.reports import Claim
from schedy.worker.call import Call
from schedy.worker.calls import Calls
from schedy.worker.holds import Hold, NextClaim
from schedy.worker.leases import Leases
from schedy.worker.tickets import Ticket, TicketChannels

AHEAD_SECONDS = 0.2
"""Time for which a loop keeps what nobody works on: a job that was claimed ahead, and a spare ticket."""
_SHORT_SECONDS = 0.02
_SHORT_JOBS = 5
"""Number of short jobs in a row after which a loop claims ahead while a job runs, and has room for a spare."""
_SHORT_ROOM = 8
"""Number of claims, at most, that a loop of short jobs has room for: as many as it gets through in this time."""
_SHORT_ROOM_SECONDS = 0.15


@dataclass(frozen=True, slots=True)
class Granted:
    """A job that is granted to this process."""

    record: JobRecord
    hold: Hold
    since: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True)
class _Spare:
    ticket: Ticket
    job_id: str
    since: float = field(default_factory=time.monotonic)


@dataclass(slots=True)
class _Asked:
    """A claim without an answer. `call` is None until it is sent in a message of its own."""

    claim: Claim
    left_with_end: bool
    call: Call | None = None
    since: float = field(default_factory=time.monotonic)


class ClaimUser(Protocol):
    """What gets the outcomes. Its methods are called in the I/O thread."""

    def granted(self, granted: Granted) -> None:
        """Take a job."""

    def denied(self) -> None:
        """Go on: a claim was denied, or a ticket could not be read."""

    def claim_failed(self, error: SchedyError) -> None:
        """Let the thread know why its claim has no answer."""

    def ticket_over(self) -> None:
        """Note that a ticket is over."""

    def is_asked(self) -> bool:
        """Return True while the thread waits for a job."""

    def runs_long(self) -> None:
        """Note that a job runs for so long that its ticket is let go: give back what waits behind it."""


@dataclass(frozen=True, slots=True)
class Taking:
    """What takers need of their session."""

    calls: Calls
    leases: Leases
    channels: TicketChannels
    worker: Worker
    settings: Settings


class TicketClaims:
    """The tickets and claims of one taker. Lives in the I/O thread, but for `claim_next` and `is_waiting`."""

    def __init__(
        self, taking: Taking, user: ClaimUser, *, experiment_uid: str, room: int, with_ends: bool, ahead: bool
    ) -> None:
        """`room` is for so many claims; `with_ends`: those of spares may leave with the ends of jobs.

        `ahead`: there may be more room after short jobs.
        """
        self.tickets: set[Ticket] = set()
        self.wait_id = uuid.uuid4().hex
        """Names the waiting of the thread, up to the next job."""
        self._taking = taking
        self._connection = taking.calls.connection
        self._user = user
        self._experiment_uid = experiment_uid
        self._room = room
        self._with_ends = with_ends
        self._most_ahead = _SHORT_ROOM if ahead else 1
        self._short_jobs = 0
        self._short_since = 0.0
        self._short_room = 1
        self._lock = threading.Lock()
        self._spares: deque[_Spare] = deque()
        self._asked: dict[Hold, _Asked] = {}
        self._last: Hold | None = None
        """The job that was claimed last."""
        self._in_order: dict[Hold, Granted | None] = {}
        """Jobs to hand out in the order in which they were claimed; None until the claim is granted."""

    # For the thread.

    def claim_next(self, ended: Hold) -> NextClaim | None:
        """Claim by a spare, in the message with the end of this job; None if there is none."""
        now = time.monotonic()
        is_short = ended.begun_at is not None and now - ended.begun_at < _SHORT_SECONDS
        with self._lock:
            self._short_jobs = self._short_jobs + 1 if is_short else 0
            if self._short_jobs == 1:
                self._short_since = now
            elif self._short_jobs == _SHORT_JOBS:
                seconds_a_job = (now - self._short_since) / (_SHORT_JOBS - 1)
                self._short_room = max(1, min(self._most_ahead, int(_SHORT_ROOM_SECONDS / max(seconds_a_job, 1e-6))))
            if not self._spares:
                return None
            hold, asked = self._new_claim(self._spares.popleft(), ended=ended)
        return NextClaim(asked.claim, partial(self._end_answered, hold))

    @property
    def has_several(self) -> bool:
        """True if there is room for several jobs: none waits until the broker has the end of the one before."""
        return self._room > 1

    @property
    def is_waiting(self) -> bool:
        """True while a claim has no answer."""
        return bool(self._asked)

    # For the I/O thread.

    @property
    def wants_spare(self) -> bool:
        """True while jobs are short: a ticket more than may be claimed is worth having."""
        return self._with_ends and self._short_jobs >= _SHORT_JOBS

    @property
    def room(self) -> int:
        """Number of jobs that may be claimed at a time."""
        return max(self._room, self._short_room) if self.wants_spare else self._room

    def hold(self, incoming: Incoming) -> Ticket:
        """Hold a ticket."""
        self._connection.assert_io_thread()
        ticket = Ticket(incoming, self._connection, self._over)
        self.tickets.add(ticket)
        return ticket

    def use(self, ticket: Ticket, job_id: str) -> None:
        """Claim a job by its ticket, now or when there is room."""
        with self._lock:
            self._spares.append(_Spare(ticket, job_id))
        self._claim_spares()

    def look(self) -> bool:
        """Ask again for what left with the end of a job and has no answer; return True if there is a need to look.

        Spares that have waited for too long are given back, and none is wanted until jobs are short again.
        """
        now = time.monotonic()
        with self._lock:
            along = [(hold, asked) for hold, asked in self._asked.items() if asked.call is None]
            is_late = bool(self._spares) and now - self._spares[0].since > AHEAD_SECONDS
        for hold, asked in along:
            if now - asked.since > self._taking.settings.claim_retry_seconds:
                self._say_waiting()
                self._send(hold, asked)
        if is_late:
            self.were_late()
        return bool(along or self._spares)

    def were_late(self) -> None:
        """Note that what is claimed ahead has waited for too long: it is found out anew how much is not too much."""
        self._short_jobs = 0

    def give_back_spares(self) -> None:
        with self._lock:
            spares, self._spares = self._spares, deque()
        for spare in spares:
            spare.ticket.give_back()

    def give_up(self) -> None:
        """Give back the spares, and the jobs whose claims have no answer."""
        self.give_back_spares()
        with self._lock:
            given_up, self._asked = self._asked, {}
            kept_back, self._in_order = self._in_order, {}
        for asked in given_up.values():
            if asked.call is not None:
                self._taking.calls.cancel(asked.call)
        for hold in kept_back:
            self._taking.leases.release(hold)

    def forget_tickets(self) -> None:
        """Forget the tickets, which the broker has taken back. Claims go on."""
        with self._lock:
            self._spares.clear()
        for ticket in self.tickets:
            ticket.end()
        self.tickets.clear()

    def _over(self, ticket: Ticket) -> None:
        self.tickets.discard(ticket)
        self._claim_spares()
        self._user.ticket_over()

    def _claim_spares(self) -> None:
        while True:
            with self._lock:
                if not self._spares or len(self.tickets) - len(self._spares) >= self.room:
                    return
                hold, asked = self._new_claim(self._spares.popleft(), ended=None)
            self._send(hold, asked)

    def _new_claim(self, spare: _Spare, *, ended: Hold | None) -> tuple[Hold, _Asked]:
        """Return a claim that is about to be sent, alone or with the end of a job; under the lock."""
        last = self._last
        is_ahead = self._with_ends and last is not None and last is not ended and not last.finishing
        self._last = hold = Hold(self._experiment_uid, spare.job_id, uuid.uuid4().hex, ticket=spare.ticket)
        hold.next_claims = self if self._with_ends else None
        claim = Claim(
            experiment_uid=self._experiment_uid,
            job_id=spare.job_id,
            token=hold.token,
            worker=self._taking.worker,
            wait_id=self.wait_id,
            behind=last.token if is_ahead and last is not None else None,
        )
        asked = self._asked[hold] = _Asked(claim, ended is not None)
        self._in_order[hold] = None
        return hold, asked

    def _send(self, hold: Hold, asked: _Asked) -> None:
        """Send a claim in a message of its own."""
        asked.call = self._taking.calls.call(
            asked.claim,
            resend_seconds=self._taking.settings.claim_retry_seconds,
            on_silence=self._say_waiting,
            on_answer=partial(self._answered, hold),
        )

    def _say_waiting(self) -> None:
        if self._user.is_asked():
            self._taking.calls.say_waiting()

    def _end_answered(self, hold: Hold, answer: "Future[Answer]") -> None:
        """Take the answer to an end that a claim left with. If it says nothing of the claim, that is sent alone."""
        if answer.exception() is not None:
            self._connection.run(partial(self._take_answer, hold, None))  # a call may fail in any thread
            return
        of_end = answer.result()
        self._take_answer(hold, of_end.claim if isinstance(of_end, ReportAnswer) else None)

    def _take_answer(self, hold: Hold, answer: ClaimAnswer | None) -> None:
        self._connection.assert_io_thread()
        asked = self._asked.get(hold)
        if asked is None:
            if answer is not None and answer.granted and not self._taking.leases.keeps(hold):
                self._taking.leases.release(hold)  # it was given up, perhaps before the claim had left
        elif answer is not None:
            del self._asked[hold]
            if asked.call is not None:
                self._taking.calls.cancel(asked.call)
            self._judged(hold, answer, is_last=False)
        elif asked.call is None:
            self._send(hold, asked)

    def _answered(self, hold: Hold, answer: "Future[Answer]") -> None:
        asked = self._asked.pop(hold, None)
        if asked is None:
            return  # it was given up
        try:
            answered = expected(asked.claim, answer.result())
        except SchedyError as error:
            self._taking.leases.release(hold)
            self._user.claim_failed(error)
            self._hand_out(hold, None)
            return
        was_sent_once = asked.call is not None and asked.call.times_sent == 1 and not asked.left_with_end
        self._judged(hold, answered, is_last=was_sent_once)

    def _judged(self, hold: Hold, answer: ClaimAnswer, *, is_last: bool) -> None:
        """Take an answer to a claim. Not `is_last`: it was sent several times, and may be granted after a denial."""
        if not answer.granted or answer.job is None:
            if not is_last:
                self._taking.leases.release(hold)
            hold.ack_ticket()
            self._user.denied()
            self._hand_out(hold, None)
            return
        self.wait_id = uuid.uuid4().hex  # the thread waits no longer
        hold.lease_seconds = answer.lease_seconds
        self._taking.leases.hold(hold)
        if hold.ticket is not None and not hold.ticket.is_over:
            hold.ticket.after(self._taking.settings.ticket_hold_seconds, partial(self._runs_long, hold.ticket))
        self._hand_out(hold, Granted(answer.job, hold))

    def _hand_out(self, hold: Hold, granted: Granted | None) -> None:
        """Hand out a job that is granted once those claimed before it are; None: it is not ours."""
        with self._lock:
            if hold not in self._in_order:
                return
            if granted is None:
                del self._in_order[hold]
            else:
                self._in_order[hold] = granted
            ready: list[Granted] = []
            while self._in_order:
                first, granted = next(iter(self._in_order.items()))
                if granted is None:
                    break
                del self._in_order[first]
                ready.append(granted)
        for each in ready:
            self._user.granted(each)

    def _runs_long(self, ticket: Ticket) -> None:
        """Let go of the ticket of a job that runs for long, so that no timeout of the broker matters."""
        self._user.runs_long()
        ticket.ack()
