"""Tickets: which jobs want one, and which were published. The service publishes them.

A job wants a ticket while it is QUEUED and not dispatched in an experiment that is neither paused nor DONE. It is
marked as dispatched once the broker has confirmed the ticket; a crash in between publishes it twice, which is
harmless, since a ticket is only a permission to ask. A mark counts only for the ticket number that was published:
a job given back meanwhile wants a new ticket.

Of each experiment only so many tickets are out at a time as its workers can take soon. So however many jobs wait, the
broker keeps few of them, and withdrawing all tickets of an experiment changes few rows.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import bindparam, exists, func, literal_column, select, update

from schedy.wire.service import Ticket
from schedy.wire.values import load_values
from schedy_store.schema.engine import Transaction
from schedy_store.schema.prepared import Prepared
from schedy_store.schema.rows import columns_of, row_class
from schedy_store.schema.tables import OF_EXPERIMENT, Experiment, Job

_SHOWN_CHARACTERS = 2048
_LOST_AFTER_LEASES = 3
_REST_SECONDS = 2.0
MOST_OUT = 10_000
"""Tickets of one experiment that are out at a time: more than its workers take before they are counted again."""
_OVERDUE_AT_ONCE = 100
"""Queues looked at together: each takes a channel, of which a connection has 2,047."""


class TicketKey(NamedTuple):
    """A ticket of a job, by its number."""

    job_pk: int
    number: int


@row_class
class _WantingRow:
    pk: int
    ticket: int
    job_id: str
    hyperparameters: str
    shown: bool
    experiment_uid: str
    experiment_name: str


@dataclass(frozen=True, slots=True)
class WantedTicket:
    """A ticket to publish."""

    key: TicketKey
    experiment_pk: int
    ticket: Ticket


_OPEN = (Experiment.status == "RUNNING", Experiment.paused.is_(False))
_IS_QUEUED = Job.status == literal_column("'QUEUED'")
"""No parameter, so that SQLite uses its partial indexes."""
_WANTS = (_IS_QUEUED, Job.dispatched_at.is_(None))
_PUSHED = Job.__table__.alias()
_PUSHED_WAITS = exists().where(
    _PUSHED.c.experiment_pk == bindparam("experiment"),
    _PUSHED.c.status == "QUEUED",
    (_PUSHED.c.suggestion + 0).is_(None),
)
"""Pushed jobs go before those that a search has made. Plus 0: found among the few that wait, not among all pushed."""
_WANTING = Prepared(
    select(
        *columns_of(
            _WantingRow,
            Job,
            Experiment,
            hyperparameters=func.substr(Job.hyperparameters, 1, _SHOWN_CHARACTERS),
            shown=func.length(Job.hyperparameters) <= _SHOWN_CHARACTERS,
        )
    )
    .join_from(Job, Experiment, OF_EXPERIMENT)
    .where(Job.experiment_pk == bindparam("experiment"), *_WANTS, *_OPEN)
    .where(Job.suggestion.is_(None) | ~_PUSHED_WAITS)
    .order_by(Job.pk)
    .limit(bindparam("most"))
)
_OLDEST = (
    select(Job.dispatched_at)
    .where(Job.experiment_pk == Experiment.pk, _IS_QUEUED, Job.dispatched_at.is_not(None))
    .order_by(Job.dispatched_at)
    .limit(1)
    .correlate(Experiment)
    .scalar_subquery()
)
_OUT = select(func.count()).select_from(
    select(Job.pk)
    .where(Job.experiment_pk == bindparam("experiment"), _IS_QUEUED, Job.dispatched_at.is_not(None))
    .limit(MOST_OUT)
    .subquery()
)
_TAKE_BACK = {"dispatched_at": None, "ticket": Job.ticket + 1, "revision": Job.revision + 1}
_MARK = Prepared(
    update(Job)
    .where(Job.pk == bindparam("job"), Job.ticket == bindparam("ticket_is"), Job.dispatched_at.is_(None))
    .values(dispatched_at=bindparam("at"))
)


@dataclass(slots=True)
class TicketDispatcher:
    """Keeps the tickets in flight within a window, those of each experiment too, and gives each its share.

    `most_out` is the largest number of tickets of one experiment that are out; while it is reached, they are counted
    each `recount_seconds`. `wanting` are the experiments in which jobs may want tickets. `in_flight` are the tickets
    that were chosen and that the broker has not confirmed yet, with their experiments.
    """

    window: int
    lease_seconds: float
    most_out: int = MOST_OUT
    recount_seconds: float = 1.0
    wanting: set[int] = field(default_factory=set)
    in_flight: dict[TicketKey, int] = field(default_factory=dict)
    _claimed: dict[int, list[tuple[datetime, datetime]]] = field(default_factory=dict)
    _seen_empty: dict[int, int] = field(default_factory=dict)
    _resting: dict[int, float] = field(default_factory=dict)
    _room: dict[int, int] = field(default_factory=dict)
    """For experiments, how many tickets may be chosen before those that are out are counted again."""
    _last_served: int = 0

    def reset(self, transaction: Transaction) -> None:
        """Start again, after a takeover or a lost connection."""
        self.in_flight.clear()
        self._claimed.clear()
        self._seen_empty.clear()
        self._room.clear()
        found = select(Job.experiment_pk).where(*_WANTS).distinct()
        self.wanting = set(transaction.sql.scalars(found))

    def open_experiments(self, transaction: Transaction) -> list[str]:
        """Return the names of the experiments that have a queue."""
        return list(transaction.sql.scalars(select(Experiment.name).where(Experiment.status == "RUNNING")))

    def mark_dispatched(self, transaction: Transaction, published: Iterable[TicketKey]) -> None:
        """Note in the store which tickets the broker has."""
        rows = [{"job": job, "ticket_is": number, "at": transaction.now} for job, number in published]
        if rows:
            _MARK.write(transaction.sql, rows)

    def experiments_of(self, keys: Iterable[TicketKey]) -> set[int]:
        """Return the experiments of tickets that are in flight."""
        return {self.in_flight[key] for key in keys if key in self.in_flight}

    def confirmed(self, keys: Iterable[TicketKey]) -> None:
        """Take tickets that the broker has out of those in flight."""
        for key in keys:
            self.in_flight.pop(key, None)

    def not_published(self, keys: Iterable[TicketKey]) -> None:
        """Take chosen tickets out of those in flight; their jobs want tickets as before."""
        for key in keys:
            experiment = self.in_flight.pop(key, None)
            if experiment is not None:
                self.wanting.add(experiment)

    def returned(self, keys: Iterable[TicketKey]) -> None:
        """Take tickets that the broker did not accept out of those in flight; their jobs want tickets after a pause."""
        for key in keys:
            experiment = self.in_flight.get(key)
            if experiment is not None:
                self._resting[experiment] = time.monotonic() + _REST_SECONDS
            self.not_published([key])

    def recreated(self, transaction: Transaction, experiments: Iterable[str]) -> list[str]:
        """Want new tickets for all jobs of these experiments: their queues were created again, and are empty.

        Returns lines for the log.
        """
        lines: list[str] = []
        for name in experiments:
            pk = transaction.sql.scalar(select(Experiment.pk).where(Experiment.name == name))
            if pk is not None:
                before = transaction.now + timedelta(seconds=1)
                lines += self._reclaim(transaction, pk, before=before, reason="its queue was lost")
        return lines

    def choose(self, transaction: Transaction) -> list[WantedTicket]:
        """Return the tickets to publish now, and count them as in flight."""
        chosen: list[WantedTicket] = []
        room = self.window - len(self.in_flight)
        in_turn = self._in_turn()
        share = max(1, room // max(1, len(in_turn)))
        for experiment in in_turn:
            if len(chosen) >= room:
                break
            self._last_served = experiment
            most = min(share, room - len(chosen), self._room_of(transaction, experiment))
            chosen += self._choose_of(transaction, experiment, most)
        return chosen

    def _choose_of(self, transaction: Transaction, experiment: int, most: int) -> list[WantedTicket]:
        if most <= 0:
            self._resting[experiment] = time.monotonic() + self.recount_seconds
            return []
        limit = most + self._in_flight_of(experiment)
        found = _WANTING.read(transaction.sql, {"experiment": experiment, "most": limit})
        rows = [_WantingRow(*row) for row in found]
        if len(rows) < limit:
            self.wanting.discard(experiment)
        chosen = [
            WantedTicket(key, experiment, _ticket(row))
            for row in rows
            if (key := TicketKey(row.pk, row.ticket)) not in self.in_flight
        ]
        self.in_flight.update((wanted.key, experiment) for wanted in chosen)
        self._room[experiment] -= len(chosen)
        return chosen

    def _room_of(self, transaction: Transaction, experiment: int) -> int:
        """Return how many more tickets of an experiment may be out; they are counted only when there seems no room."""
        if self._room.get(experiment, 0) <= 0:
            out = transaction.sql.scalar(_OUT, {"experiment": experiment}) or 0
            self._room[experiment] = self.most_out - out - self._in_flight_of(experiment)
        return self._room[experiment]

    def _in_flight_of(self, experiment: int) -> int:
        return sum(1 for holder in self.in_flight.values() if holder == experiment)

    def _in_turn(self) -> list[int]:
        """Return the experiments that want tickets, those after the one served last first."""
        now = time.monotonic()
        self._resting = {pk: until for pk, until in self._resting.items() if until > now}
        ordered = sorted(self.wanting - self._resting.keys())
        return [pk for pk in ordered if pk > self._last_served] + [pk for pk in ordered if pk <= self._last_served]

    def awaited(self, jobs: Iterable[int]) -> set[int]:
        """Return those of the jobs whose tickets are on their way to the broker. The others wait for room."""
        return {key.job_pk for key in self.in_flight}.intersection(jobs)

    def withdraw(self, transaction: Transaction, experiment: int) -> None:
        """Make all tickets of an experiment count no more, those in flight too: its queue is emptied or deleted."""
        of_experiment = (Job.experiment_pk == experiment, _IS_QUEUED)
        transaction.sql.execute(update(Job).where(*of_experiment, Job.dispatched_at.is_not(None)).values(_TAKE_BACK))
        flying = [key.job_pk for key, holder in self.in_flight.items() if holder == experiment]
        if flying:
            not_out = Job.dispatched_at.is_(None)
            transaction.sql.execute(update(Job).where(*of_experiment, not_out, Job.pk.in_(flying)).values(_TAKE_BACK))
        self._room.pop(experiment, None)

    # The safety net for tickets lost outside Schedy.

    def note_claim(self, experiment: int, dispatched_at: datetime, now: datetime) -> None:
        """Note that a ticket published at `dispatched_at` was claimed: older ones of its queue should have been."""
        claims = self._claimed.setdefault(experiment, [])
        if not claims or claims[-1][1] + timedelta(seconds=self.lease_seconds) <= now:
            claims.append((dispatched_at, now))

    def reclaim_overtaken(self, transaction: Transaction) -> list[str]:
        """Count tickets as lost that later ones have overtaken for several leases: their jobs want new ones.

        Returns lines for the log.
        """
        lines: list[str] = []
        long_ago = transaction.now - self._patience
        for experiment, claims in self._claimed.items():
            ripe = [dispatched_at for dispatched_at, claimed_at in claims if claimed_at <= long_ago]
            if ripe:
                reason = "later ones have overtaken them"
                lines += self._reclaim(transaction, experiment, before=max(ripe), reason=reason)
                self._claimed[experiment] = [claim for claim in claims if claim[1] > long_ago]
        return lines

    def overdue_experiments(self, transaction: Transaction) -> dict[int, str]:
        """Return the keys and names of experiments with tickets unclaimed for several leases: they may be lost."""
        oldest = _OLDEST
        found = (
            select(Experiment.pk, Experiment.name)
            .where(*_OPEN, oldest < transaction.now - self._patience)
            .order_by(oldest)
            .limit(_OVERDUE_AT_ONCE)
        )
        return {row.pk: row.name for row in transaction.sql.execute(found)}

    def note_queue_lengths(self, transaction: Transaction, lengths: dict[int, int]) -> list[str]:
        """Note the lengths of queues: one that is empty several times in a row has lost its old tickets.

        Returns lines for the log.
        """
        lines: list[str] = []
        for experiment, ready in lengths.items():
            self._seen_empty[experiment] = self._seen_empty.get(experiment, 0) + 1 if ready == 0 else 0
            if self._seen_empty[experiment] >= _LOST_AFTER_LEASES:
                self._seen_empty[experiment] = 0
                before = transaction.now - self._patience
                lines += self._reclaim(transaction, experiment, before=before, reason="its queue was found empty")
        return lines

    @property
    def _patience(self) -> timedelta:
        return timedelta(seconds=self.lease_seconds * _LOST_AFTER_LEASES)

    def _reclaim(self, transaction: Transaction, experiment: int, *, before: datetime, reason: str) -> list[str]:
        reclaimed = transaction.sql.scalars(
            update(Job)
            .where(Job.experiment_pk == experiment, _IS_QUEUED, Job.dispatched_at < before)
            .values(_TAKE_BACK)
            .returning(Job.pk)
        ).all()
        self._room.pop(experiment, None)
        self.wanting.add(experiment)
        if not reclaimed:
            return []
        name = transaction.sql.scalar(select(Experiment.name).where(Experiment.pk == experiment))
        return [f"Publishing the tickets of {len(reclaimed)} waiting jobs of experiment {name} again: {reason}."]


def _ticket(row: _WantingRow) -> Ticket:
    return Ticket(
        experiment_uid=row.experiment_uid,
        experiment=row.experiment_name,
        job_id=row.job_id,
        hyperparameters=load_values(row.hyperparameters) if row.shown else None,
    )
