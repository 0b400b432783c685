"""Jobs given back by finalisers; no broker is needed for that."""

from collections.abc import Callable
from typing import Any

from schedy.wire.reports import Release
from schedy.worker.holds import Hold
from schedy.worker.leases import Leases
from schedy.worker.worker_name import this_worker


class SlowConnection:
    """Calls over a connection whose I/O thread comes to nothing before the test wants it."""

    def __init__(self) -> None:
        self.later: list[Callable[[], None]] = []
        self.sent: list[Any] = []

    @property
    def connection(self) -> "SlowConnection":
        return self

    def listen(self, **_listeners: object) -> None:
        pass

    def run(self, action: Callable[[], None]) -> None:
        self.later.append(action)

    def call(self, message: Any, **_how: object) -> None:
        self.sent.append(message)

    @property
    def released(self) -> list[str]:
        return [message.job_id for message in self.sent if isinstance(message, Release)]


def test_a_dropped_job_is_given_back_at_the_close_if_not_before() -> None:
    calls = SlowConnection()
    leases = Leases(calls, this_worker(), lease_seconds=30.0)  # type: ignore[arg-type]
    holds = [Hold("a" * 32, f"job00{number}", str(number) * 32, 30.0) for number in range(3)]
    for hold in holds:
        leases.hold(hold)
    leases.release_soon(holds[0])
    calls.later.pop()()
    assert calls.released == ["job000"]
    leases.release_soon(holds[1])
    leases.release_all()
    assert calls.released == ["job000", "job001", "job002"]
    calls.later.pop()()
    assert calls.released == ["job000", "job001", "job002"]
