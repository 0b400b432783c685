"""What the service deletes in pieces: rows of removed experiments, and what is kept for a time only."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from schedy.settings import Settings
from schedy.wire.answers import ExperimentsAnswer, HistoryAnswer, RemovedAnswer, WorkersAnswer
from schedy.wire.changes import DeleteExperiment, NewJob
from schedy.wire.records import ExperimentRecord, Point
from schedy.wire.reports import Claim, Curve, Finish, Output
from schedy.wire.requests import GetExperiments, GetHistory, GetRemoved, GetWorkers
from schedy_cli.main import run
from schedy_store.lifecycle.effects import Effects
from schedy_store.schema.engine import Store, Transaction
from schedy_store.schema.tables import AttemptOutput, CurvePoint, Event, Job, Removal, Service
from schedy_store.service.chores import Chores
from tests.integration.test_store import LEASE_SECONDS, WORKER, Desk, fresh, told
from tests.support import PostgreSQL

DAY = 86_400.0
TABLES = (Event, CurvePoint, AttemptOutput, Job, Removal)


def counts(desk: Desk) -> list[int]:
    return [desk.rows(select(func.count()).select_from(table))[0][0] for table in TABLES]


def removed(desk: Desk) -> list[tuple[str, int]]:
    """Return the removed experiments with the jobs that each has left."""
    found = told(Effects(desk.read(GetRemoved())), RemovedAnswer).experiments
    return [(experiment.name, experiment.jobs) for experiment in found]


def work_on(desk: Desk, experiment: ExperimentRecord, job_id: str, *, ends: bool = True) -> None:
    """Report two points and some output, and end the job."""
    named = {"experiment_uid": experiment.uid, "job_id": job_id, "token": fresh()}
    assert desk.report(Claim(**named, worker=WORKER)).answer
    desk.report(Curve(**named, sequence=1, points=[Point(step=step, values={"loss": 1.0}) for step in (1, 2)]))
    desk.report(Output(**named, sequence=2, text="text", end=4))
    if ends:
        desk.report(Finish(**named, sequence=3, status="DONE", results={"loss": 1.0}, quality=1.0))


@pytest.fixture
def chores() -> Chores:
    return Chores(Settings())


def do_pieces(chores: Chores, store: Store, *, most: int = 1000) -> int:
    """Do so many pieces, or all; return how many there were."""
    pieces: list[Transaction] = []

    @contextlib.contextmanager
    def _transaction() -> Iterator[Transaction]:
        with store.transaction() as transaction:
            yield transaction
        pieces.append(transaction)

    with store.transaction() as transaction:
        chores.look(transaction)
    while len(pieces) < most and chores.seconds_to_next(9.0) < 9.0:
        chores.work(_transaction)
    return len(pieces)


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    opened = Store.open(store_url)
    yield opened
    opened.close()


@pytest.fixture
def desk(store: Store) -> Desk:
    return Desk(store)


@pytest.fixture
def experiment(desk: Desk) -> ExperimentRecord:
    return desk.add()


def test_a_removed_experiment_is_gone_at_once_and_its_rows_follow(
    desk: Desk, chores: Chores, caplog: pytest.LogCaptureFixture
) -> None:
    gone = desk.add("E")
    jobs = desk.push(gone, *[NewJob(hyperparameters={"x": 1})] * 250)
    for job_id in jobs[:3]:
        work_on(desk, gone, job_id, ends=job_id != jobs[0])
    desk.change(DeleteExperiment(request_id=fresh(), experiment_uid=gone.uid))
    new = desk.add("E")  # its name is free
    (job_id,) = desk.push(new)
    (found,) = told(Effects(desk.read(GetExperiments())), ExperimentsAnswer).experiments
    assert (found.uid, found.job_counts) == (new.uid, {"QUEUED": 1})
    desk.pass_seconds(LEASE_SECONDS * 2)
    assert desk.tick().log == []
    assert [worker.jobs for worker in told(Effects(desk.read(GetWorkers())), WorkersAnswer).workers] == [[]]
    events = told(Effects(desk.read(GetHistory())), HistoryAnswer).events
    assert [(event.kind, event.experiment) for event in events] == [("deleted", None)]
    with caplog.at_level(logging.INFO):
        assert do_pieces(chores, desk.store, most=3) == 3
        assert counts(desk) == [1, 0, 0, 1 + 150, 1]
        assert removed(desk) == [("E", 150)]
        chores = Chores(Settings())  # of an instance that takes over
        do_pieces(chores, desk.store)
    assert counts(desk) == [1, 0, 0, 1, 0]
    assert removed(desk) == []
    assert "E: deleted" in caplog.text
    assert "none is left" in caplog.text
    assert desk.job(new, job_id).status == "QUEUED"
    assert do_pieces(chores, desk.store) == 0


def test_a_piece_that_fails_is_done_again(desk: Desk, chores: Chores) -> None:
    gone = desk.add("E")
    desk.push(gone)
    desk.change(DeleteExperiment(request_id=fresh(), experiment_uid=gone.uid))

    @contextlib.contextmanager
    def _broken() -> Iterator[Transaction]:
        with desk.store.transaction() as transaction:
            yield transaction
            raise ZeroDivisionError

    for _piece in range(4):
        with desk.store.transaction() as transaction:
            chores.look(transaction)
        with pytest.raises(ZeroDivisionError):
            while chores.seconds_to_next(9.0) < 9.0:
                chores.work(_broken)
    assert counts(desk)[3:] == [1, 1]
    do_pieces(chores, desk.store)
    assert counts(desk)[3:] == [0, 0]


def test_what_is_old_is_deleted_and_nothing_else(desk: Desk, experiment: ExperimentRecord) -> None:
    early, running, late = desk.push(experiment, *[NewJob(hyperparameters={"x": 1})] * 3)
    work_on(desk, experiment, early)
    work_on(desk, experiment, running, ends=False)
    desk.pass_seconds(10 * DAY)
    work_on(desk, experiment, late)
    before = counts(desk)
    assert desk.do_chores() == []
    assert desk.do_chores(events_days=11, curves_days=11, outputs_days=11) == []
    assert counts(desk) == before == [8, 6, 3, 3, 0]
    assert desk.do_chores(events_days=9, curves_days=9, outputs_days=9) == [
        "Deleted 5 events older than 9 days.",
        "Deleted 2 points of learning curves of jobs that had ended for 9 days.",
        "Deleted 1 outputs of jobs that had ended for 9 days.",
    ]
    assert counts(desk) == [3, 4, 2, 3, 0]
    assert desk.rows(select(CurvePoint.job_pk).distinct().order_by(CurvePoint.job_pk)) == [(2,), (3,)]
    desk.pass_seconds(10 * DAY)
    desk.do_chores(curves_days=9)
    assert desk.rows(select(CurvePoint.job_pk).distinct()) == [(2,)]  # it has not ended


def test_room_is_given_back_while_no_service_works(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SCHEDY_STORE_URL", sqlite_url)
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    with contextlib.closing(Store.open(sqlite_url)) as store:
        desk = Desk(store)
        gone = desk.add("E")
        desk.push(gone, *[NewJob(hyperparameters={"x": "a" * 1000})] * 1000)
        desk.change(DeleteExperiment(request_id=fresh(), experiment_uid=gone.uid))
        desk.do_chores()
        with store.transaction() as transaction:
            transaction.sql.execute(update(Service).values(seen_at=transaction.now, instance="node:7"))
        assert run(["store", "vacuum"]) == 1
        assert "The results service node:7 uses the store. Stop it first" in capsys.readouterr().err
        with store.transaction() as transaction:
            transaction.sql.execute(update(Service).values(seen_at=None))
        with store.transaction():
            assert run(["store", "vacuum"]) == 1  # somebody writes without being the service
        assert "stays as it was: database is locked" in capsys.readouterr().err
    before = file.stat().st_size
    assert run(["store", "vacuum"]) == 0
    after = file.stat().st_size
    said = capsys.readouterr().err
    assert f"Gave {(before - after) / 1e6:,.1f} MB back: {file} has {after / 1e6:,.1f} MB now." in said
    assert after < before / 2


def test_postgresql_is_left_to_itself(
    postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SCHEDY_STORE_URL", postgresql.new_store())
    assert run(["store", "vacuum"]) == 1
    assert "uses the room of what was deleted again by itself" in capsys.readouterr().err
