"""RabbitMQ as these pages see it: its version, and what waits in Schedy's queues."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from schedy.errors import BrokerError
from schedy.settings import Settings
from schedy.wire import names
from schedy_broker_setup.connecting import open_connection, version_of
from schedy_broker_setup.inspection import Presence, queue_state

_KEPT_SECONDS = 5.0
_WATCHED_SECONDS = 15.0
"""Each look is a connection, of which RabbitMQ writes lines in its log."""


@dataclass(frozen=True)
class BrokerState:
    """What a look at the broker found; None is not known. `problem` says why it could not be asked."""

    version: str = ""
    reports_waiting: int | None = None
    services: int | None = None
    """Results services that take reports."""
    dead_letters: int | None = None
    problem: str = ""

    @property
    def told(self) -> tuple[str, int]:
        """Return what the pulse tells of it."""
        return self.problem, self.dead_letters or 0


_UNSEEN = BrokerState()


class BrokerLook:
    """Looks at the broker, over a connection of its own for each look. Any thread may use it."""

    def __init__(self, settings: Settings, changed: Callable[[], None]) -> None:
        """`changed` is called when there is another problem than before: the store does not tell of it."""
        self._settings = settings
        self._changed = changed
        self._lock, self._watch_lock = threading.Lock(), threading.Lock()
        self._state: BrokerState | None = None
        self._looked_at = -_WATCHED_SECONDS
        self._watcher: threading.Thread | None = None

    def state(self) -> BrokerState:
        """Return what is there, five seconds old at most."""
        with self._lock:
            if self._state is None or time.monotonic() - self._looked_at >= _KEPT_SECONDS:
                before, self._state = self._state or _UNSEEN, self._look()
                self._looked_at = time.monotonic()
                if self._state.told != before.told:
                    self._changed()
            return self._state

    def watched(self) -> BrokerState | None:
        """Return what was seen last, without waiting: None before the first look.

        What was seen more than 15 seconds ago is looked at again in the background, for who asks next.
        """
        with self._watch_lock:
            is_old = time.monotonic() - self._looked_at >= _WATCHED_SECONDS
            if is_old and (self._watcher is None or not self._watcher.is_alive()):
                self._watcher = threading.Thread(target=self.state, name="schedy-broker-look", daemon=True)
                self._watcher.start()
        return self._state

    def forget(self) -> None:
        """Look again when asked next: something was changed."""
        self._looked_at = -_WATCHED_SECONDS

    def _look(self) -> BrokerState:
        settings = self._settings
        try:
            with open_connection(settings.broker_url, purpose="pages", tls=settings.broker_tls) as connection:
                reports = queue_state(connection, names.REPORTS_QUEUE)
                dead = queue_state(connection, names.DEAD_QUEUE)
                return BrokerState(
                    version=version_of(connection),
                    reports_waiting=reports.messages if reports.presence is Presence.THERE else None,
                    services=reports.consumers if reports.presence is Presence.THERE else None,
                    dead_letters=dead.messages if dead.presence is Presence.THERE else None,
                    problem="Schedy's queues are missing: `schedy broker setup`."
                    if Presence.MISSING in (reports.presence, dead.presence)
                    else "",
                )
        except BrokerError as error:
            return BrokerState(problem=str(error))
