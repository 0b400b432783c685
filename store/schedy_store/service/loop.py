"""The results service: the one writer of the store.

It takes what has arrived, applies it in order in one transaction, commits, publishes tickets and answers, and
acknowledges last. A crash anywhere in between is repaired by redelivery, because applying is idempotent. While the
database is away it holds no deliveries. Of several instances the broker makes one active; each transaction checks
in the store that no other has taken over since.
"""

import logging
import os
import socket
import time
from collections.abc import Sequence

from schedy.errors import SchedyError, TopologyMissingError
from schedy.settings import Settings
from schedy.wire import names
from schedy_store.lifecycle.tickets import TicketDispatcher
from schedy_store.schema.engine import Store
from schedy_store.service.after_commit import AfterCommit
from schedy_store.service.applying import Applier
from schedy_store.service.batch import BatchHandler
from schedy_store.service.broker.link import Link
from schedy_store.service.chores import Chores
from schedy_store.service.epoch import DeposedError
from schedy_store.service.home import Broker, Home
from schedy_store.service.inbox import Arrivals
from schedy_store.service.reader import Reader
from schedy_store.service.searches.searches import Searches
from schedy_store.service.statistics import Statistics
from schedy_store.service.timers import Timers

_log = logging.getLogger(__name__)

_IDLE_SECONDS = 0.5
_SLICE_SECONDS = 0.1
_FIRST_PAUSE_SECONDS = 0.2
_DEPOSED_SECONDS = 0.5
_REPAIR_PAUSE_SECONDS = 5.0
_REPAIRED_OFTEN_SECONDS = 30.0
"""Time after a repair of the broker within which the next one waits."""
_BATCH_BYTES = 16_000_000


class ResultsService:
    """One instance. `run` blocks until `stop`.

    The broker is prepared before each subscription.

    Lives in the thread that calls `run`, the service thread; `stop` may be called from any.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        *,
        broker: Broker,
        migrate_older: bool = False,
    ) -> None:
        self._settings = settings
        self._store = store
        self._broker = broker
        self._home = Home(store, broker)
        self._migrate_older = migrate_older
        self._instance = f"{socket.gethostname()}:{os.getpid()}"
        self._stopping = False
        self._tickets = TicketDispatcher(settings.ticket_window, settings.lease_seconds)
        self._searches = Searches(store.url, patience_seconds=settings.search_seconds)
        self._chores = Chores(settings)
        self._timers = Timers(settings, self._tickets, self._chores)
        self._was_connected = False
        self._missing: TopologyMissingError | None = None
        """What was found missing on the broker while serving."""
        self._repaired_at = 0.0
        self._complaint = ""

    def stop(self) -> None:
        """End `run` after the batch in hand, within a second; from any thread or a signal handler: takes no lock."""
        self._stopping = True

    def run(self) -> None:
        """Serve until `stop`. Broker and database may come and go meanwhile."""
        pause = _FIRST_PAUSE_SECONDS
        while not self._stopping:
            try:
                self._store.migrate(from_older=self._migrate_older)
                changes = self._prepare()
                lost_reports = any(names.REPORTS_QUEUE in change for change in changes)
                self._serve(self._home.settle(lost_reports=lost_reports))
                if self._missing is not None:
                    is_rare = time.monotonic() - self._repaired_at > _REPAIRED_OFTEN_SECONDS
                    self._pause(_FIRST_PAUSE_SECONDS if is_rare else _REPAIR_PAUSE_SECONDS)
            except DeposedError as error:
                if error.was_active:
                    _log.warning("Another instance of the results service has taken over; this one stands by.")
                self._pause(_DEPOSED_SECONDS)
            except SchedyError as error:
                self._complain(str(error))
                pause = _FIRST_PAUSE_SECONDS if self._was_connected else pause
                self._was_connected = False
                self._pause(pause)
                pause = min(pause * 2, self._settings.reconnect_max_seconds)
        _log.info("The results service has stopped; what it had not handled is back in the queue.")

    def _prepare(self) -> Sequence[str]:
        """Declare what is missing on the broker, and say so; return the changes."""
        changes = self._broker.prepare()
        if self._missing is not None:
            _log.warning("%s It was declared again%s.", self._missing.what, _listed(changes))
            self._missing = None
            self._repaired_at = time.monotonic()
        elif changes:
            _log.info("Prepared the broker%s.", _listed(changes))
        return changes

    def _pause(self, seconds: float) -> None:
        """Sleep in slices, so that `stop` is seen."""
        deadline = time.monotonic() + seconds
        while not self._stopping and time.monotonic() < deadline:
            time.sleep(_SLICE_SECONDS)

    def _complain(self, text: str) -> None:
        """Log what is wrong once, not with every attempt."""
        if text != self._complaint:
            _log.error("%s Trying again until it works.", text)
            self._complaint = text

    def _stop_complaining(self) -> None:
        if self._complaint:
            _log.info("Everything works again.")
            self._complaint = ""

    def _serve(self, broker_id: str) -> None:
        """Serve over one link, until `stop`, or until something of Schedy is missing on the broker.

        Raises StoreError when the database is away, DeposedError when superseded.
        """
        self._was_connected = False
        reader = Reader(self._store.url)
        statistics = Statistics(self._store)
        link = Link(self._settings, instance=self._instance, on_request=reader.requests.put)
        applier = self._applier(link, broker_id)
        batches = BatchHandler(link, applier, AfterCommit(link, self._searches))
        connection = 0
        link.start()
        reader.start(link)
        statistics.start()
        try:
            while not self._stopping:
                arrivals = link.take(
                    wait_seconds=self._chores.seconds_to_next(_IDLE_SECONDS),
                    most=self._settings.batch_messages,
                    most_bytes=_BATCH_BYTES,
                )
                if isinstance(arrivals.error, TopologyMissingError):
                    self._missing = arrivals.error
                    return
                if arrivals.error is not None:
                    self._complain(str(arrivals.error))
                if arrivals.connection != connection:
                    connection = arrivals.connection
                    self._subscribe(link, applier, arrivals)
                if arrivals.deliveries or (arrivals.has_outcomes and applier.is_active):
                    batches.handle(arrivals)
                    self._stop_complaining()
                if applier.is_active:
                    self._chores.work(applier.transaction, is_busy=bool(arrivals.deliveries))
            applier.leave()
        finally:
            self._searches.end()
            link.end()
            reader.end()
            statistics.end()

    def _applier(self, link: Link, broker_id: str) -> Applier:
        return Applier(
            self._settings,
            self._store,
            link,
            instance=self._instance,
            broker_id=broker_id,
            tickets=self._tickets,
            searches=self._searches,
            timers=self._timers,
        )

    def _subscribe(self, link: Link, applier: Applier, arrivals: Arrivals) -> None:
        """Ask for the reports over a new connection, once the epoch was read."""
        applier.look()
        self._was_connected = self._was_connected or arrivals.error is None
        link.subscribe(arrivals.connection)


def _listed(changes: Sequence[str]) -> str:
    return f": {', '.join(changes)}" if changes else ""
