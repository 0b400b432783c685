"""The results service: the one writer of the store.

It takes what has arrived, applies it in order in one transaction, commits, publishes tickets and answers, and
acknowledges last. A crash anywhere in between is repaired by redelivery, because applying is idempotent. While the
database is away it holds no deliveries. Of several instances the broker makes one active; each transaction checks
in the store that no other has taken over since.
"""

import base64
import logging
import os
import queue
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import select, update

from schedy.amqp.channel import Incoming
from schedy.errors import BrokerError, SchedyError, StoreError
from schedy.settings import Settings
from schedy.wire import names
from schedy.wire.answers import Refusal, ReportAnswer
from schedy.wire.base import Sendable
from schedy.wire.changes import Change
from schedy.wire.codec import UndecodableError, decode, routing_key
from schedy.wire.reports import Report
from schedy.wire.requests import Request
from schedy.wire.service import Replay, Tick
from schedy_store.lifecycle.changes import Changes
from schedy_store.lifecycle.effects import Effects
from schedy_store.lifecycle.journal import Journal
from schedy_store.lifecycle.reports import Reports
from schedy_store.lifecycle.tickets import TicketDispatcher, WantedTicket
from schedy_store.lifecycle.workers import Workers
from schedy_store.reads import answer_request
from schedy_store.schema.engine import Store, Transaction, is_fault_of_data
from schedy_store.schema.tables import Service as ServiceRow
from schedy_store.service.link import Arrivals, Link
from schedy_store.service.searches.searches import Searches

_log = logging.getLogger(__name__)

_IDLE_SECONDS = 0.5
_SLICE_SECONDS = 0.1
_FIRST_PAUSE_SECONDS = 0.2
_DEPOSED_SECONDS = 0.5
_TICK_GAP_SECONDS = 5.0
_BATCH_BYTES = 16_000_000
_LEASES_JUDGED = 1000
_DEAD_LETTER_SECONDS = 10.0
_HOUSEKEEPING_SECONDS = 3600.0
_REPLAY_KEY = names.SERVICE_KEY_PREFIX + "replay"
_EPOCH = select(ServiceRow.epoch).with_for_update()


class DeposedError(Exception):
    """Another instance has taken over."""


class BatchError(Exception):
    """A batch failed on data; its messages are to be applied one by one."""


@dataclass(slots=True)
class _Applied:
    """What a committed batch leaves to do."""

    outcomes: list[tuple[Incoming | None, Effects]] = field(default_factory=list)
    tickets: list[WantedTicket] = field(default_factory=list)
    awaited: dict[int, set[int]] = field(default_factory=dict)
    """Of an outcome, by its place: the jobs whose tickets its answer waits for."""


class ResultsService:
    """One instance. `run` blocks until `stop`; `prepare_broker` is called before each subscription."""

    def __init__(
        self, settings: Settings, store: Store, *, prepare_broker: Callable[[], object], migrate_older: bool = False
    ) -> None:
        self._settings = settings
        self._store = store
        self._prepare_broker = prepare_broker
        self._migrate_older = migrate_older
        self._instance = f"{socket.gethostname()}:{os.getpid()}"
        self._stopping = False
        self._reads: queue.SimpleQueue[Incoming | None] = queue.SimpleQueue()
        self._office = TicketDispatcher(settings.ticket_window, settings.lease_seconds)
        self._searches = Searches(store.url, patience_seconds=settings.search_seconds)
        self._epoch: int | None = None
        self._epoch_before = 0
        self._connection = 0
        self._was_connected = False
        self._last_tick: tuple[float, datetime] | None = None
        self._next_look = 0.0
        self._next_housekeeping = 0.0
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
                self._prepare_broker()
                self._serve()
            except DeposedError:
                if self._epoch is not None:
                    _log.warning("Another instance of the results service has taken over; this one stands by.")
                self._pause(_DEPOSED_SECONDS)
            except SchedyError as error:
                self._complain(str(error))
                pause = _FIRST_PAUSE_SECONDS if self._was_connected else pause
                self._was_connected = False
                self._pause(pause)
                pause = min(pause * 2, self._settings.reconnect_max_seconds)
        _log.info("The results service has stopped; what it had not handled is back in the queue.")

    def _pause(self, seconds: float) -> None:
        """Sleep in slices, so that `stop` is seen."""
        deadline = time.monotonic() + seconds
        while not self._stopping and time.monotonic() < deadline:
            time.sleep(_SLICE_SECONDS)

    def _complain(self, text: str) -> None:
        """Say what is wrong once, not with every attempt."""
        if text != self._complaint:
            _log.error("%s Trying again until it works.", text)
            self._complaint = text

    def _serve(self) -> None:
        """Serve over one link. Raises StoreError when the database is away, DeposedError when superseded."""
        self._epoch = None
        self._connection = 0
        self._was_connected = False
        self._reads = queue.SimpleQueue()
        readable = Store.open(self._store.url, read_only=True)
        link = Link(self._settings, instance=self._instance, on_read=self._reads.put)
        reader = threading.Thread(
            target=self._answer_reads, args=(readable, link, self._reads), name="schedy-reads", daemon=True
        )
        link.start()
        reader.start()
        try:
            while not self._stopping:
                arrivals = link.take(
                    wait_seconds=_IDLE_SECONDS, most=self._settings.batch_messages, most_bytes=_BATCH_BYTES
                )
                self._note_connection(link, arrivals)
                if self._has_work(arrivals):
                    self._handle(link, arrivals)
        finally:
            self._searches.end()
            link.end()
            self._reads.put(None)
            reader.join(5.0)
            readable.close()

    def _read_epoch(self) -> int:
        with self._store.transaction() as transaction:
            return transaction.sql.scalars(select(ServiceRow.epoch)).one()

    def _note_connection(self, link: Link, arrivals: Arrivals) -> None:
        """After a reconnect another instance may have been active: take a new epoch with the next delivery.

        The epoch is read before the subscription. Who takes over from an instance that holds a batch changes it, so
        that this batch cannot come after what its successor has applied.
        """
        if link.error is not None:
            self._complain(str(link.error))
        if arrivals.connection != self._connection:
            self._connection = arrivals.connection
            self._epoch = None
            self._epoch_before = self._read_epoch()
            self._was_connected = self._was_connected or link.error is None
            link.subscribe(arrivals.connection)

    def _has_work(self, arrivals: Arrivals) -> bool:
        if arrivals.deliveries:
            return True
        return self._epoch is not None and bool(
            arrivals.landed or arrivals.failed or arrivals.ready_counts or arrivals.remade or arrivals.answers
        )

    def _handle(self, link: Link, arrivals: Arrivals) -> None:
        decoded = self._decode(link, arrivals.deliveries)
        try:
            self._finish(link, self._apply(link, arrivals, decoded))
        except BatchError:
            self._apply_one_by_one(link, arrivals, decoded)
        if arrivals.deliveries:
            link.ack(arrivals.deliveries[-1])
        if self._complaint:
            _log.info("Everything works again.")
            self._complaint = ""

    def _decode(self, link: Link, deliveries: list[Incoming]) -> list[tuple[Incoming, Sendable]]:
        decoded: list[tuple[Incoming, Sendable]] = []
        for delivered in deliveries:
            incoming = delivered
            try:
                incoming = _unwrapped(delivered)
                decoded.append((incoming, _decoded(incoming)))
            except UndecodableError as error:
                self._bury(link, incoming, str(error))
        return decoded

    def _bury(self, link: Link, incoming: Incoming, reason: str) -> None:
        """Put a message among the dead letters and tell its sender. Raises BrokerError if the broker will not."""
        _log.error("A message (%s) goes to the dead letters: %s", incoming.routing_key, reason)
        try:
            link.publish_dead(incoming, reason).result(_DEAD_LETTER_SECONDS)
        except FutureTimeoutError:
            raise BrokerError("The broker does not take a dead letter.") from None
        link.reply(incoming, Refusal(code="invalid", reason=f"The results service cannot handle this: {reason}"))

    def _apply_one_by_one(self, link: Link, arrivals: Arrivals, decoded: list[tuple[Incoming, Sendable]]) -> None:
        """Find the culprit of a failed batch; the others are stored."""
        try:
            self._finish(link, self._apply(link, arrivals, []))
        except BatchError as error:
            raise StoreError(f"The results service cannot go on, and no message is at fault: {error}") from error
        nothing_else = Arrivals(connection=arrivals.connection)
        for pair in decoded:
            try:
                self._finish(link, self._apply(link, nothing_else, [pair]))
            except BatchError as error:
                self._bury(link, pair[0], str(error))

    def _apply(self, link: Link, arrivals: Arrivals, decoded: list[tuple[Incoming, Sendable]]) -> _Applied:
        """Apply messages in one transaction. Raises BatchError if one of them has data that cannot be stored."""
        applied = _Applied()
        before = self._epoch, self._last_tick
        try:
            with self._store.transaction() as transaction:
                self._check_epoch(link, transaction)
                self._apply_all(link, transaction, arrivals, decoded, applied)
        except (DeposedError, StoreError):
            raise
        except Exception as error:
            self._epoch, self._last_tick = before  # what was rolled back must not be remembered
            if not is_fault_of_data(error):
                raise
            _log.debug("A batch of %d failed", len(decoded), exc_info=True)
            self._office.not_published([wanted.key for wanted in applied.tickets])
            raise BatchError(f"{type(error).__name__}: {str(error).splitlines()[0][:500]}") from error
        if self._epoch != before[0]:
            _log.info("This instance (%s) is active, epoch %d.", self._instance, self._epoch)
        return applied

    def _apply_all(
        self,
        link: Link,
        transaction: Transaction,
        arrivals: Arrivals,
        decoded: list[tuple[Incoming, Sendable]],
        applied: _Applied,
    ) -> None:
        """What the broker and the search process have told, then messages in their order, then what follows from it."""
        self._office.returned(arrivals.failed)
        self._office.recreated(transaction, arrivals.remade)
        self._office.mark_dispatched(transaction, arrivals.landed)
        self._searches.note_tickets(self._office.experiments_of(arrivals.landed))
        self._office.note_queue_lengths(transaction, arrivals.ready_counts)
        applied.outcomes.append((None, self._searches.take(transaction, arrivals.answers)))
        for incoming, message in decoded:
            outcome = self._apply_message(link, transaction, message, incoming.user)
            applied.outcomes.append((incoming, outcome))
            self._searches.note(incoming, outcome)
            if outcome.claimed is not None:
                self._office.note_claim(*outcome.claimed, transaction.now)
        applied.outcomes.append((None, self._searches.look(transaction)))
        for _incoming, outcome in applied.outcomes:
            self._office.wanting |= outcome.tickets_wanted
        for place, (_incoming, outcome) in enumerate(applied.outcomes):
            applied.awaited[place] = self._office.awaited(transaction, outcome.tickets_awaited)
        self._office.confirmed(arrivals.landed)
        applied.tickets = self._office.choose(transaction)

    def _check_epoch(self, link: Link, transaction: Transaction) -> None:
        """Take a new epoch if we have none, else see that it is still ours. Locks the row until the commit."""
        if self._epoch is None:
            taken = transaction.sql.scalars(
                update(ServiceRow)
                .where(ServiceRow.epoch == self._epoch_before)
                .values(
                    epoch=ServiceRow.epoch + 1,
                    instance=self._instance,
                    active_since=transaction.now,
                    lease_seconds=self._settings.lease_seconds,
                )
                .returning(ServiceRow.epoch)
            ).one_or_none()
            if taken is None:
                raise DeposedError
            self._epoch = taken
            self._last_tick = None
            detail = f"The results service {self._instance} is active."
            Journal(transaction).record("service", detail, experiment_pk=None)
            self._office.reset(transaction)
            self._searches.reset(link.bring)
            link.open_queues(self._office.open_experiments(transaction))
        elif transaction.sql.scalar(_EPOCH) != self._epoch:
            raise DeposedError
        self._renew_after_gap(transaction)

    def _renew_after_gap(self, transaction: Transaction) -> None:
        """Leases are judged only while ticks have come regularly by our clock and the database's."""
        if self._last_tick is not None:
            seconds, database_time = self._last_tick
            passed = time.monotonic() - seconds
            drift = (transaction.now - database_time).total_seconds() - passed
            if passed < _TICK_GAP_SECONDS and abs(drift) < _TICK_GAP_SECONDS:
                return
        self._reports(transaction).renew_leases()
        self._last_tick = (time.monotonic(), transaction.now)

    def _reports(self, transaction: Transaction) -> Reports:
        return Reports(transaction, lease_seconds=self._settings.lease_seconds)

    def _changes(self, transaction: Transaction) -> Changes:
        settings = self._settings
        return Changes(transaction, lease_seconds=settings.lease_seconds, max_attempts=settings.max_attempts)

    def _apply_message(self, link: Link, transaction: Transaction, message: Sendable, user: str | None) -> Effects:
        if isinstance(message, Tick):
            return self._tick(link, transaction)
        if isinstance(message, Report):
            return self._reports(transaction).apply(message, user)
        if isinstance(message, Change):
            return self._changes(transaction).apply(message, user)
        if isinstance(message, Request):
            return Effects(answer_request(transaction, message))
        return Effects()  # a Replay: `_unwrapped` leaves none

    def _tick(self, link: Link, transaction: Transaction) -> Effects:
        """Run the timers: all that was reported before this tick has been applied."""
        self._last_tick = (time.monotonic(), transaction.now)
        reports = self._reports(transaction)
        outcome = reports.expire_leases(_LEASES_JUDGED)
        outcome.log += reports.stop_overdue(_LEASES_JUDGED).log
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + self._settings.lease_seconds
            self._office.reclaim_overtaken(transaction)
            link.count_ready(self._office.overdue_experiments(transaction))
        if time.monotonic() >= self._next_housekeeping:
            self._next_housekeeping = time.monotonic() + _HOUSEKEEPING_SECONDS
            self._changes(transaction).forget_old_answers()
            Workers(transaction).forget_old()
        return outcome

    def _finish(self, link: Link, applied: _Applied) -> None:
        """After the commit: queues, tickets and answers, in an order in which an answer is true when it arrives."""
        for place, (incoming, outcome) in enumerate(applied.outcomes):
            for line in outcome.log:
                _log.info("%s", line)
            awaited = applied.awaited.get(place, set())
            send = self._sending(link, incoming, outcome)
            last = len(outcome.queues) - 1
            for number, (change, experiment) in enumerate(outcome.queues):
                link.change_queue(change, experiment, send if number == last and not awaited else _nothing)
            if awaited:
                link.reply_after(awaited, send)
            elif not outcome.queues:
                send()
        self._searches.send(link.reply)
        link.publish_tickets(applied.tickets)

    def _sending(self, link: Link, incoming: Incoming | None, outcome: Effects) -> Callable[[], None]:
        """What sends the answer; that to a curve comes from the pruner, if there is one."""
        answer = outcome.answer
        if incoming is None or answer is None:
            return _nothing
        waits_for_pruner = (
            outcome.pruning is not None
            and isinstance(answer, ReportAnswer)
            and self._searches.ask_pruner(incoming, answer, outcome.pruning)
        )
        if waits_for_pruner:
            return _nothing
        return lambda: link.reply(incoming, answer)

    def _answer_reads(self, store: Store, link: Link, reads: "queue.SimpleQueue[Incoming | None]") -> None:
        """Answer reads, in a thread and over a connection of its own, so that they never delay a report."""
        while (incoming := reads.get()) is not None:
            try:
                message = _decoded(incoming)
                if isinstance(message, Request):
                    with store.transaction() as transaction:
                        link.reply(incoming, answer_request(transaction, message))
            except UndecodableError as error:
                link.reply(incoming, Refusal(code="invalid", reason=f"The request cannot be read: {error}"))
            except SchedyError as error:
                _log.debug("A read was not answered: %s", error)
            except Exception:
                _log.exception("A read failed")
            link.ack_one(incoming)


def _nothing() -> None:
    """What is done where nobody waits."""


def _unwrapped(incoming: Incoming) -> Incoming:
    """Return what a replay brings back as if it had come from its first sender, who waits no more for an answer.

    Only who may send under the service's routing keys can replay, so the user that the replay names is to be trusted.
    Raises UndecodableError.
    """
    if incoming.routing_key != _REPLAY_KEY:
        return incoming
    replay = decode(incoming.body)
    if not isinstance(replay, Replay) or replay.routing_key == _REPLAY_KEY:
        raise UndecodableError("not a replay of a client's message")
    try:
        body = base64.b64decode(replay.body, validate=True)
    except ValueError as error:
        raise UndecodableError(f"a replay whose body is not base64: {error}") from None
    return replace(incoming, body=body, routing_key=replay.routing_key, user=replay.user, reply_to=None)


def _decoded(incoming: Incoming) -> Sendable:
    """Decode a message; its kind must be the one that its routing key, which permissions guard, was allowed for."""
    message = decode(incoming.body)
    if routing_key(message) != incoming.routing_key:
        raise UndecodableError(f"a {message.kind!r} message under the routing key {incoming.routing_key!r}")
    return message
