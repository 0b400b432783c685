"""The jobs that this process holds, and what its heartbeats say."""

import itertools
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol

from schedy.errors import UnsafeUpdateError
from schedy.wire.base import MOST_IN_A_MESSAGE, Answer, Worker, WorkerState, as_line
from schedy.wire.output import Tail
from schedy.wire.records import MOST_POINTS, Point
from schedy.wire.reports import Claim, Heartbeat, HeldJob
from schedy.worker.tickets import Ticket

LARGEST_PART_BYTES = 65_536
"""Size of the points in one message, about: brokers limit the sizes of messages, and the service reads them in turn."""
_BYTES_OF_A_VALUE = 28
"""The JSON text of a number with the quotes around its name, at most."""


def size_of(point: Point) -> int:
    """Return the size of a point's JSON text, or a little more."""
    return 2 * _BYTES_OF_A_VALUE + sum(len(name.encode()) + _BYTES_OF_A_VALUE for name in point.values)


@dataclass(frozen=True, slots=True)
class NextClaim:
    """A claim of the next job that leaves with the end of the one before; `on_answer` gets the answer to that."""

    claim: Claim
    on_answer: "Callable[[Future[Answer]], None]"


class NextClaims(Protocol):
    """What makes such claims."""

    @property
    def has_several(self) -> bool:
        """True if the next job need not wait until the broker has the end of the one before."""

    def claim_next(self, ended: "Hold") -> NextClaim | None:
        """Return the claim that leaves with the end of a job, if there is one. In the thread of the job."""


@dataclass(slots=True, eq=False)
class Hold:
    """A job held by this process under a token.

    The job's thread and the I/O thread share it: answers of the service set `lost`, `stop`, `prune` and `curve_due`
    in the I/O thread; `lock` guards points, output and the order of reports; the rest is the job's thread's.
    """

    experiment_uid: str
    job_id: str
    token: str
    lease_seconds: float = 0.0
    ticket: Ticket | None = None
    lost: str | None = None
    """The service's reason why the job is no longer ours."""
    stop: str | None = None
    """The service's reason why the job must end now."""
    finishing: bool = False
    """True once its end was reported; the report will arrive by itself."""
    prune: bool = False
    """True once the pruner has said to end the job: it judges each step once."""
    points: list[Point] = field(default_factory=list)
    """Points of the learning curve that were not sent yet; `add_point` and `take_points` change them."""
    points_bytes: int = 0
    curve_due: float = 0.0
    """Time at which points go out even if the answer to the last ones has not come, by `time.monotonic`."""
    output: Tail | None = None
    """Output that was not sent yet."""
    output_path: str | None = None
    output_under_way: bool = False
    """True while the broker has not confirmed an output, and for a while afterwards."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held from the numbering of a report until it is on its way. Finalisers do not take it."""
    next_claims: "NextClaims | None" = None
    """What may claim the next job with the end of this one, in a loop."""
    begun_at: float | None = None
    """Time at which the job was handed to the user's code, by `time.monotonic`; None while it is claimed, no more."""
    _sequence: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def begin(self) -> None:
        """Note that the user's code has the job."""
        self.begun_at = time.monotonic()

    def report_fields(self) -> dict[str, Any]:
        """Return the fields that every report of the job has: which job, the token, and the report's number.

        Takes no lock: finalisers call it.
        """
        return {
            "experiment_uid": self.experiment_uid,
            "job_id": self.job_id,
            "token": self.token,
            "sequence": next(self._sequence),
        }

    def add_point(self, point: Point) -> bool:
        """Add a point to send; return True if there are as many as go into one message."""
        self.points.append(point)
        self.points_bytes += size_of(point)
        return self.has_many_points

    @property
    def has_many_points(self) -> bool:
        """True if more points wait than go into a report beside results."""
        return self.points_bytes >= LARGEST_PART_BYTES or len(self.points) >= MOST_POINTS

    def put_back(self, points: list[Point]) -> None:
        """Keep points that could not be sent, before those added since."""
        self.points[:0] = points
        self.points_bytes += sum(map(size_of, points))

    def take_points(self) -> list[Point]:
        """Return the first of the points that were not sent yet, as many as go into one message, to be sent."""
        taken = room = 0
        while taken < min(len(self.points), MOST_POINTS) and room < LARGEST_PART_BYTES:
            room += size_of(self.points[taken])
            taken += 1
        part, self.points = self.points[:taken], self.points[taken:]
        self.points_bytes -= room
        return part

    def ack_ticket(self) -> None:
        """Acknowledge the ticket, if there is one."""
        if self.ticket is not None:
            self.ticket.ack()

    def check_not_lost(self) -> None:
        """Raise UnsafeUpdateError if the job is no longer ours."""
        if self.lost is not None:
            raise UnsafeUpdateError(
                f"Job {self.job_id} is no longer this worker's: {self.lost} Nothing of this report was stored."
                " Drop what you have and take the next job."
            )


@dataclass(slots=True, eq=False)
class Presence:
    """The content of heartbeats: this process and its jobs. Any thread changes it, the I/O thread reads it."""

    worker: Worker
    works: bool = False
    """True once it asks for jobs, or has one; other processes send no heartbeats."""
    state: WorkerState = "alive"
    detail: str = ""
    holds: dict[str, Hold] = field(default_factory=dict)
    """By token."""

    def heartbeats(self) -> list[Heartbeat]:
        """Return the heartbeats that name all jobs held and not lost: one, or several for very many jobs."""
        held = [
            HeldJob(experiment_uid=hold.experiment_uid, job_id=hold.job_id, token=hold.token)
            for hold in list(self.holds.values())
            if hold.lost is None
        ]
        detail = as_line(self.detail)
        return [
            Heartbeat(worker=self.worker, state=self.state, detail=detail, held=held[start : start + MOST_IN_A_MESSAGE])
            for start in range(0, max(1, len(held)), MOST_IN_A_MESSAGE)
        ]
