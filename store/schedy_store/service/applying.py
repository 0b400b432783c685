"""Applying a batch: all that has arrived, in one transaction."""

import contextlib
import logging
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field

from schedy.amqp.channel import Incoming
from schedy.errors import StoreError
from schedy.settings import Settings
from schedy.wire.base import Sendable
from schedy.wire.changes import Change
from schedy.wire.reports import Report
from schedy.wire.requests import Request
from schedy.wire.service import Tick
from schedy_store.lifecycle.changes import Changes
from schedy_store.lifecycle.effects import Effects
from schedy_store.lifecycle.leases import Leases
from schedy_store.lifecycle.reports import Reports
from schedy_store.lifecycle.tickets import TicketDispatcher, WantedTicket
from schedy_store.reads import answer_request
from schedy_store.schema.engine import Store, Transaction
from schedy_store.schema.faults import is_fault_of_data
from schedy_store.service.broker.link import Link
from schedy_store.service.decoding import DecodedMessage
from schedy_store.service.epoch import DeposedError, Epochs, Turn
from schedy_store.service.inbox import Arrivals
from schedy_store.service.lost_messages import TickLedger, note_last_tick
from schedy_store.service.searches.searches import Searches
from schedy_store.service.timers import Timers

_log = logging.getLogger(__name__)


class BatchError(Exception):
    """A batch failed on data; its messages are to be applied one by one."""


@dataclass(slots=True)
class AppliedMessage:
    """A message that was applied, and its effects. The searches' own effects have no `incoming`."""

    incoming: Incoming | None
    effects: Effects
    awaited: set[int] = field(default_factory=set)
    """Jobs whose tickets the broker must have before the answer is sent."""


@dataclass(slots=True)
class AppliedBatch:
    """A batch that was applied: what is left to do once it is committed."""

    turn: Turn
    messages: list[AppliedMessage] = field(default_factory=list)
    tickets: list[WantedTicket] = field(default_factory=list)

    @property
    def has_effects(self) -> bool:
        """True if there is more to do than to answer."""
        return bool(self.tickets) or any(each.effects != Effects(each.effects.answer) for each in self.messages)


class Applier:
    """Applies batches over one subscription, which becomes active with the first. Lives in the service thread."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        link: Link,
        *,
        instance: str,
        broker_id: str,
        tickets: TicketDispatcher,
        searches: Searches,
        timers: Timers,
    ) -> None:
        self._settings = settings
        self._store = store
        self._link = link
        self._instance = instance
        self._tickets = tickets
        self._searches = searches
        self._timers = timers
        self._epochs = Epochs(store, instance=instance, broker_id=broker_id, lease_seconds=settings.lease_seconds)
        self._turn = Turn()
        self._ledger = TickLedger()

    @property
    def is_active(self) -> bool:
        """True once this instance has an epoch over this connection."""
        return self._turn.epoch is not None

    def look(self) -> None:
        """Read the epoch before a new subscription: over a new connection another instance may have been active."""
        self._turn = Turn()
        self._ledger.reset()
        self._epochs.look()

    def leave(self) -> None:
        """Note that this instance has stopped, and leave a tick by which the next one sees that nothing was purged.

        Nothing may be applied afterwards. Raises StoreError.
        """
        if self.is_active:
            name = uuid.uuid4().hex
            self._epochs.leave(self._turn, last_tick=name if self._link.leave_tick(name) else None)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Run what no message has asked for, while this instance is the active one. Raises as `apply_batch` does."""
        with self._store.transaction() as transaction:
            self._epochs.check(transaction, self._turn)
            yield transaction
            self._epochs.count_change(transaction)

    def apply_batch(self, arrivals: Arrivals, messages: list[DecodedMessage]) -> AppliedBatch:
        """Apply what has arrived in one transaction, all or nothing.

        Raises BatchError if a message has data that cannot be stored, StoreError if the database is away, DeposedError
        if another instance has taken over.
        """
        batch = AppliedBatch(self._turn)
        try:
            with self._store.transaction() as transaction:
                batch.turn = self._checked_turn(transaction)
                self._apply_all(transaction, arrivals, messages, batch)
                if arrivals.has_outcomes or batch.has_effects or not all(map(_is_quiet, messages)):
                    self._epochs.count_change(transaction)
        except (DeposedError, StoreError):
            raise
        except Exception as error:
            if not is_fault_of_data(error):
                raise
            _log.debug("A batch of %d failed", len(messages), exc_info=True)
            self._tickets.not_published([wanted.key for wanted in batch.tickets])
            raise BatchError(f"{type(error).__name__}: {str(error).splitlines()[0][:500]}") from error
        if batch.turn.epoch != self._turn.epoch:
            _log.info("This instance (%s) is active, epoch %d.", self._instance, batch.turn.epoch)
            if batch.turn.awaited_tick is not None:
                self._link.send_tick(behind=batch.turn.awaited_tick)
        self._turn = batch.turn
        return batch

    def _checked_turn(self, transaction: Transaction) -> Turn:
        """Return the turn if it still holds, or start a new one; renew the leases if no tick has come for a while."""
        turn = self._epochs.check(transaction, self._turn)
        if turn.epoch != self._turn.epoch:
            self._tickets.reset(transaction)
            self._searches.reset(self._link.inbox.put_answer)
            self._link.open_queues(self._tickets.open_experiments(transaction))
        gap = turn.gap(transaction)
        if gap is not None:
            self._leases(transaction).renew(unmeasured=gap)
            self._epochs.count_change(transaction)
            turn = self._epochs.ticked(transaction, turn)
        return turn

    def _apply_all(
        self, transaction: Transaction, arrivals: Arrivals, messages: list[DecodedMessage], batch: AppliedBatch
    ) -> None:
        """Apply everything, in this order:

        1. Note the outcomes of tickets: a claim among the messages may be of one that was confirmed just now.
        2. Note which searches have got tickets, while these are in flight, with their experiments.
        3. Store the jobs that search processes have made, before messages that ask for them.
        4. Apply the messages in the order of the queue: a tick judges leases by the reports that were sent before it.
        5. Let the searches look, after everything that stores, claims or ends a job.
        6. Note in which experiments jobs want tickets.
        7. Take confirmed tickets out of flight, which makes room in the window.
        8. Choose the tickets to publish, when there is all the room, and all jobs that want one.
        9. Note which tickets answers wait for: those that are under way now.
        """
        batch.messages.append(AppliedMessage(None, self._note_outcomes(transaction, arrivals)))
        self._searches.note_tickets(self._tickets.experiments_of(arrivals.confirmed))
        batch.messages.append(AppliedMessage(None, self._searches.take(transaction, arrivals.answers)))
        self._reports(transaction).read_ahead(
            decoded.message for decoded in messages if isinstance(decoded.message, Report)
        )
        for decoded in messages:
            batch.messages.append(self._apply_message(transaction, decoded, batch))
        batch.messages.append(AppliedMessage(None, self._searches.look(transaction)))
        for applied in batch.messages:
            self._tickets.wanting |= applied.effects.tickets_wanted
        self._tickets.confirmed(arrivals.confirmed)
        batch.tickets = self._tickets.choose(transaction)
        for applied in batch.messages:
            if applied.effects.tickets_awaited:
                applied.awaited = self._tickets.awaited(applied.effects.tickets_awaited)

    def _note_outcomes(self, transaction: Transaction, arrivals: Arrivals) -> Effects:
        """Note what became of tickets and queues, in this order:

        1. Returned tickets are wanted again, after a pause.
        2. Tickets that were dispatched into a queue that was lost are wanted again.
        3. Confirmed tickets are dispatched. After 2: those that were confirmed just now are in the new queue.
        4. Tickets that were dispatched long ago into a queue that stays empty are wanted again.
        """
        self._tickets.returned(arrivals.returned)
        lines = self._tickets.recreated(transaction, arrivals.recreated)
        self._tickets.mark_dispatched(transaction, arrivals.confirmed)
        lines += self._tickets.note_queue_lengths(transaction, arrivals.queue_lengths)
        return Effects(log=lines)

    def _apply_message(self, transaction: Transaction, decoded: DecodedMessage, batch: AppliedBatch) -> AppliedMessage:
        if isinstance(decoded.message, Tick):
            batch.turn = self._epochs.ticked(transaction, batch.turn)
        effects = self._effects(transaction, decoded.message, decoded.incoming.user)
        if isinstance(decoded.message, Tick):
            effects.log += self._ledger.note(transaction, decoded.message).log
            effects.log += note_last_tick(transaction, decoded.message).log
        for experiment in effects.tickets_withdrawn:
            self._tickets.withdraw(transaction, experiment)
        self._searches.note(decoded.incoming, effects)
        if effects.claimed is not None:
            self._tickets.note_claim(*effects.claimed, transaction.now)
        return AppliedMessage(decoded.incoming, effects)

    def _effects(self, transaction: Transaction, message: Sendable, user: str | None) -> Effects:
        match message:
            case Tick():
                return self._timers.tick(
                    transaction,
                    leases=self._leases(transaction),
                    count_ready=self._link.count_ready,
                )
            case Report():
                return self._reports(transaction).apply(message, user)
            case Change():
                return self._changes(transaction).apply(message, user)
            case Request():
                return Effects(answer_request(transaction, message))
            case _:
                return Effects()  # a Replay: unwrapping leaves none

    def _leases(self, transaction: Transaction) -> Leases:
        return Leases(transaction, lease_seconds=self._settings.lease_seconds)

    def _reports(self, transaction: Transaction) -> Reports:
        settings = self._settings
        return Reports(transaction, lease_seconds=settings.lease_seconds, max_releases=settings.max_releases)

    def _changes(self, transaction: Transaction) -> Changes:
        settings = self._settings
        return Changes(transaction, lease_seconds=settings.lease_seconds, max_attempts=settings.max_attempts)


def _is_quiet(decoded: DecodedMessage) -> bool:
    """Tell whether a message of this kind changes nothing unless it has effects."""
    return isinstance(decoded.message, Tick | Request)
