"""Writes that wait, and prepared statements: what reads see of them, and that they fail as any other."""

import contextlib
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import bindparam, event, func, insert, select, text
from sqlalchemy.exc import DataError, IntegrityError

from schedy.errors import StoreError
from schedy.wire.base import FinalStatus
from schedy.wire.changes import NewJob
from schedy.wire.records import Point
from schedy.wire.reports import Claim, Curve, Finish, Heartbeat, HeldJob, Progress, Report
from schedy_store.lifecycle.job_counts import job_counts
from schedy_store.lifecycle.job_rows import JobRows, state_of
from schedy_store.lifecycle.journal import Journal
from schedy_store.lifecycle.reports import Reports
from schedy_store.schema.engine import Store, Transaction
from schedy_store.schema.faults import is_fault_of_data
from schedy_store.schema.prepared import Prepared
from schedy_store.schema.tables import CurvePoint, Event, Experiment, Job, JobValue
from schedy_store.schema.tables import Worker as WorkerTable
from tests.integration.test_store import LEASE_SECONDS, MAX_RELEASES, WORKER, Desk

_TOKENS = [f"{number:032x}" for number in range(1, 9)]


@pytest.fixture
def desk(store_url: str) -> Iterator[Desk]:
    store = Store.open(store_url)
    yield Desk(store)
    store.close()


def _applied(transaction: Transaction, messages: list[Report[Any]]) -> None:
    reports = Reports(transaction, lease_seconds=LEASE_SECONDS, max_releases=MAX_RELEASES)
    reports.read_ahead(messages)
    for message in messages:
        reports.apply(message)


def _claim(uid: str, job: str, token: str) -> Claim:
    return Claim(experiment_uid=uid, job_id=job, token=token, worker=WORKER)


def _finish(uid: str, job: str, token: str, sequence: int = 1, status: FinalStatus = "DONE") -> Finish:
    results = {"loss": sequence / 2}
    return Finish(
        experiment_uid=uid, job_id=job, token=token, sequence=sequence, status=status, results=results, quality=0.0
    )


def test_many_reports_of_one_transaction_count_one_after_the_other(desk: Desk) -> None:
    experiment = desk.add()
    uid = experiment.uid
    jobs = desk.push(experiment, *[NewJob(hyperparameters={"x": 1}) for _ in range(4)])
    claims = [_claim(uid, job, token) for job, token in zip(jobs, _TOKENS, strict=False)]
    first, second, third, fourth = jobs
    progress = Progress(
        experiment_uid=uid, job_id=second, token=_TOKENS[1], sequence=1, results={"loss": 9.0}, quality=0.0
    )
    held = HeldJob(experiment_uid=uid, job_id=fourth, token=_TOKENS[3])
    with desk.store.transaction() as transaction:
        _applied(transaction, [*claims, progress])
    with desk.store.transaction() as transaction:
        ends = [_finish(uid, third, _TOKENS[2]), _finish(uid, second, _TOKENS[1], 2), _finish(uid, first, _TOKENS[0])]
        _applied(transaction, [*ends, Heartbeat(worker=WORKER, held=[held]), ends[0]])
    with desk.store.transaction() as transaction:
        sql = transaction.sql
        rows = {row.job_id: row for row in sql.execute(select(*Job.__table__.c))}
        assert [rows[job].ended for job in (third, second, first, fourth)] == [1, 2, 3, None]
        assert [rows[job].status for job in jobs] == ["DONE", "DONE", "DONE", "RUNNING"]
        assert rows[fourth].heard_at == rows[first].finished_at > rows[fourth].started_at
        assert job_counts(sql, [experiment.position]) == {experiment.position: {"DONE": 3, "RUNNING": 1}}
        keys = select(JobValue.job_pk, JobValue.number).where(JobValue.source == "result").order_by(JobValue.job_pk)
        stored = {rows[first].pk: 0.5, rows[second].pk: 1.0, rows[third].pk: 0.5}
        assert {pk: number for pk, number in sql.execute(keys)} == stored
        worker = sql.execute(select(*WorkerTable.__table__.c)).one()
        assert (worker.done, worker.crashed, worker.heard_at) == (3, 0, rows[first].finished_at)
        kinds = sql.scalars(select(Event.kind).where(Event.job_id == third).order_by(Event.pk))
        assert list(kinds) == ["claimed", "ended"]


def test_reports_of_a_batch_are_one_event_and_one_curve_for_each_job(desk: Desk) -> None:
    """As if each had come alone: with those that are stored, behind what happened before, and once for a step."""
    experiment = desk.add()
    uid, jobs = experiment.uid, desk.push(experiment, *[NewJob(hyperparameters={"x": 1}) for _ in range(3)])
    one, two, three = jobs

    def _curve(number: int, sequence: int, *steps: int, loss: float = 1.0) -> Curve:
        points = [Point(step=step, values={"loss": loss, "step": step}) for step in steps]
        return Curve(experiment_uid=uid, job_id=jobs[number], token=_TOKENS[number], sequence=sequence, points=points)

    with desk.store.transaction() as transaction:
        claims = [_claim(uid, job, token) for job, token in zip(jobs, _TOKENS, strict=False)]
        _applied(transaction, [*claims, _curve(0, 1, 1, 2), _curve(1, 1, 1), _curve(0, 2, 2, 3, loss=2.0)])
    with desk.store.transaction() as transaction:
        many = [_curve(0, 3, 4), _curve(2, 1, 1), _curve(0, 4, 3, loss=0.5), _curve(1, 2, 2), _curve(2, 2, 1, loss=9.0)]
        _applied(transaction, [*many, _finish(uid, two, _TOKENS[1], 3), _curve(0, 4, 9)])
    events: dict[str, list[tuple[Any, ...]]] = {job: [] for job in jobs}
    shown = select(Event.job_id, Event.kind, Event.times, Event.detail, Event.last_at).order_by(Event.pk)
    for job, kind, times, detail, last_at in desk.rows(shown.where(Event.job_id.is_not(None))):
        events[job].append((kind, times, detail, last_at is not None))
    claimed = ("claimed", 1, "", False)
    assert events[one] == [claimed, ("reported", 4, "step 3  loss 0.5  step 3", True)]
    assert events[two] == [claimed, ("reported", 2, "step 2  loss 1  step 2", True), ("ended", 1, "DONE", False)]
    assert events[three] == [claimed, ("reported", 2, "step 1  loss 9  step 1", True)]
    of_loss = select(Job.job_id, CurvePoint.step, CurvePoint.value).where(CurvePoint.name == "loss")
    found = desk.rows(of_loss.join(Job, Job.pk == CurvePoint.job_pk).order_by(CurvePoint.step))
    curves = {job: [(step, value) for of_job, step, value in found if of_job == job] for job in jobs}
    assert curves[one] == [(1, 1.0), (2, 2.0), (3, 0.5), (4, 1.0)]
    assert (curves[two], curves[three]) == ([(1, 1.0), (2, 1.0)], [(1, 9.0)])


def test_a_batch_of_reports_takes_as_many_statements_as_one(desk: Desk) -> None:
    experiment = desk.add()
    uid, jobs = experiment.uid, desk.push(experiment, *[NewJob(hyperparameters={"x": 1}) for _ in range(8)])
    with desk.store.transaction() as transaction:
        _applied(transaction, [_claim(uid, job, token) for job, token in zip(jobs, _TOKENS, strict=True)])

    def _statements(sequence: int, numbers: range) -> int:
        named = [{"experiment_uid": uid, "job_id": jobs[n], "token": _TOKENS[n], "sequence": sequence} for n in numbers]
        points = [Point(step=sequence, values={"loss": 1.0})]
        with desk.store.transaction() as transaction, _counted(transaction) as counts:
            progress: list[Report[Any]] = [
                Progress(**each, results={"loss": 1.0}, quality=1.0, points=points) for each in named
            ]
            _applied(transaction, progress)
            transaction.write()
        return counts["written"] + counts["read"]

    _statements(1, range(8))
    assert _statements(2, range(1)) == _statements(2, range(1, 8)) < 12


@contextlib.contextmanager
def _counted(transaction: Transaction) -> Iterator[Counter[str]]:
    """Count the prepared statements that run, and let no other run."""
    counts: Counter[str] = Counter()
    write, read = Prepared.write, Prepared.read

    def _write(self: Prepared, sql: Any, rows: Any) -> Any:
        counts["written"] += 1
        return write(self, sql, rows)

    def _read(self: Prepared, sql: Any, values: Any) -> Any:
        counts["read"] += 1
        return read(self, sql, values)

    def _refuse(*_arguments: Any) -> None:
        raise AssertionError("a statement that is not prepared")

    sql = transaction.sql_before_writes
    event.listen(sql, "before_cursor_execute", _refuse)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Prepared, "write", _write)
        patch.setattr(Prepared, "read", _read)
        yield counts
    event.remove(sql, "before_cursor_execute", _refuse)


def test_whatever_is_read_sees_what_waits(desk: Desk) -> None:
    experiment = desk.add()
    (job,) = desk.push(experiment)
    with desk.store.transaction() as transaction:
        rows = JobRows(transaction, lease_seconds=LEASE_SECONDS)
        row = rows.find(experiment.uid, job)
        assert row is not None
        rows.move(row, state_of(row), worker="node")
        moved = rows.find(experiment.uid, job)
        assert moved is not None
        assert (moved.worker, moved.revision) == ("node", row.revision + 1)
        assert transaction.sql_before_writes.scalar(select(Job.worker)) is None
        Journal(transaction).record("x", "", experiment_pk=None)
        assert transaction.sql.scalar(select(Job.worker)) == "node"
        assert transaction.sql.scalar(select(func.count()).where(Event.kind == "x")) == 1


def test_a_row_that_another_has_changed_is_not_written(desk: Desk) -> None:
    experiment = desk.add()
    (job,) = desk.push(experiment)
    with pytest.raises(RuntimeError, match="two writers"), desk.store.transaction() as transaction:
        rows = JobRows(transaction, lease_seconds=LEASE_SECONDS)
        row = rows.find(experiment.uid, job)
        assert row is not None
        transaction.sql_before_writes.execute(text("UPDATE job SET revision = revision + 1"))
        rows.move(row, state_of(row), worker="node")
    with desk.store.transaction() as transaction:
        assert transaction.sql.scalar(select(Job.worker)) is None


def test_a_verdict_on_a_row_that_has_moved_since_is_refused(desk: Desk) -> None:
    experiment = desk.add()
    (job,) = desk.push(experiment)
    with pytest.raises(RuntimeError, match=f"Job {job} changed"), desk.store.transaction() as transaction:
        rows = JobRows(transaction, lease_seconds=LEASE_SECONDS)
        row = rows.find(experiment.uid, job)
        assert row is not None
        rows.move(row, state_of(row), worker="one")
        rows.move(row, state_of(row), worker="two")


def test_prepared_statements_convert_values_as_others_do(desk: Desk) -> None:
    experiment = desk.add()
    desk.push(experiment)
    columns = (Job.job_id, Job.quality, Job.created_at, Job.finished_at, Experiment.paused, Experiment.timed_from)
    statement = select(*columns).join_from(Job, Experiment, Job.experiment_pk == Experiment.pk)
    now = datetime(2026, 1, 2, 3, 4, 5, 60, tzinfo=UTC).astimezone(tz=None)
    since = statement.where(Job.created_at > bindparam("since"))
    with desk.store.transaction() as transaction:
        sql = transaction.sql
        whole = [list(row) for row in sql.execute(statement)]
        assert Prepared(statement).read(sql, {}) == whole
        assert len(Prepared(since).read(sql, {"since": now - timedelta(days=9999)})) == 1
        assert Prepared(since).read(sql, {"since": now + timedelta(days=9999)}) == []
        keys = ["job_pk", "source", "name", "experiment_pk", "number", "text"]
        row = dict(zip(keys, (1, "result", "loss", experiment.position, 0.5, None), strict=True))
        assert Prepared(insert(JobValue), keys).write(sql, [row, {**row, "name": "other"}]).rowcount == 2


def test_prepared_statements_fail_as_others_do(desk: Desk) -> None:
    insert_event = Prepared(insert(Event), ["at", "kind", "detail", "times"])
    event = {"at": datetime.now(UTC), "kind": "x", "detail": "", "times": 1}
    with pytest.raises(IntegrityError) as refused, desk.store.transaction() as transaction:
        insert_event.write(transaction.sql, [{**event, "kind": None}])
    assert is_fault_of_data(refused.value)
    if desk.store.engine.dialect.name == "postgresql":
        with pytest.raises(DataError) as broken, desk.store.transaction() as transaction:
            insert_event.write(transaction.sql, [{**event, "detail": "\x00"}])
        assert is_fault_of_data(broken.value)
        cut = text("SELECT pg_terminate_backend(pg_backend_pid())")
        with pytest.raises(StoreError), desk.store.transaction() as transaction:
            with pytest.raises(Exception, match="terminat"):
                transaction.sql.execute(cut)
            insert_event.write(transaction.sql, [event])
    with desk.store.transaction() as transaction:
        insert_event.write(transaction.sql, [event])
        assert transaction.sql.scalar(select(func.count()).where(Event.kind == "x")) == 1
