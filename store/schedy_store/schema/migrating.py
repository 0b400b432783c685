"""Migrations: bringing a store to the schema of this version, with nothing lost on the way."""

import contextlib
import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from schedy.errors import StoreError

_POSITIONS = text("SELECT name, seq FROM sqlite_sequence")
_RAISE_EPOCH = text("UPDATE service SET epoch = epoch + 1")


class Migrations:
    """The migrations in a folder. The revision of a store is the number of the latest that it has seen."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.latest = max(path.name[1:5] for path in (folder / "versions").glob("v[0-9][0-9][0-9][0-9]_*.py"))

    def upgrade(self, engine: Engine, *, to: str = "") -> str:
        """Upgrade a store to a revision, by default the latest, all or nothing. Returns what users of it should know.

        A SQLite store is copied first. The epoch grows before anything else: that deposes an instance of an older
        version, which does not know the new schema. Raises StoreError, and the errors of SQLAlchemy as they are.
        """
        to = to or self.latest
        with _connection(engine) as sql, sql.begin():
            before = revision_of(sql)
            if before == to:
                return ""  # another instance was faster
            if before is not None:
                sql.execute(_RAISE_EPOCH)
            if before is None or engine.dialect.name != "sqlite":
                backup = None
                self._run(sql, to)
            else:
                backup = _back_up(sql, before)
                self._upgrade_sqlite(sql, to)
        if before is None:
            return ""
        kept = "" if backup is None else f" As it was before, it is in {backup}."
        return f"The store was upgraded from revision {before} to {to}.{kept}"

    def _upgrade_sqlite(self, sql: Connection, to: str) -> None:
        positions = sql.execute(_POSITIONS).all()
        self._run(sql, to)
        for name, position in positions:
            _keep_position(sql, name, position)
        broken = sql.exec_driver_sql("PRAGMA foreign_key_check").all()
        if broken:
            raise StoreError(
                f"The store was not upgraded to revision {to}: {len(broken)} rows of the table {broken[0][0]} would"
                f" refer to nothing in the table {broken[0][2]}. Nothing was changed; go on with the version of before."
            )

    def _run(self, sql: Connection, to: str) -> None:
        from alembic import command  # noqa: PLC0415 - slow to import, and only a new or an older store needs it
        from alembic.config import Config  # noqa: PLC0415

        config = Config()
        config.set_main_option("script_location", str(self.folder).replace("%", "%%"))
        config.attributes["connection"] = sql
        command.upgrade(config, to)


MIGRATIONS = Migrations(Path(__file__).parent / "migrations")
"""Those of this version: `migrations/versions/v0001_first.py` is 0001."""


def revision_of(sql: Connection) -> str | None:
    """Return the revision of the schema, None for an empty database."""
    if not inspect(sql).has_table("alembic_version"):
        return None
    revision: str | None = sql.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


def sqlite_file(sql: Connection) -> Path:
    """Return the file of a SQLite store."""
    databases = sql.exec_driver_sql("PRAGMA database_list")
    return next(Path(file) for _number, name, file in databases if name == "main")


@contextlib.contextmanager
def _connection(engine: Engine) -> Iterator[Connection]:
    """Connect, on SQLite without foreign keys.

    SQLite changes a table by building it again and dropping the old one, and dropping would delete what refers to its
    rows. Foreign keys can be switched outside of a transaction only, so the connection does not go back to the pool.
    """
    with engine.connect() as sql:
        if engine.dialect.name == "sqlite":
            sql.detach()
            sqlite: sqlite3.Connection = sql.connection.dbapi_connection  # type: ignore[assignment]
            sqlite.execute("PRAGMA foreign_keys = OFF")
        yield sql


def _back_up(sql: Connection, revision: str) -> Path:
    """Copy a SQLite store to the file that is returned, as it is at the start of this transaction.

    Replaces a backup of the same revision.
    """
    store = sqlite_file(sql)
    backup = store.with_name(f"{store.name}.backup-{revision}")
    unfinished = store.with_name(f"{backup.name}.unfinished")
    try:
        unfinished.unlink(missing_ok=True)
        _create_like(unfinished, store)
        with (
            contextlib.closing(sqlite3.connect(store)) as source,
            contextlib.closing(sqlite3.connect(unfinished)) as to,
        ):
            source.backup(to)
        unfinished.replace(backup)
    except (OSError, sqlite3.Error) as error:
        unfinished.unlink(missing_ok=True)
        raise StoreError(
            f"The store was not upgraded, since its backup {backup} cannot be written ({error}). Make room, or make the"
            " folder one that this user may write."
        ) from error
    return backup


def _create_like(file: Path, like: Path) -> None:
    """Create a file with the mode and the owner of another."""
    as_this = like.stat()
    os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    with contextlib.suppress(PermissionError):  # only root may give files away
        os.chown(file, as_this.st_uid, as_this.st_gid)
    file.chmod(stat.S_IMODE(as_this.st_mode))


def _keep_position(sql: Connection, table: str, position: int) -> None:
    """Have a table that was built again number its rows as the old one would have: no position is used twice."""
    values = {"name": table, "seq": position}
    kept = sql.execute(text("UPDATE sqlite_sequence SET seq = max(seq, :seq) WHERE name = :name RETURNING 1"), values)
    if not kept.all():
        sql.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :seq)"), values)
