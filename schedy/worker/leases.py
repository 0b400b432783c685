"""The leases of the jobs that this process holds."""

import contextlib
from collections import deque

from schedy.wire.base import Worker, WorkerState
from schedy.wire.reports import Heartbeat, Release
from schedy.worker.call import Call
from schedy.worker.calls import Calls
from schedy.worker.heartbeats import Heartbeats
from schedy.worker.holds import Hold, Presence


class Leases:
    """Keeps leases, by heartbeats, and gives jobs back. Any thread may use it."""

    def __init__(self, calls: Calls, worker: Worker, *, lease_seconds: float) -> None:
        """`lease_seconds` sets the pace of a worker without a job."""
        self._calls = calls
        self._connection = calls.connection
        self._presence = Presence(worker)
        self._heartbeats = Heartbeats(calls, self._presence, lease_seconds=lease_seconds)
        self._dropped: deque[Hold] = deque()
        """Jobs to give back, from finalisers, which may take no lock."""
        calls.listen(on_ready=self._heartbeats.connected)

    def join(self) -> None:
        """Show this process among the workers: it asks for jobs."""
        if not self._presence.works:
            self._presence.works = True
            self._connection.run(self._heartbeats.start)

    def show(self, state: WorkerState, detail: str) -> None:
        """Show this process in another state."""
        self._presence.state, self._presence.detail = state, detail
        self._connection.run(self._heartbeats.beat_now)

    def leave(self) -> None:
        """Show that this process has ended; does not wait."""
        if self._presence.works:
            self._presence.works = False
            self._calls.call(Heartbeat(worker=self._presence.worker, state="ended", held=[]), wants_answer=False)

    def hold(self, hold: Hold) -> None:
        """Keep the lease of a job from now on."""
        self._presence.works = True
        self._presence.holds[hold.token] = hold
        self._connection.run(lambda: self._heartbeats.keep(hold.lease_seconds))

    def keeps(self, hold: Hold) -> bool:
        """Return True if the job is still ours as far as we know."""
        return hold.token in self._presence.holds

    def forget(self, hold: Hold) -> None:
        """Keep the lease of a job no longer."""
        self._presence.holds.pop(hold.token, None)

    def drop(self, hold: Hold) -> None:
        """Let go of a job that was lost or deleted, and acknowledge its ticket."""
        self.forget(hold)
        hold.ack_ticket()

    def release(self, hold: Hold) -> Call:
        """Give a job back unfinished; does not wait."""
        self.forget(hold)
        release = Release(**hold.report_fields(), begun=hold.begun_at is not None)
        call = self._calls.call(release, wants_answer=False)
        hold.ack_ticket()
        return call

    def release_soon(self, hold: Hold) -> None:
        """Give a job back soon, or when the connection is closed before; also from finalisers, which take no lock."""
        self.forget(hold)
        self._dropped.append(hold)
        self._connection.run(self._release_dropped)

    def _release_dropped(self) -> None:
        with contextlib.suppress(IndexError):  # the deque is emptied by two threads when a connection is closed
            while True:
                self.release(self._dropped.popleft())

    def release_all(self) -> None:
        """Give back everything; does not wait."""
        self._release_dropped()
        for hold in list(self._presence.holds.values()):
            self.release(hold)
