"""The jobs this process holds, and the heartbeats that keep their leases.

One heartbeat names all jobs held; it is sent every third of a lease, at most one is unanswered at a time, and one goes
out at once after a reconnect. Its answer tells which jobs are lost to us, and which are to stop. A process that asks
for jobs sends them also while it has none, so that `schedy workers` shows it.
"""

import itertools
import logging
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from schedy.amqp.connection import Timer
from schedy.wire.answers import HeartbeatAnswer, JobNotice
from schedy.wire.base import Answer, Worker, WorkerState
from schedy.wire.records import Point
from schedy.wire.reports import Heartbeat, HeldJob, Release
from schedy.worker.calls import Call, Client
from schedy.worker.tickets import HeldTicket

_log = logging.getLogger(__name__)

_BEATS_PER_LEASE = 3


@dataclass(slots=True, eq=False)
class Hold:
    """A job held by this process under a token."""

    experiment_uid: str
    job_id: str
    token: str
    lease_seconds: float
    ticket: HeldTicket | None = None
    lost: str | None = None
    """Why the job is no longer ours, once the service has said so."""
    stop: str | None = None
    """Why the job is to end now, once the service has said so."""
    finishing: bool = False
    """Whether its end was reported; the report will get there by itself."""
    prune: bool = False
    """Whether the pruner would end the job, as the service said last."""
    points: list[Point] = field(default_factory=list)
    """Of the learning curve, not sent yet."""
    curve_due: float = 0.0
    """When points go out again even if the answer to the last ones has not come."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held from the numbering of a report until it is on its way. Finalisers do not take it."""
    begun: float = field(default_factory=time.monotonic)
    _sequence: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def next_sequence(self) -> int:
        """Number the next report of this token. Takes no lock: finalisers call it."""
        return next(self._sequence)

    def naming(self) -> dict[str, Any]:
        """Return the fields of a report that say whose it is, and its number."""
        return {
            "experiment_uid": self.experiment_uid,
            "job_id": self.job_id,
            "token": self.token,
            "sequence": self.next_sequence(),
        }

    def take_points(self) -> list[Point]:
        """Return the points that were not sent yet, which from now on are the caller's to send."""
        points, self.points = self.points, []
        return points

    def settle(self) -> None:
        """Acknowledge the ticket, if there is one."""
        if self.ticket is not None:
            self.ticket.ack()


class LeaseKeeper:
    """Sends the heartbeats. `hold`, `forget` and `release_all` from any thread."""

    def __init__(self, client: Client, worker: Worker, *, lease_seconds: float) -> None:
        """`lease_seconds` is what a worker without a job goes by; the service tells the lease with each claim."""
        self._client = client
        self._worker = worker
        self._lease_seconds = lease_seconds
        self._works = False
        self._state: WorkerState = "alive"
        self._detail = ""
        self._holds: dict[str, Hold] = {}
        self._timer: Timer | None = None
        self._unanswered: Call | None = None
        self._unanswered_beats = 0

    def works(self) -> None:
        """This process asks for jobs: show it among the workers."""
        if not self._works:
            self._works = True
            self._client.connection.run(self._on_timer)

    def say(self, state: WorkerState, detail: str) -> None:
        """Show this process in another state."""
        self._state, self._detail = state, detail
        self._client.connection.run(self._beat_anew)

    def leave(self) -> None:
        """Show that this process has ended; does not wait."""
        if self._works:
            self._works = False
            ended = Heartbeat(worker=self._worker, state="ended", held=[])
            self._client.call(ended, wants_answer=False)

    def hold(self, hold: Hold) -> None:
        """Keep the lease of a job from now on."""
        self._works = True
        self._holds[hold.token] = hold
        self._client.connection.run(lambda: self._go_by(hold.lease_seconds))

    def keeps(self, hold: Hold) -> bool:
        """Whether the job is still ours as far as we know."""
        return hold.token in self._holds

    def forget(self, hold: Hold) -> None:
        """The job is over for us."""
        self._holds.pop(hold.token, None)

    def release(self, hold: Hold) -> Call:
        """Give a job back unfinished; does not wait."""
        self.forget(hold)
        message = Release(**hold.naming())
        call = self._client.call(message, wants_answer=False)
        hold.settle()
        return call

    def release_sometime(self, hold: Hold) -> None:
        """Give a job back within a second; for finalisers."""
        self.forget(hold)
        self._client.connection.run_sometime(lambda: self._release(hold))

    def _release(self, hold: Hold) -> None:
        self.release(hold)

    def release_all(self) -> None:
        """Give back everything; does not wait."""
        for hold in list(self._holds.values()):
            self.release(hold)

    # The rest runs in the I/O thread.

    def connected(self) -> None:
        self._beat_anew()

    def _go_by(self, lease_seconds: float) -> None:
        """Beat often enough for the lease that the service has told; only another lease moves the next beat."""
        if lease_seconds != self._lease_seconds and self._timer is not None:
            self._client.connection.cancel_timer(self._timer)
            self._timer = None
        self._lease_seconds = lease_seconds
        self._schedule()

    def _schedule(self) -> None:
        if self._timer is None and self._works:
            self._timer = self._client.connection.later(self._lease_seconds / _BEATS_PER_LEASE, self._on_timer)

    def _on_timer(self) -> None:
        if self._timer is not None:
            self._client.connection.cancel_timer(self._timer)
            self._timer = None
        self._beat()
        self._schedule()

    def _beat_anew(self) -> None:
        """Beat at once, whatever is unanswered."""
        if self._unanswered is not None:
            self._client.cancel(self._unanswered)
            self._unanswered = None
        self._beat()

    def _beat(self) -> None:
        held = [
            HeldJob(experiment_uid=hold.experiment_uid, job_id=hold.job_id, token=hold.token)
            for hold in list(self._holds.values())
            if hold.lost is None
        ]
        if not self._works or self._waits_for_answer():
            return
        beat = Heartbeat(worker=self._worker, state=self._state, detail=self._detail, held=held)
        self._unanswered = self._client.call(beat)
        self._unanswered_beats = 0
        self._unanswered.answer.add_done_callback(self._answered)

    def _waits_for_answer(self) -> bool:
        """Whether a heartbeat is unanswered; one whose answer got lost is given up after a lease."""
        if self._unanswered is None:
            return False
        self._unanswered_beats += 1
        if self._unanswered_beats <= _BEATS_PER_LEASE or not self._unanswered.stored.done():
            return True
        self._client.cancel(self._unanswered)
        return False

    def _answered(self, answer: "Future[Answer]") -> None:
        self._unanswered = None
        error = answer.exception()
        if error is not None:
            if self._works:  # else it is only that we leave before the answer
                _log.warning("A heartbeat failed: %s", error)
            return
        result = answer.result()
        if isinstance(result, HeartbeatAnswer):
            for notice in result.lost:
                self._lost(notice)
            for notice in result.stopped:
                self._stopped(notice)

    def _lost(self, notice: JobNotice) -> None:
        hold = self._holds.get(notice.token)
        if hold is not None and hold.lost is None:
            hold.lost = notice.reason
            hold.settle()
            _log.warning("Job %s is no longer ours: %s", hold.job_id, notice.reason)

    def _stopped(self, notice: JobNotice) -> None:
        hold = self._holds.get(notice.token)
        if hold is not None and hold.stop is None:
            hold.stop = notice.reason
            _log.warning("Job %s is to stop: %s", hold.job_id, notice.reason)
