"""The store behind PgBouncer in transaction mode: each transaction may run on another connection of the server."""

from collections.abc import Iterator

import pytest
from sqlalchemy import insert, select, text

import schedy
from schedy.errors import StoreError
from schedy.settings import Settings
from schedy_store.schema.engine import Store
from schedy_store.schema.tables import AppliedChange
from tests.pgbouncer import PgBouncer
from tests.support import PostgreSQL, running_service, wait_until

POOL_SIZES = pytest.mark.parametrize("pgbouncer", [1, 3], ids=["pool of 1", "pool of 3"], indirect=True)


@pytest.fixture
def pgbouncer(postgresql: PostgreSQL, request: pytest.FixtureRequest) -> Iterator[PgBouncer]:
    started = PgBouncer(postgresql, pool_size=request.param)
    yield started
    started.end()


@POOL_SIZES
def test_a_reader_leaves_the_writer_as_it_was(postgresql: PostgreSQL, pgbouncer: PgBouncer) -> None:
    url = pgbouncer.url(postgresql.new_database())
    writer = Store.open(url)
    writer.migrate(from_older=False)
    reader = Store.open(url, read_only=True)
    for number in range(20):
        with reader.transaction() as transaction:
            assert len(transaction.sql.scalars(select(AppliedChange.request_id)).all()) == number
            assert transaction.sql.scalar(text("SHOW transaction_read_only")) == "on"
            assert transaction.sql.scalar(text("SHOW statement_timeout")) == "30s"
        with writer.transaction() as transaction:
            row = {"request_id": f"{number:032}", "at": transaction.now, "answer": ""}
            transaction.sql.execute(insert(AppliedChange), row)
            assert transaction.sql.scalar(text("SHOW idle_in_transaction_session_timeout")) == "15s"
            assert transaction.sql.scalar(text("SHOW statement_timeout")) == "0"
    with pytest.raises(StoreError, match="read-only"), reader.transaction() as transaction:
        transaction.sql.execute(insert(AppliedChange), row)
    reader.close()
    writer.close()


@POOL_SIZES
def test_the_service_stores_serves_reads_and_searches(
    settings: Settings, postgresql: PostgreSQL, pgbouncer: PgBouncer
) -> None:
    settings = settings.model_copy(update={"store_url": pgbouncer.url(postgresql.new_database())})
    with running_service(settings), schedy.SchedyDB(config_override=settings.model_dump()) as db:
        pushed = schedy.ManualSearch("Pushed")
        made = schedy.RandomSearch("Made", {"x": schedy.random.Uniform(0, 1)}, max_jobs=5, seed=1)
        db.add_experiment(pushed)
        db.add_experiment(made)
        for number in range(100):
            pushed.add_job({"x": number})
            assert (number % 10) or len(list(pushed.all_jobs())) == number + 1
        for experiment in (pushed, made):
            for _ in range(5):
                with experiment.next_job(timeout=20) as job:
                    job.results["y"] = 1
        wait_until(lambda: db.get_experiment("Made").status == schedy.Experiment.DONE, what="the end of the search")
        stored = [(job.hyperparameters["x"], job.status) for job in pushed.all_jobs()]
        assert [x for x, _status in stored] == list(range(100))
        assert [status for _x, status in stored].count("DONE") == 5


def test_a_database_that_pgbouncer_does_not_know(postgresql: PostgreSQL) -> None:
    bouncer = PgBouncer(postgresql, pool_size=1)
    store = Store.open(bouncer.url(postgresql.url("nowhere")))
    with pytest.raises(StoreError, match=r"is not there\. Create the database or check SCHEDY_STORE_URL"):
        store.schema_revision()
    store.close()
    bouncer.end()


def _prepared_after(url: str) -> int | None:
    store = Store.open(url)
    with store.engine.connect() as sql:
        found: int | None = sql.connection.dbapi_connection.prepare_threshold  # type: ignore[union-attr]
    store.close()
    return found


@POOL_SIZES
def test_statements_are_prepared_only_where_no_pool_is_between(postgresql: PostgreSQL, pgbouncer: PgBouncer) -> None:
    url = postgresql.new_database()
    assert _prepared_after(url) is not None
    assert _prepared_after(pgbouncer.url(url)) is None
