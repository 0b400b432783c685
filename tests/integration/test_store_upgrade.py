"""Upgrades: a filled store of each released revision loses nothing on the way to this one, or to a later one.

`tests/data/filled_REVISION.json` has the rows of a store as that revision wrote them. The later one is made up: it
builds `job` and `experiment` again, as SQLite needs it for most changes.
"""

import json
import logging
import shutil
import stat
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import select, text

from schedy.errors import StoreError
from schedy.wire.answers import ExperimentsAnswer, JobsAnswer
from schedy.wire.requests import GetExperiments, GetJobs
from schedy_store.reads import answer_request
from schedy_store.schema.engine import SCHEMA_REVISION, Store
from schedy_store.schema.migrating import MIGRATIONS, Migrations

RELEASED = ["0001"]
"""Revisions of released versions. Their migrations are never changed."""
DATA = Path(__file__).parents[1] / "data"
REBUILDS = '''
"""A made-up change of two tables to which others refer."""

import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{head}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    rebuild = "always" if op.get_bind().dialect.name == "sqlite" else "never"
    for table in ("job", "experiment"):
        kept = {{"sqlite_autoincrement": True}}
        with op.batch_alter_table(table, recreate=rebuild, table_kwargs=kept) as batch:
            batch.add_column(sa.Column("note", sa.Text(), nullable=True))
    {more}
'''

Rows = dict[str, list[dict[str, Any]]]


def later(folder: Path, *, more: str = "") -> Migrations:
    """Return the migrations of a made-up version that follows this one."""
    shutil.copytree(MIGRATIONS.folder, folder)
    source = REBUILDS.format(head=SCHEMA_REVISION, more=more)
    (folder / "versions" / "v9999_made_up.py").write_text(source)
    return Migrations(folder)


def filled(url: str, revision: str) -> Rows:
    """Make a store of a revision, and return its rows."""
    store = Store.open(url)
    MIGRATIONS.upgrade(store.engine, to=revision)
    rows: Rows = json.loads((DATA / f"filled_{revision}.json").read_text())
    metadata = sa.MetaData()
    metadata.reflect(store.engine)
    with store.engine.begin() as sql:
        for table in metadata.sorted_tables:
            if rows.get(table.name):
                sql.execute(sa.insert(table), [_typed(table, row) for row in rows[table.name]])
        if sql.dialect.name == "sqlite":
            sql.execute(text("UPDATE sqlite_sequence SET seq = 77 WHERE name IN ('job', 'experiment')"))
    store.close()
    return stored(url)


def _typed(table: sa.Table, row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: datetime.fromisoformat(value) if value and isinstance(table.c[name].type, sa.DateTime) else value
        for name, value in row.items()
    }


def stored(url: str) -> Rows:
    """Return all rows but those of the service and of Alembic."""
    store = Store.open(url)
    metadata = sa.MetaData()
    metadata.reflect(store.engine)
    with store.engine.connect() as sql:
        rows = {
            name: [dict(row._mapping) for row in sql.execute(select(table).order_by(*table.primary_key))]
            for name, table in metadata.tables.items()
            if name not in {"service", "alembic_version"}
        }
    store.close()
    return rows


def lost(before: Rows, after: Rows) -> dict[str, Any]:
    """Return what is no longer as it was; columns that were added do not count."""
    return {
        table: (rows, after.get(table))
        for table, rows in before.items()
        if [{name: row.get(name) for name in old} for old, row in zip(rows, after.get(table, []), strict=False)] != rows
        or len(after[table]) != len(rows)
    }


@pytest.fixture(params=RELEASED)
def revision(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/store.sqlite"


@pytest.fixture
def made_up(tmp_path: Path) -> Migrations:
    return later(tmp_path / "migrations")


def upgraded(url: str, migrations: Migrations) -> Store:
    store = Store.open(url, migrations=migrations)
    store.migrate(from_older=True)
    return store


def test_every_released_revision_is_tested() -> None:
    assert sorted(path.stem.removeprefix("filled_") for path in DATA.glob("filled_*.json")) == RELEASED


def test_to_this_version_nothing_is_lost(empty_store_url: str, revision: str) -> None:
    before = filled(empty_store_url, revision)
    store = upgraded(empty_store_url, MIGRATIONS)
    assert lost(before, stored(empty_store_url)) == {}
    with store.transaction() as transaction:
        found = answer_request(transaction, GetExperiments())
        assert isinstance(found, ExperimentsAnswer)
        for experiment in found.experiments:
            jobs = answer_request(transaction, GetJobs(experiment_uid=experiment.uid))
            assert isinstance(jobs, JobsAnswer)
            assert len(jobs.jobs) == sum(experiment.job_counts.values())
    store.close()


def test_when_tables_are_built_again_nothing_is_lost(empty_store_url: str, revision: str, made_up: Migrations) -> None:
    before = filled(empty_store_url, revision)
    store = upgraded(empty_store_url, made_up)
    assert lost(before, after := stored(empty_store_url)) == {}
    assert after["job"][0]["note"] is None
    assert store.schema_revision() == "9999"
    store.close()


def test_sqlite_has_its_foreign_keys_and_its_positions_after_it(
    sqlite_url: str, revision: str, made_up: Migrations
) -> None:
    filled(sqlite_url, revision)
    store = upgraded(sqlite_url, made_up)
    with store.transaction() as transaction:
        assert transaction.sql.scalar(text("PRAGMA foreign_keys")) == 1
        positions = transaction.sql.execute(text("SELECT name, seq FROM sqlite_sequence")).all()
        assert {("job", 77), ("experiment", 77)} <= {tuple(row) for row in positions}
        transaction.sql.execute(text("DELETE FROM job"))
        assert transaction.sql.scalar(text("SELECT count(*) FROM job_value")) == 0, "what refers to it goes with it"
    store.close()


@pytest.mark.parametrize("mode", [0o600, 0o640])
def test_sqlite_has_a_backup_beside_it(
    made_up: Migrations, tmp_path: Path, mode: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    sqlite_url, revision = f"sqlite:///{tmp_path}/store.sqlite", RELEASED[-1]
    before = filled(sqlite_url, revision)
    (tmp_path / "store.sqlite").chmod(mode)
    upgraded(sqlite_url, made_up).close()
    backup = tmp_path / f"store.sqlite.backup-{revision}"
    said = f"The store was upgraded from revision {revision} to 9999. As it was before, it is in {backup}."
    assert said in caplog.text
    assert stat.S_IMODE(backup.stat().st_mode) == mode
    assert backup.stat().st_uid == (tmp_path / "store.sqlite").stat().st_uid
    assert sorted(path.name for path in tmp_path.glob("store.sqlite*")) == ["store.sqlite", backup.name]
    assert stored(f"sqlite:///{backup}") == before


def test_a_new_store_needs_no_backup(sqlite_url: str, tmp_path: Path) -> None:
    upgraded(sqlite_url, MIGRATIONS).close()
    assert [path.name for path in tmp_path.glob("*backup*")] == []


def test_without_room_for_the_backup_nothing_is_upgraded(
    sqlite_url: str, revision: str, made_up: Migrations, tmp_path: Path
) -> None:
    before = filled(sqlite_url, revision)
    (tmp_path / f"store.sqlite.backup-{revision}" / "in the way").mkdir(parents=True)
    with pytest.raises(StoreError, match=r"was not upgraded, since its backup .* cannot be written .* Make room"):
        upgraded(sqlite_url, made_up)
    assert stored(sqlite_url) == before
    assert list(tmp_path.glob("*unfinished*")) == []


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ('op.execute("DELETE FROM experiment")', r"\d+ rows of the table \w+ would refer to nothing in the table"),
        ('op.execute("SELECT nonsense FROM job")', "no such column: nonsense"),
    ],
    ids=["rows that refer to nothing", "a statement that fails"],
)
def test_a_migration_that_fails_changes_nothing(
    sqlite_url: str, revision: str, tmp_path: Path, more: str, words: str
) -> None:
    before = filled(sqlite_url, revision)
    with pytest.raises(StoreError, match=words):
        upgraded(sqlite_url, later(tmp_path / "migrations", more=more))
    assert stored(sqlite_url) == before


def test_a_migration_deposes_the_active_instance(empty_store_url: str, revision: str, made_up: Migrations) -> None:
    filled(empty_store_url, revision)
    store = Store.open(empty_store_url)
    epochs = _epoch(store)
    upgraded(empty_store_url, made_up).close()
    assert _epoch(store) == epochs + 1
    with pytest.raises(StoreError, match=r"is newer \(9999\) than this version of Schedy .*Upgrade Schedy"):
        store.migrate(from_older=False)
    store.close()


def _epoch(store: Store) -> int:
    with store.transaction() as transaction:
        return int(transaction.sql.execute(text("SELECT epoch FROM service")).scalar_one())
