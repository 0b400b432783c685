"""Reads of the store, for requests that come from many browsers at once."""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from schedy.errors import NotFoundError, SchedyError
from schedy.results.ask import Ask
from schedy.wire.answers import expected
from schedy.wire.base import A
from schedy.wire.records import ExperimentRecord, JobRecord
from schedy.wire.requests import GetExperiments, GetJobs, Request
from schedy_store.reads import answer_request
from schedy_store.schema.engine import Store, Transaction

_AT_ONCE = 4
_LONGEST_SECONDS = 2.0
_STEPS = 20_000
"""Steps of SQLite's machine between two looks at the clock."""
_QUERY_CANCELED = "57014"
"""PostgreSQL's SQLSTATE of a statement that took longer than `statement_timeout`."""


class TooSlowError(SchedyError):
    """A read was ended because it took too long."""


class StoreReads:
    """Answers reads, at most four at once. Any thread may use it."""

    def __init__(self, store: Store, *, longest_seconds: float = _LONGEST_SECONDS) -> None:
        self.store = store
        self._longest_seconds = longest_seconds
        self._room = threading.BoundedSemaphore(_AT_ONCE)

    def ask(self, request: Request[A]) -> A:
        """Return the answer. Raises SchedyError for a refusal, StoreError if the store cannot be read."""
        with self.transaction() as transaction:
            return expected(request, answer_request(transaction, request))

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Run statements as one read, for `longest_seconds` at most. Raises StoreError, and TooSlowError."""
        with self._room, self.store.transaction() as transaction:
            deadline = time.monotonic() + self._longest_seconds
            try:
                with _ended_at(transaction, deadline):
                    yield transaction
            except OperationalError as error:
                if not _was_ended(error):
                    raise
                raise TooSlowError(
                    f"This would take longer than {self._longest_seconds:g} s. Add a condition, or leave out the order."
                ) from error


def _was_ended(error: OperationalError) -> bool:
    """Tell whether the database has ended a statement because it was told to."""
    sqlite_name, sqlstate = (getattr(error.orig, name, None) for name in ("sqlite_errorname", "sqlstate"))
    return sqlite_name == "SQLITE_INTERRUPT" or sqlstate == _QUERY_CANCELED


@contextlib.contextmanager
def _ended_at(transaction: Transaction, deadline: float) -> Iterator[None]:
    """Have the database end a statement that goes on after the deadline."""
    sql = transaction.sql
    if sql.dialect.name != "sqlite":
        milliseconds = f"{max(1, round((deadline - time.monotonic()) * 1000))}"
        sql.execute(select(func.set_config("statement_timeout", milliseconds, True)))
        yield
        return
    raw: Any = sql.connection.driver_connection
    raw.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
    try:
        yield
    finally:
        raw.set_progress_handler(None, 0)


def experiment_numbered(ask: Ask, number: int) -> ExperimentRecord:
    """Return the experiment of that number. Raises NotFoundError."""
    found = ask(GetExperiments(after=number - 1, limit=1)).experiments
    if not found or found[0].position != number:
        raise NotFoundError(f"There is no experiment number {number}: it was removed, or the store is another one.")
    return found[0]


def jobs_at(ask: Ask, experiment: ExperimentRecord, positions: list[int]) -> list[JobRecord]:
    """Return jobs in the order of their positions, without those deleted meanwhile."""
    jobs: list[JobRecord] = []
    start = 0
    while start < len(positions):
        page = positions[start : start + 500]
        answer = ask(GetJobs(experiment_uid=experiment.uid, positions=page))
        jobs += answer.jobs
        start += page.index(answer.jobs[-1].position) + 1 if answer.more else len(page)
    return jobs


def job_with_id(ask: Ask, experiment: ExperimentRecord, job_id: str) -> JobRecord:
    """Return a job. Raises NotFoundError."""
    return ask(GetJobs(experiment_uid=experiment.uid, job_id=job_id)).jobs[0]
