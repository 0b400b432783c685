"""A message under way to the results service."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from schedy.amqp.channel import Outgoing
from schedy.amqp.connection import Timer
from schedy.amqp.errors import MISSING_REMEDY, MessageSizeError
from schedy.errors import BrokerError, PermissionDeniedError, SchedyError, TopologyMissingError
from schedy.wire.base import Answer
from schedy.worker.awaited import Awaited

_TOPOLOGY_SECONDS = 3.0
TOPOLOGY_PAUSE_SECONDS = 0.3
"""Time between two attempts to send something for which exchanges or queues are missing."""
_MOST_REFUSALS = 10


@dataclass(slots=True, eq=False)
class Call:
    """A message under way. `stored` is done when the broker has it, `answer` when the service has answered.

    Any thread may wait for the two; all else is read and written in the I/O thread once the call was made.
    """

    outgoing: Outgoing
    wants_answer: bool
    resend_seconds: float | None
    stored: Awaited[None] = field(default_factory=Awaited)
    answer: Awaited[Answer] = field(default_factory=Awaited)
    timer: Timer | None = None
    times_sent: int = 0
    on_silence: Callable[[], None] | None = None
    """What is called whenever no answer has come for `resend_seconds`."""
    is_report: bool = False
    """True for a report: it waits for exchanges and queues, is never thrown away, and may leave with others."""
    refusals: int = 0
    """Number of channels that the broker closed for a reason of its own while this was not confirmed."""
    patience_seconds: float | None = None
    """Time from `made_at` for which the caller waits for the service, which makes what is missing; None: unknown."""
    made_at: float = field(default_factory=time.monotonic)
    missed_since: float | None = None
    """Time at which exchanges and queues were first found missing, by `time.monotonic`."""

    @property
    def id(self) -> str:
        return self.outgoing.correlation_id

    @property
    def is_stored(self) -> bool:
        """True if the broker has it."""
        return self.stored.done() and self.stored.exception() is None

    def missing_error(self) -> TopologyMissingError | None:
        """Return the error of a call that found its exchange or queue missing, and was not stored since."""
        return None if self.missed_since is None or self.is_stored else queues_missing()

    def may_wait(self) -> bool:
        """Return True if missing exchanges and queues may still appear, because they are being made."""
        now = time.monotonic()
        self.missed_since = self.missed_since or now
        if self.patience_seconds is None:
            return self.is_report or now < self.missed_since + _TOPOLOGY_SECONDS
        return now + TOPOLOGY_PAUSE_SECONDS < self.made_at + self.patience_seconds

    def would_fail_again(self, error: BrokerError) -> bool:
        """Return True if sending the call again would end with the same error."""
        if isinstance(error, TopologyMissingError):
            return not self.may_wait()
        if isinstance(error, PermissionDeniedError | MessageSizeError):
            return True
        self.refusals += 1
        return self.refusals >= _MOST_REFUSALS

    def fail(self, error: SchedyError) -> None:
        for future in (self.stored, self.answer):
            if not future.done():
                future.set_exception(error)


def queues_missing() -> TopologyMissingError:
    """Return the error that says so, with what to do."""
    return TopologyMissingError("Schedy's queues are missing on the broker.", remedy=MISSING_REMEDY)
