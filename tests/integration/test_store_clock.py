"""Timers: time that nobody measured does not count, because a clock was set or no service ran, in any of them."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event, select, update

from schedy.wire.answers import JobsAnswer, WorkersAnswer
from schedy.wire.changes import NewJob
from schedy.wire.records import ExperimentRecord, Limits, WorkerRecord
from schedy.wire.reports import Claim, Heartbeat, Progress
from schedy.wire.requests import GetJobs, GetWorkers
from schedy_store.lifecycle.leases import Leases
from schedy_store.reads import answer_request
from schedy_store.schema.engine import Store
from schedy_store.schema.tables import OF_EXPERIMENT, Experiment, Job, Service
from schedy_store.service.epoch import Epochs, Turn
from tests.integration.test_store import LEASE_SECONDS, WORKER, Desk, fresh

TWO_HOURS = timedelta(hours=2)
GAPS = pytest.mark.parametrize("gap", [TWO_HOURS, -TWO_HOURS], ids=["forwards", "backwards"])
TIMEOUTS = pytest.mark.parametrize("timeout", ["job_timeout", "stall_timeout"])


class TimedDesk(Desk):
    """A desk with a running job, and an experiment with a timeout."""

    def begin(self, **limits: float) -> None:
        self.experiment = self.add(limits=Limits(**limits))
        (self.job_id,) = self.push(self.experiment)
        self.token = fresh()
        held = {"experiment_uid": self.experiment.uid, "job_id": self.job_id, "token": self.token}
        self.report(Claim(**held, worker=WORKER))
        self.report(Progress(**held, sequence=1, results={}, quality=0.0))

    def jump(self, gap: timedelta) -> None:
        """Put the clock forward by time that nobody measures: the service finds a gap."""
        self.ahead += gap
        self.renew(unmeasured=gap)

    def stopped(self) -> str | None:
        """Judge timeouts; return why the job is to stop."""
        with self.store.transaction() as transaction:
            Leases(self.later(transaction), lease_seconds=LEASE_SECONDS).stop_overdue(10)
        return self.job(self.experiment, self.job_id).stop

    def worker(self) -> WorkerRecord:
        with self.store.transaction() as transaction:
            answer = answer_request(self.later(transaction), GetWorkers())
        assert isinstance(answer, WorkersAnswer)
        return answer.workers[0]

    def silent_seconds(self) -> float | None:
        request = GetJobs(experiment_uid=self.experiment.uid, job_id=self.job_id)
        with self.store.transaction() as transaction:
            answer = answer_request(self.later(transaction), request)
        assert isinstance(answer, JobsAnswer)
        return answer.jobs[0].silent_seconds

    def one(self, column: Any) -> Any:
        with self.store.transaction() as transaction:
            return transaction.sql.execute(select(column)).scalar_one()


@pytest.fixture
def desk(store_url: str) -> Iterator[TimedDesk]:
    store = Store.open(store_url)
    yield TimedDesk(store)
    store.close()


@TIMEOUTS
@GAPS
def test_a_timeout_counts_what_was_measured(desk: TimedDesk, timeout: str, gap: timedelta) -> None:
    desk.begin(**{timeout: 600.0})
    desk.pass_seconds(300)
    desk.jump(gap)
    assert desk.stopped() is None
    desk.pass_seconds(290)
    assert desk.stopped() is None
    desk.pass_seconds(20)
    assert desk.stopped() == timeout


@TIMEOUTS
def test_a_timeout_that_was_exceeded_before_the_gap_counts(desk: TimedDesk, timeout: str) -> None:
    desk.begin(**{timeout: 600.0})
    desk.pass_seconds(601)
    desk.jump(TWO_HOURS)
    assert desk.stopped() == timeout


@GAPS
def test_what_users_see_is_when_the_job_started(desk: TimedDesk, gap: timedelta) -> None:
    desk.begin(job_timeout=600.0)
    started_at = desk.job(desk.experiment, desk.job_id).started_at
    desk.jump(gap)
    assert desk.job(desk.experiment, desk.job_id).started_at == started_at


@GAPS
def test_the_time_of_a_search_counts_what_was_measured(desk: TimedDesk, gap: timedelta) -> None:
    desk.add()
    with desk.store.transaction() as transaction:
        transaction.sql.execute(update(Experiment).values(scheduler="random"))
    added: datetime = desk.one(Experiment.created_at)
    desk.jump(gap)
    assert abs(desk.one(Experiment.timed_from) - added - gap) < timedelta(milliseconds=2)
    assert desk.one(Experiment.created_at) == added


@GAPS
def test_a_worker_is_as_silent_as_a_service_has_listened(desk: TimedDesk, gap: timedelta) -> None:
    desk.begin()
    desk.report(Heartbeat(worker=WORKER, held=[]))
    with desk.store.transaction() as transaction:
        transaction.sql.execute(update(Service).values(lease_seconds=LEASE_SECONDS))
    desk.jump(gap)
    assert (desk.worker().silent, desk.silent_seconds()) == (False, None)
    assert 0 <= desk.worker().heard_seconds_ago < LEASE_SECONDS / 2
    desk.pass_seconds(LEASE_SECONDS * 1.1)
    assert desk.worker().silent
    assert desk.silent_seconds() == pytest.approx(LEASE_SECONDS * 1.1, abs=5)


def test_no_worker_is_silent_because_no_service_runs(desk: TimedDesk) -> None:
    desk.begin()
    with desk.store.transaction() as transaction:
        noted = {"lease_seconds": LEASE_SECONDS, "measured_until": transaction.now}
        transaction.sql.execute(update(Service).values(noted))
    desk.pass_seconds(7200)
    assert (desk.worker().silent, desk.silent_seconds()) == (False, None)
    assert desk.worker().heard_seconds_ago > 7000


def test_a_successor_knows_until_when_its_predecessor_measured(desk: TimedDesk) -> None:
    first, second = (_epochs(desk.store, instance) for instance in ("first", "second"))
    gaps = []
    for epochs in (first, second):
        epochs.look()
        with desk.store.transaction() as transaction:
            now = desk.later(transaction)
            turn = epochs.check(now, Turn())
            gaps.append(turn.gap(now))
            turn = epochs.ticked(now, turn)
            assert turn.gap(now) is None
        desk.pass_seconds(7200)
    assert gaps[0] == timedelta()
    assert gaps[1] is not None
    assert abs(gaps[1] - TWO_HOURS) < timedelta(seconds=10)


def _epochs(store: Store, instance: str) -> Epochs:
    with store.transaction() as transaction:
        transaction.sql.execute(update(Service).values(broker_id="broker"))
    return Epochs(store, instance=instance, broker_id="broker", lease_seconds=LEASE_SECONDS)


def test_a_tick_runs_as_many_statements_with_many_experiments_as_with_one(desk: TimedDesk) -> None:
    desk.begin(job_timeout=600.0, stall_timeout=600.0)
    assert _statements_of_a_tick(desk) == 2
    for place in range(30):
        desk.add(f"done {place}", status="DONE", limits=Limits(job_timeout=600.0, stall_timeout=600.0))
    assert _statements_of_a_tick(desk) == 2


def _statements_of_a_tick(desk: TimedDesk) -> int:
    statements = []

    def _note(_sql: Connection, _cursor: Any, statement: str, *_rest: Any) -> None:
        statements.append(statement)

    with desk.store.transaction() as transaction:
        event.listen(transaction.sql, "before_cursor_execute", _note)
        leases = Leases(transaction, lease_seconds=LEASE_SECONDS)
        leases.expire(1000)
        leases.stop_overdue(1000)
        transaction.write()
        event.remove(transaction.sql, "before_cursor_execute", _note)
    return len(statements)


def test_each_experiment_has_its_own_timeouts(desk: TimedDesk) -> None:
    experiments: list[ExperimentRecord] = []
    for name, limits in {
        "none": Limits(),
        "job": Limits(job_timeout=60.0),
        "stall": Limits(stall_timeout=60.0),
        "both": Limits(job_timeout=60.0, stall_timeout=60.0),
        "long": Limits(job_timeout=600.0, stall_timeout=600.0),
    }.items():
        experiments.append(experiment := desk.add(name, limits=limits))
        for job_id in desk.push(experiment, *[NewJob(hyperparameters={})] * 2)[:1]:
            desk.claim(experiment, job_id, fresh())
    desk.pass_seconds(61)
    with desk.store.transaction() as transaction:
        Leases(desk.later(transaction), lease_seconds=LEASE_SECONDS).stop_overdue(1000)
    found = desk.rows(
        select(Experiment.name, Job.status, Job.stop).join_from(Job, Experiment, OF_EXPERIMENT).order_by(Job.pk)
    )
    assert [row.stop for row in found if row.status == "QUEUED"] == [None] * 5
    assert {row.name: row.stop for row in found if row.status == "RUNNING"} == {
        "none": None,
        "job": "job_timeout",
        "stall": "stall_timeout",
        "both": "job_timeout",
        "long": None,
    }
