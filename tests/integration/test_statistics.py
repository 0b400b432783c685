"""The statistics by which PostgreSQL plans."""

from sqlalchemy import text

import schedy
from schedy.settings import Settings
from schedy_store.schema.engine import Store
from tests.support import PostgreSQL, running_service, wait_until

_ANALYSED = text("SELECT last_analyze IS NOT NULL FROM pg_stat_user_tables WHERE relname = 'job'")
"""Not by autovacuum, whose time is `last_autoanalyze`."""


def test_jobs_that_were_just_pushed_are_found_by_their_index(settings: Settings, postgresql: PostgreSQL) -> None:
    settings = settings.model_copy(update={"store_url": postgresql.new_database()})
    with running_service(settings), schedy.SchedyDB(config_override=settings.model_dump()) as db:
        experiment = schedy.ManualSearch("Grown")
        db.add_experiment(experiment)
        experiment.add_jobs({"hyperparameters": {"x": x}} for x in range(2000))
        store = Store.open(str(settings.store_url), read_only=True)

        def _is_analysed() -> bool:
            with store.transaction() as transaction:
                return bool(transaction.sql.scalar(_ANALYSED))

        wait_until(_is_analysed, what="the table to be analysed")
        store.close()
