"""Reads and timers that must not look at all of a million jobs: both databases find an index for each."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event

from schedy.wire.changes import NewJob
from schedy.wire.records import ExperimentRecord
from schedy.wire.requests import (
    GetCurves,
    GetExperiments,
    GetFields,
    GetHistory,
    GetJobOrder,
    GetJobs,
    GetWorkers,
    Request,
    SortField,
)
from schedy_store.lifecycle.leases import Leases
from schedy_store.lifecycle.removals import RemovedRows
from schedy_store.lifecycle.retention import Retention
from schedy_store.lifecycle.tickets import TicketDispatcher
from schedy_store.reads import answer_request
from schedy_store.reads.given_back import given_back_often
from schedy_store.schema.engine import Store
from tests.integration.test_store import Desk

_LOSS = SortField(source="result", name="loss")
_ID = SortField(source="column", name="id")
_STATUS = SortField(source="column", name="status")


@pytest.fixture
def desk(store_url: str) -> Iterator[Desk]:
    store = Store.open(store_url)
    store.migrate(from_older=False)
    yield Desk(store)
    store.close()


def test_no_read_and_no_timer_looks_at_all_jobs(desk: Desk) -> None:
    experiment = desk.add()
    ended = [NewJob(hyperparameters={"x": 1}, results={"loss": 0.5}, status="DONE") for _ in range(20)]
    desk.push(experiment, *ended, NewJob(hyperparameters={}))
    uid = experiment.uid
    orders = [
        GetJobOrder(
            experiment_uid=uid, sort=[field], decreasing=decreasing, limit=2, statuses=list(statuses), after=after
        )
        for field, statuses in ((_LOSS, ()), (_LOSS, ("DONE",)), (_ID, ()), (_STATUS, ()))
        for decreasing in (False, True)
        for after in (None, 3)
    ]
    pages: list[Request[Any]] = [GetHistory(experiment_uid=uid), GetHistory(experiment_uid=uid, newest=True)]
    reads: list[Request[Any]] = [
        GetExperiments(),
        GetFields(experiment_uid=uid),
        GetJobs(experiment_uid=uid),
        GetJobs(experiment_uid=uid, statuses=["CRASHED", "QUEUED"]),
        GetWorkers(),
    ]
    with desk.store.transaction() as transaction, _plans(transaction.sql) as plans:
        for read in (*orders, *pages):
            answer_request(transaction, read)
        unsorted = len(plans)
        for read in reads:
            answer_request(transaction, read)
        given_back_often(transaction)
        tickets = TicketDispatcher(window=10, lease_seconds=30)
        tickets.reset(transaction)
        tickets.overdue_experiments(transaction)
        tickets.recreated(transaction, [experiment.name])
        tickets.choose(transaction)
        leases = Leases(transaction, lease_seconds=30)
        leases.expire(10)
        leases.stop_overdue(10)
        tickets.withdraw(transaction, experiment.position)
        removed = RemovedRows(experiment.position, experiment.name)
        for sweep in (*Retention(events_days=1, curves_days=1, outputs_days=1).sweeps(transaction), removed):
            while sweep.piece(transaction):
                pass
    assert len(plans) > unsorted + len(reads)
    dialect = desk.store.engine.dialect.name
    assert [plan for plan in plans if re.search(_SCAN[dialect], plan)] == []
    assert [plan for plan in plans[:unsorted] if re.search(_SORT[dialect], plan)] == []


def test_jobs_by_their_positions_are_found_one_by_one(tmp_path: Path) -> None:
    """SQLite knows no sizes of tables that nobody has analysed, and would take an index on the experiment."""
    with contextlib.closing(Store.open(f"sqlite:///{tmp_path}/store.sqlite")) as store:
        store.migrate(from_older=False)
        desk = Desk(store)
        experiment = desk.add()
        desk.push(experiment, *[NewJob(hyperparameters={"x": 1}, status="DONE") for _ in range(20)])
        by_position = {"experiment_uid": experiment.uid, "positions": [1, 2, 3]}
        with store.transaction() as transaction, _plans(transaction.sql) as plans:
            for read in (GetJobs, GetCurves):
                answer_request(transaction, read(**by_position))
    of_jobs = [plan for plan in plans if "SEARCH job USING" in plan]
    assert len(of_jobs) >= 3
    assert [plan for plan in of_jobs if not re.search(r"SEARCH job USING .*rowid=\?", plan)] == []


def test_a_ticket_is_chosen_in_as_many_steps_however_many_jobs_wait(tmp_path: Path) -> None:
    with contextlib.closing(Store.open(f"sqlite:///{tmp_path}/store.sqlite")) as store:
        store.migrate(from_older=False)
        desk = Desk(store)
        experiment = desk.add()
        tickets = TicketDispatcher(window=10_000, lease_seconds=30)
        steps = [_steps_of_a_ticket(desk, tickets, experiment, more) for more in (10, 1000)]
    assert steps[1] < 1.5 * steps[0]


def _steps_of_a_ticket(desk: Desk, tickets: TicketDispatcher, experiment: ExperimentRecord, more: int) -> int:
    """Push and dispatch more jobs, then one; return how many steps SQLite takes to choose its ticket."""
    _dispatch(desk, tickets, experiment, more)
    desk.push(experiment, NewJob(hyperparameters={}))
    steps = 0

    def _count() -> int:
        nonlocal steps
        steps += 1
        return 0

    with desk.store.transaction() as transaction:
        raw: Any = transaction.sql.connection.dbapi_connection
        raw.set_progress_handler(_count, 1)
        tickets.wanting.add(experiment.position)
        chosen = tickets.choose(transaction)
        raw.set_progress_handler(None, 1)
        assert len(chosen) == 1
    return steps


def _dispatch(desk: Desk, tickets: TicketDispatcher, experiment: ExperimentRecord, jobs: int) -> None:
    desk.push(experiment, *[NewJob(hyperparameters={})] * jobs)
    tickets.wanting.add(experiment.position)
    with desk.store.transaction() as transaction:
        keys = [wanted.key for wanted in tickets.choose(transaction)]
        assert len(keys) == jobs
        tickets.mark_dispatched(transaction, keys)
    tickets.confirmed(keys)


_SCAN = {
    "sqlite": r"SCAN (job|job_value|event)\b(?!.* USING .*INDEX ix_job_(wants_ticket|given_back|held|lease))",
    "postgresql": r"Seq Scan on (job|job_value|event)\b",
}
"""A scan of what has a row for each job; in the indexes that may be scanned few jobs are."""
_SORT = {"sqlite": r"TEMP B-TREE FOR ORDER BY", "postgresql": r"\bSort  \(cost(?<!Incremental Sort  \(cost)"}
"""A sort of more than those that are equal in the first fields."""
_INDEXES_ONLY = ("enable_seqscan", "enable_bitmapscan", "enable_sort")


@contextlib.contextmanager
def _plans(sql: Connection) -> Iterator[list[str]]:
    """Collect the statements that run meanwhile, with their plans; on PostgreSQL those that large tables would have."""
    plans: list[str] = []
    is_sqlite = sql.dialect.name == "sqlite"

    def _explain(_sql: Connection, cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        if many or not statement.startswith(("SELECT", "WITH", "UPDATE", "DELETE")):
            return
        cursor.execute(f"{'EXPLAIN QUERY PLAN' if is_sqlite else 'EXPLAIN'} {statement}", parameters)
        plans.append("\n".join([statement, *(str(row[-1]) for row in cursor.fetchall())]))

    for setting in () if is_sqlite else _INDEXES_ONLY:
        sql.exec_driver_sql(f"SET LOCAL {setting} = off")
    event.listen(sql, "before_cursor_execute", _explain)
    yield plans
    event.remove(sql, "before_cursor_execute", _explain)
