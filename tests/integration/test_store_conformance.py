"""SQL leaves in a row what the pure functions say: every kind of row, every event, and random lives of jobs.

`transitions` decides, and is searched state by state (tests/model); these tests show that reports, changes, ticks and
tickets write its verdicts and nothing else, the statements that change many rows at once included.
"""

import contextlib
import random
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from schedy.wire.answers import ClaimAnswer, HeartbeatAnswer, JobsChangedAnswer, ReportAnswer
from schedy.wire.base import DONE, FINAL_STATUSES, QUEUED, RUNNING, Worker
from schedy.wire.changes import CancelJobs, RetryJobs, UpdateExperiment
from schedy.wire.reports import Claim, Finish, Heartbeat, HeldJob, Output, Progress, Release
from schedy.wire.stopping import Stop
from schedy_store.lifecycle import transitions
from schedy_store.lifecycle.changes import Changes
from schedy_store.lifecycle.effects import Effects
from schedy_store.lifecycle.job_counts import count_jobs, job_counts
from schedy_store.lifecycle.job_rows import state_of
from schedy_store.lifecycle.leases import Leases
from schedy_store.lifecycle.reports import Reports
from schedy_store.lifecycle.tickets import TicketDispatcher, TicketKey
from schedy_store.lifecycle.transitions import JobState, Terms, Verdict
from schedy_store.schema.engine import Store, Transaction
from schedy_store.schema.rows import JOB_ROW_COLUMNS, JobRow
from schedy_store.schema.tables import OF_EXPERIMENT, Experiment, Job

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
LEASE = timedelta(seconds=30)
LONG_AGO = NOW - timedelta(hours=1)
MINE, OTHER = "1" * 32, "2" * 32
WORKER = Worker(host="node", pid=7, program="train.py", uid="7" * 32)
MAX_ATTEMPTS = 2
MAX_RELEASES = 3
JOB_TIMEOUT = 600.0


class _UndoneError(Exception):
    """Ends a transaction that is to leave nothing."""


@dataclass
class Bench:
    """One transaction at a time of its own, on one experiment."""

    transaction: Transaction
    experiment_pk: int
    uid: str

    @property
    def reports(self) -> Reports:
        return Reports(self.transaction, lease_seconds=LEASE.total_seconds(), max_releases=MAX_RELEASES)

    @property
    def leases(self) -> Leases:
        return Leases(self.transaction, lease_seconds=LEASE.total_seconds())

    @property
    def changes(self) -> Changes:
        return Changes(self.transaction, lease_seconds=LEASE.total_seconds(), max_attempts=MAX_ATTEMPTS)

    def naming(self, job_id: str, token: str) -> dict[str, Any]:
        return {"experiment_uid": self.uid, "job_id": job_id, "token": token}

    def change(self) -> dict[str, Any]:
        return {"request_id": uuid.uuid4().hex, "experiment_uid": self.uid}

    def states(self) -> dict[str, JobState]:
        found = (
            select(*JOB_ROW_COLUMNS)
            .join_from(Job, Experiment, OF_EXPERIMENT)
            .where(Job.experiment_pk == self.experiment_pk)
        )
        rows = [JobRow(*row) for row in self.transaction.sql.execute(found)]
        return {row.job_id: state_of(row) for row in rows}

    def counts(self) -> dict[str, int]:
        return job_counts(self.transaction.sql, [self.experiment_pk])[self.experiment_pk]


@dataclass(frozen=True)
class JobEvent:
    """Something that happens to one job: in SQL, and by the rules. `apply` gives what was done, and the answer."""

    name: str
    apply: Callable[[Bench, str], tuple[Effects, bool]]
    judge: Callable[[JobState, Terms, datetime], Verdict]


@dataclass(frozen=True)
class BulkEvent:
    """Something that happens to all jobs of an experiment at once."""

    name: str
    apply: Callable[[Bench], object]
    judge: Callable[[JobState, Terms, datetime], JobState]


def _claim(token: str) -> JobEvent:
    def _apply(bench: Bench, job_id: str) -> tuple[Effects, bool]:
        outcome = bench.reports.apply(Claim(**bench.naming(job_id, token), worker=WORKER))
        assert isinstance(outcome.answer, ClaimAnswer)
        return outcome, outcome.answer.granted

    def _judge(job: JobState, terms: Terms, now: datetime) -> Verdict:
        if job.token != token:
            job = transitions.expire(job, terms, now).state
        return transitions.claim(job, terms, token, now)

    return JobEvent(f"claim of {token[0]}", _apply, _judge)


def _heartbeat(token: str) -> JobEvent:
    def _apply(bench: Bench, job_id: str) -> tuple[Effects, bool]:
        before = bench.states()[job_id]
        outcome = bench.reports.apply(Heartbeat(worker=WORKER, held=[HeldJob(**bench.naming(job_id, token))]))
        answer = outcome.answer
        assert isinstance(answer, HeartbeatAnswer)
        assert bool(answer.stopped) == (before.token == token and before.status == RUNNING and before.stop is not None)
        assert bool(answer.lost) == (before.token != token)
        return outcome, before.token == token and not before.is_final

    def _judge(job: JobState, terms: Terms, now: datetime) -> Verdict:
        return transitions.heartbeat(job, terms, token, now)

    return JobEvent(f"heartbeat of {token[0]}", _apply, _judge)


_REPORTS = ("progress", "output", "finish", "release", "release before the beginning")


def _report(kind: str, token: str, sequence: int) -> JobEvent:
    def _apply(bench: Bench, job_id: str) -> tuple[Effects, bool]:
        named = {**bench.naming(job_id, token), "sequence": sequence}
        put = {**named, "results": {"loss": sequence}, "quality": 0.5}
        messages: dict[str, Callable[[], Progress | Output | Finish | Release]] = {
            "progress": lambda: Progress(**put),
            "output": lambda: Output(**named, text="text", end=sequence * 4),
            "finish": lambda: Finish(**put, status=DONE, error=None),
            "release": lambda: Release(**named),
            "release before the beginning": lambda: Release(**named, begun=False),
        }
        outcome = bench.reports.apply(messages[kind]())
        assert isinstance(outcome.answer, ReportAnswer)
        return outcome, outcome.answer.accepted

    def _judge(job: JobState, terms: Terms, now: datetime) -> Verdict:
        if kind in {"progress", "output"}:
            judge = transitions.progress if kind == "progress" else transitions.output
            return judge(job, terms, token, sequence, now)
        if kind == "finish":
            return transitions.finish(job, terms, token, sequence, DONE)
        return transitions.release(job, terms, token, sequence, MAX_RELEASES, begun=kind == "release")

    return JobEvent(f"{kind} {sequence} of {token[0]}", _apply, _judge)


def _user_change(kind: type[CancelJobs] | type[RetryJobs]) -> JobEvent:
    def _apply(bench: Bench, job_id: str) -> tuple[Effects, bool]:
        outcome = bench.changes.apply(kind(**bench.change(), job_ids=[job_id]))
        assert isinstance(outcome.answer, JobsChangedAnswer)
        return outcome, outcome.answer.outcomes[0].changed

    def _judge(job: JobState, terms: Terms, now: datetime) -> Verdict:
        return transitions.cancel(job, terms, now) if kind is CancelJobs else transitions.retry(job)

    return JobEvent(kind.__name__, _apply, _judge)


JOB_EVENTS = [
    *(_claim(token) for token in (MINE, OTHER)),
    *(_heartbeat(token) for token in (MINE, OTHER)),
    *(_report(kind, token, sequence) for kind, token, sequence in product(_REPORTS, (MINE, OTHER), (1, 2))),
    _user_change(CancelJobs),
    _user_change(RetryJobs),
]


def _renewed(job: JobState, _terms: Terms, now: datetime) -> JobState:
    return replace(job, lease_until=now + LEASE) if job.status == RUNNING else job


def _turned(**values: Any) -> Callable[[Bench], object]:
    def _apply(bench: Bench) -> None:
        for experiment in bench.changes.apply(UpdateExperiment(**bench.change(), **values)).tickets_withdrawn:
            dispatcher().withdraw(bench.transaction, experiment)

    return _apply


def _mark(*, older: int) -> Callable[[Bench], object]:
    def _apply(bench: Bench) -> None:
        rows = bench.transaction.sql.execute(select(Job.pk, Job.ticket).where(Job.experiment_pk == bench.experiment_pk))
        dispatcher().mark_dispatched(bench.transaction, [TicketKey(row.pk, row.ticket - older) for row in rows])

    return _apply


def _look_three_times(ready: int) -> Callable[[Bench], object]:
    def _apply(bench: Bench) -> None:
        looks = dispatcher()
        for _look in range(3):
            looks.note_queue_lengths(bench.transaction, {bench.experiment_pk: ready})

    return _apply


def _overtaken(bench: Bench) -> None:
    looks = dispatcher()
    looks.note_claim(bench.experiment_pk, LONG_AGO + timedelta(seconds=1), LONG_AGO + timedelta(seconds=2))
    looks.reclaim_overtaken(bench.transaction)


def _recreated(bench: Bench) -> None:
    name = bench.transaction.sql.scalar(select(Experiment.name).where(Experiment.pk == bench.experiment_pk))
    dispatcher().recreated(bench.transaction, [str(name)])


def _reclaimed(job: JobState, _terms: Terms, _now: datetime) -> JobState:
    return transitions.ticket_lost(job) if job.dispatched else job


def _same(job: JobState, _terms: Terms, _now: datetime) -> JobState:
    return job


def dispatcher() -> TicketDispatcher:
    return TicketDispatcher(window=1000, lease_seconds=LEASE.total_seconds())


BULK_EVENTS = [
    BulkEvent("expire", lambda bench: bench.leases.expire(1000), lambda *case: transitions.expire(*case).state),
    BulkEvent(
        "overdue",
        lambda bench: bench.leases.stop_overdue(1000),
        lambda job, terms, now: transitions.overdue(job, terms, "job_timeout", now).state,
    ),
    BulkEvent("renew", lambda bench: bench.leases.renew(unmeasured=timedelta()), _renewed),
    BulkEvent("pause", _turned(paused=True), _reclaimed),
    BulkEvent("end", _turned(status="DONE"), _reclaimed),
    BulkEvent("mark", _mark(older=0), lambda job, *_rest: transitions.ticket_published(job, job.ticket)),
    BulkEvent(
        "mark an older one", _mark(older=1), lambda job, *_rest: transitions.ticket_published(job, job.ticket - 1)
    ),
    BulkEvent("queue stays empty", _look_three_times(0), _reclaimed),
    BulkEvent("queue has tickets", _look_three_times(1), _same),
    BulkEvent("tickets are overtaken", _overtaken, _reclaimed),
    BulkEvent("queue is created again", _recreated, _reclaimed),
]

LIVED_THROUGH = {"expire", "renew", "mark", "mark an older one"}
"""Bulk events that depend on nothing but the state of the row."""

IS_OPEN = {"open": {"paused": False, "status": "RUNNING"}, "paused": {"paused": True, "status": "RUNNING"}}
IS_OPEN["done"] = {"paused": False, "status": "DONE"}


def every_state() -> Iterator[JobState]:
    """All kinds of rows that the table allows; also those that no job gets into."""
    for token, sequence, dispatched in product((None, MINE, OTHER), (0, 1), (False, True)):
        yield JobState(QUEUED, token, 1, 0, sequence, dispatched=dispatched, ticket=3)
    stops: tuple[Stop | None, ...] = (None, "cancelled", "job_timeout", "stall_timeout")
    leases = (NOW, NOW + timedelta(seconds=1))
    for token, stop, lease, attempt, dispatched in product((MINE, OTHER), stops, leases, (1, 2), (False, True)):
        yield JobState(RUNNING, token, attempt, 0, 1, lease, stop, dispatched, ticket=3)
    yield JobState(RUNNING, MINE, 3, 2, 0, NOW, "job_timeout", ticket=3)
    yield JobState(RUNNING, MINE, 3, 2, 0, NOW, ticket=3)
    yield from (JobState(RUNNING, MINE, 2, 0, 1, leases[1], ticket=3, releases=releases) for releases in (1, 2))
    for status, token, stop, dispatched in product(FINAL_STATUSES, (None, MINE, OTHER), stops[:2], (False, True)):
        yield JobState(status, token, 1, 0, 1, None, stop, dispatched, ticket=3)


def _columns(experiment_pk: int, number: int, state: JobState) -> dict[str, Any]:
    return {
        "experiment_pk": experiment_pk,
        "job_id": f"j{number:05}",
        "hyperparameters": "{}",
        "results": "{}",
        "initial_results": "{}",
        "previous_results": "{}",
        "created_at": LONG_AGO,
        "started_at": LONG_AGO if state.attempt else None,
        "reported_at": LONG_AGO,
        "timed_from": LONG_AGO,
        "finished_at": NOW if state.is_final else None,
        "status": state.status,
        "token": state.token,
        "attempt": state.attempt,
        "attempts_forgiven": state.attempts_forgiven,
        "sequence": state.sequence,
        "lease_until": state.lease_until,
        "stop": state.stop,
        "dispatched_at": LONG_AGO if state.dispatched else None,
        "ticket": state.ticket,
        "releases": state.releases,
    }


class Laboratory:
    """A store with one experiment."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.uid = uuid.uuid4().hex
        with store.transaction() as transaction:
            self.experiment_pk = transaction.sql.scalars(
                insert(Experiment)
                .values(
                    uid=self.uid,
                    name="E",
                    scheduler="manual",
                    settings="{}",
                    status="RUNNING",
                    paused=False,
                    max_attempts=MAX_ATTEMPTS,
                    job_timeout=JOB_TIMEOUT,
                    created_at=LONG_AGO,
                    timed_from=LONG_AGO,
                )
                .returning(Experiment.pk)
            ).one()

    def fill(self, states: list[JobState]) -> None:
        with self.store.transaction() as transaction:
            rows = [_columns(self.experiment_pk, number, state) for number, state in enumerate(states)]
            transaction.sql.execute(insert(Job), rows)
            count_jobs(transaction, self.experiment_pk, Counter(state.status for state in states))

    def turn(self, *, turn: str, retry_timeouts: bool) -> Terms:
        with self.store.transaction() as transaction:
            transaction.sql.execute(update(Experiment).values(**IS_OPEN[turn], retry_timeouts=retry_timeouts))
        return Terms(turn == "open", MAX_ATTEMPTS, LEASE, retry_timeouts)

    @contextlib.contextmanager
    def bench(self, now: datetime = NOW, *, keep: bool) -> Iterator[Bench]:
        with contextlib.suppress(_UndoneError):
            with self.store.transaction() as transaction:
                yield Bench(transaction.at(now), self.experiment_pk, self.uid)
                if not keep:
                    raise _UndoneError


@pytest.fixture
def laboratory(store_url: str) -> Iterator[Laboratory]:
    store = Store.open(store_url)
    yield Laboratory(store)
    store.close()


def wants_anew(before: JobState, after: JobState, terms: Terms) -> bool:
    return transitions.wants_ticket(after, terms) and not transitions.wants_ticket(before, terms)


@pytest.mark.parametrize("retry_timeouts", [False, True], ids=["timeouts end", "timeouts are retried"])
@pytest.mark.parametrize("turn", IS_OPEN)
def test_an_event_leaves_every_kind_of_row_as_the_rules_say(
    laboratory: Laboratory, turn: str, retry_timeouts: bool
) -> None:
    laboratory.fill(list(every_state()))
    terms = laboratory.turn(turn=turn, retry_timeouts=retry_timeouts)
    for event in JOB_EVENTS:
        with laboratory.bench(keep=False) as bench:
            before = bench.states()
            told = {job_id: event.apply(bench, job_id) for job_id in before}
            after = bench.states()
            assert bench.counts() == Counter(state.status for state in after.values())
            for job_id, state in before.items():
                verdict = event.judge(state, terms, NOW)
                assert after[job_id] == verdict.state, (event.name, state)
                outcome, accepted = told[job_id]
                assert accepted == verdict.accepted, (event.name, state)
                if wants_anew(state, verdict.state, terms):
                    assert outcome.tickets_wanted == {laboratory.experiment_pk}, (event.name, state)


@pytest.mark.parametrize("retry_timeouts", [False, True], ids=["timeouts end", "timeouts are retried"])
@pytest.mark.parametrize("turn", IS_OPEN)
def test_what_happens_to_many_rows_at_once_leaves_each_as_the_rules_say(
    laboratory: Laboratory, turn: str, retry_timeouts: bool
) -> None:
    laboratory.fill(list(every_state()))
    terms = laboratory.turn(turn=turn, retry_timeouts=retry_timeouts)
    for event in BULK_EVENTS:
        with laboratory.bench(keep=False) as bench:
            before = bench.states()
            event.apply(bench)
            after = bench.states()
            assert bench.counts() == Counter(state.status for state in after.values())
            for job_id, state in before.items():
                assert after[job_id] == event.judge(state, terms, NOW), (event.name, state)


def test_exactly_the_jobs_that_want_a_ticket_are_chosen(laboratory: Laboratory) -> None:
    laboratory.fill(list(every_state()))
    for turn in IS_OPEN:
        terms = laboratory.turn(turn=turn, retry_timeouts=False)
        with laboratory.bench(keep=False) as bench:
            desk = dispatcher()
            desk.reset(bench.transaction)
            chosen = {(wanted.ticket.job_id, wanted.key[1]) for wanted in desk.choose(bench.transaction)}
            states = bench.states().items()
            assert chosen == {(job_id, job.ticket) for job_id, job in states if transitions.wants_ticket(job, terms)}


@pytest.mark.parametrize("seed", range(3))
def test_a_random_life_goes_as_the_rules_say(laboratory: Laboratory, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    laboratory.fill([JobState(QUEUED)])
    expected, now = JobState(QUEUED), NOW
    terms = Terms(True, MAX_ATTEMPTS, LEASE)
    lived: list[str] = []
    events: list[JobEvent | BulkEvent] = [*JOB_EVENTS, *(bulk for bulk in BULK_EVENTS if bulk.name in LIVED_THROUGH)]
    for _step in range(150):
        now += timedelta(seconds=chance.choice((0, 1, 40)))
        if chance.random() < 0.1:
            terms = laboratory.turn(turn=chance.choice(list(IS_OPEN)), retry_timeouts=chance.random() < 0.5)
        event = chance.choice(events)
        with laboratory.bench(now, keep=True) as bench:
            if isinstance(event, JobEvent):
                event.apply(bench, "j00000")
                expected = event.judge(expected, terms, now).state
            else:
                event.apply(bench)
                expected = event.judge(expected, terms, now)
            lived.append(f"{event.name}: {expected}")
            assert bench.counts() == {expected.status: 1}
            assert bench.states() == {"j00000": expected}, "\n".join(lived)
