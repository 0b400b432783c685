"""The database: engine, clock, transactions, revision of the schema.

PostgreSQL may be behind PgBouncer in transaction mode, where each transaction may run on another connection of the
server. So no connection is set up by SET: what a transaction needs it sets for itself, in the statement that asks for
the time. Statements are prepared by name only where no such pool is found.
"""

import contextlib
import logging
import os
import shutil
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, TypeVar

from sqlalchemy import Connection, Engine, Select, create_engine, event, func, literal_column, select, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from schedy.errors import StoreError
from schedy.urls import without_password
from schedy_store.schema.faults import is_fault_of_data, store_error
from schedy_store.schema.migrating import MIGRATIONS, Migrations, revision_of, sqlite_file
from schedy_store.schema.prepared import Prepared, together

SCHEMA_REVISION = MIGRATIONS.latest
"""The revision of the schema that this code works with."""

_log = logging.getLogger(__name__)

_POOL = "schedy"
# It logs with a traceback what we say in a StoreError: a server that has gone away.
logging.getLogger(f"sqlalchemy.pool.impl.QueuePool.{_POOL}").setLevel(logging.CRITICAL)

_EXPECTED = "Set SCHEDY_STORE_URL to sqlite:////path/file or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE."
_BUSY_MILLISECONDS = 5000
_BUSY_MILLISECONDS_OF_READERS = 2000
"""Somebody looks at a page meanwhile; a reader waits only for a program that wants the file for itself."""
_RECENT_SECONDS = 2.0
"""Time for which a connection that was used needs no test, nor a visit to the pool."""
_IDLE_TRANSACTION_MILLISECONDS = 15_000
_SQLITE_NOW = select(func.strftime(literal_column("'%Y-%m-%d %H:%M:%f'"), literal_column("'now'")))
_POSTGRESQL_CONNECTION = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
    "prepare_threshold": None,
}
"""A server that vanishes is given up within seconds, so that another instance can take over."""
_PREPARED_AFTER = 5
"""Times that a statement runs before it is prepared, on a connection that leads to one server process."""
_READ_MILLISECONDS = 30_000
_SETTINGS = {
    "idle_in_transaction_session_timeout": f"{_IDLE_TRANSACTION_MILLISECONDS}",
    "timezone": "UTC",
    "datestyle": "ISO",
}
"""Of each transaction on PostgreSQL: an instance that hangs inside one must not keep its successor waiting."""
_SETTINGS_OF_READERS = {"transaction_read_only": "on", "statement_timeout": f"{_READ_MILLISECONDS}"}
_NETWORK_FILE_SYSTEMS = {
    *("nfs", "nfs4", "cifs", "smb3", "smbfs", "lustre", "gpfs", "beegfs", "afs", "ceph", "glusterfs"),
    *("fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "pvfs2", "orangefs", "9p"),
}


class Waiting(ABC):
    """Writes of one kind that wait, so that those of many messages are one statement."""

    def prepare(self, sql: Connection) -> None:
        """Read what has to be known before anything that waits is written."""
        return

    @abstractmethod
    def write(self, sql: Connection) -> None:
        """Write what waits, by prepared statements, and forget what was read. Nothing can be read meanwhile."""

    def check(self) -> None:
        """Check what was written, once the database has it."""
        return


W = TypeVar("W", bound=Waiting)


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction and the database's time at its start. Its writes may wait, and nothing is read that they miss."""

    _sql: Connection
    now: datetime
    _waiting: dict[type[Any], Any] = field(default_factory=dict)

    @property
    def sql(self) -> Connection:
        """The connection, after all that waits was written: ask for it again for each statement."""
        self.write()
        return self._sql

    @property
    def sql_before_writes(self) -> Connection:
        """The connection as it is, to read what nothing that waits can change."""
        return self._sql

    def write(self) -> None:
        """Write all that waits."""
        if not self._waiting:
            return
        for waiting in self._waiting.values():
            waiting.prepare(self._sql)
        with together(self._sql):
            for waiting in self._waiting.values():
                waiting.write(self._sql)
        for waiting in self._waiting.values():
            waiting.check()

    def waiting(self, kind: type[W]) -> W:
        """Return the writes of this kind that wait."""
        found: W | None = self._waiting.get(kind)
        if found is None:
            found = self._waiting[kind] = kind()
        return found

    def at(self, now: datetime) -> Self:
        """Return the transaction at another time."""
        return replace(self, now=now)


class Store:
    """An open database. Thread-safe: each transaction has its own connection."""

    def __init__(self, engine: Engine, url: str, *, read_only: bool, migrations: Migrations) -> None:
        self._engine = engine
        self._migrations = migrations
        self.url = url
        self._kept: deque[tuple[Connection, float]] = deque()
        """Connections of transactions that have ended, and when; each transaction takes one, or the pool's."""
        settings = {**_SETTINGS, **_SETTINGS_OF_READERS} if read_only else _SETTINGS
        self._now = Prepared(_SQLITE_NOW if engine.dialect.name == "sqlite" else _postgresql_now(settings))

    @classmethod
    def open(cls, url: str, *, read_only: bool = False, migrations: Migrations = MIGRATIONS) -> Self:
        """Open the store at an SQLAlchemy URL.

        A reader never creates a store. Raises StoreError: unknown kind, missing, not reachable, on a network file
        system.
        """
        parsed = _parse(url)
        options: dict[str, Any] = {"pool_pre_ping": False}
        if parsed.get_backend_name() == "sqlite":
            parsed = _checked_sqlite(parsed, read_only=read_only)
        elif parsed.get_backend_name() == "postgresql":
            options.update(pool_size=3, pool_pre_ping=True, connect_args=_POSTGRESQL_CONNECTION)
            options.update(pool_logging_name=_POOL)
        else:
            raise StoreError(f"The store {without_password(url)} is neither SQLite nor PostgreSQL. {_EXPECTED}")
        try:
            engine = create_engine(parsed, **options)
        except (NoSuchModuleError, ModuleNotFoundError) as error:
            raise StoreError(f"{error}. Install the PostgreSQL driver: pip install 'schedy-mq[postgres]'.") from None
        if engine.dialect.name == "sqlite":
            _set_up_sqlite(engine, read_only=read_only)
        else:
            event.listen(engine, "connect", _prepare_if_direct)
        return cls(engine, url, read_only=read_only, migrations=migrations)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Run statements that are committed together. Raises StoreError for faults of the database.

        Errors in the data (DataError, IntegrityError of SQLAlchemy) are raised as they are.
        """
        with self._mapped_errors(), self._connected() as sql, sql.begin():
            transaction = Transaction(sql, _time(self._now.read(sql, {})[0][0]))
            yield transaction
            transaction.write()

    @contextlib.contextmanager
    def _connected(self) -> Iterator[Connection]:
        """Give a connection: the one of a transaction that has just ended, or else one of the pool, which tests it."""
        sql = self._recent()
        if sql is None:
            sql = self._engine.connect()
        try:
            yield sql
        except BaseException:
            sql.close()
            raise
        self._kept.append((sql, time.monotonic()))

    def _recent(self) -> Connection | None:
        """Return a connection used a moment ago; those that were used before go back to the pool."""
        while self._kept:
            try:
                sql, used_at = self._kept.pop()
            except IndexError:  # another thread has it
                return None
            if time.monotonic() - used_at < _RECENT_SECONDS:
                return sql
            sql.close()
        return None

    @contextlib.contextmanager
    def _mapped_errors(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            if is_fault_of_data(error):
                raise
            raise store_error(error, self.url) from error

    @property
    def engine(self) -> Engine:
        return self._engine

    def schema_revision(self) -> str | None:
        """Return the revision of the schema, None for an empty database."""
        with self._mapped_errors(), self._engine.connect() as sql:
            return revision_of(sql)

    def is_older(self) -> bool:
        """Return true for a store of an older version, which needs an upgrade."""
        revision = self.schema_revision()
        return revision is not None and revision < self._migrations.latest

    def check_schema(self) -> None:
        """Raise StoreError unless the schema is the one this code works with."""
        revision, expected = self.schema_revision(), self._migrations.latest
        place = without_password(self.url)
        if revision is None:
            raise StoreError(
                f"The store {place} is empty: no results service has used it. Start one: `schedy up` or `schedy serve`."
            )
        if revision > expected:
            raise StoreError(
                f"The store {place} is newer ({revision}) than this version of Schedy ({expected})."
                " Upgrade Schedy on this machine, and start again what runs here."
            )
        if revision < expected:
            commands = "`schedy up --migrate` (or `schedy serve --migrate`)"
            how = f"Upgrade it with {commands}, which makes a backup first."
            if self._engine.dialect.name != "sqlite":
                how = f"Back it up, then upgrade it with {commands}."
            raise StoreError(f"The store {place} is older ({revision}) than this version of Schedy ({expected}). {how}")

    def migrate(self, *, from_older: bool) -> str:
        """Give an empty database its tables; with `from_older` also bring an older schema up to date, and say so.

        Returns what was said, or an empty text. Raises StoreError as `check_schema` does.
        """
        said = ""
        revision, latest = self.schema_revision(), self._migrations.latest
        if revision is None or (from_older and revision < latest):
            try:
                said = self._migrations.upgrade(self._engine)
            except SQLAlchemyError as error:
                if self.schema_revision() != latest:  # else another instance did it at the same moment
                    raise store_error(error, self.url) from error
        if said:
            _log.info("%s", said)
        self.check_schema()
        return said

    def free_bytes(self) -> int | None:
        """Return the room that is left on the disk of a SQLite store, None for another store."""
        if self._engine.dialect.name != "sqlite":
            return None
        with self._mapped_errors(), self._engine.connect() as sql:
            return shutil.disk_usage(sqlite_file(sql).parent).free

    def close(self) -> None:
        while self._kept:
            self._kept.pop()[0].close()
        self._engine.dispose()


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise StoreError(f"The store URL cannot be read. {_EXPECTED}") from None
    if parsed.drivername == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    return parsed


def _checked_sqlite(url: URL, *, read_only: bool) -> URL:
    if not url.database or url.database == ":memory:":
        raise StoreError("A store in memory would be lost. Name a file: sqlite:////path/file.")
    path = Path(url.database).expanduser().absolute()
    kind = network_file_system(path)
    if kind is not None:
        raise StoreError(
            f"{path} is on a network file system ({kind}), where SQLite loses data. Choose a local folder with"
            " --data-dir or SCHEDY_DATA_DIR, or use PostgreSQL."
        )
    if not path.exists():
        if read_only:
            raise StoreError(f"There is no store at {path}. Start the results service: `schedy up` or `schedy serve`.")
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise StoreError(
                f"The store {path} cannot be created: {error.strerror}. Choose another folder with --data-dir, or check"
                " SCHEDY_STORE_URL."
            ) from None
    return url.set(database=f"file:{_quoted(path)}", query={"mode": "rw", "uri": "true"})


def _quoted(path: Path) -> str:
    return str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def network_file_system(path: Path, mounts: Path = Path("/proc/mounts")) -> str | None:
    """Return the type of the network file system that holds `path`, or None if it is a local one."""
    kind = _file_system(path, mounts)
    return kind if kind in _NETWORK_FILE_SYSTEMS else None


def _file_system(path: Path, mounts: Path) -> str:
    """Return the type of the file system that holds `path`, or an empty text where `mounts` does not tell."""
    existing = next(parent for parent in (path, *path.parents) if parent.exists()).resolve()
    best, kind = "", ""
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return ""
    for line in lines:
        _device, point, file_system, *_rest = line.split(" ")
        point = point.replace("\\040", " ")
        if existing.is_relative_to(point) and len(point) >= len(best):
            best, kind = point, file_system
    return kind


def _set_up_sqlite(engine: Engine, *, read_only: bool) -> None:
    event.listen(engine, "connect", lambda raw, _record: _set_up_connection(raw, read_only=read_only))
    begin = Prepared(text("BEGIN" if read_only else "BEGIN IMMEDIATE"))
    event.listen(engine, "begin", begin.run)


def _set_up_connection(raw: Any, *, read_only: bool) -> None:
    raw.isolation_level = None
    busy = _BUSY_MILLISECONDS_OF_READERS if read_only else _BUSY_MILLISECONDS
    pragmas = [f"busy_timeout = {busy}", "foreign_keys = ON"]
    pragmas += ["query_only = ON"] if read_only else ["journal_mode = WAL", "synchronous = FULL"]
    for pragma in pragmas:
        raw.execute(f"PRAGMA {pragma}")


def _prepare_if_direct(raw: Any, _record: object) -> None:
    """Let the driver prepare statements that it runs often, unless a pool is between it and the server.

    A pool of connections, such as PgBouncer, has a process id of its own to tell.
    """
    with raw.transaction():
        (pid,) = raw.execute("SELECT pg_backend_pid()").fetchone()
    if pid == raw.info.backend_pid:
        raw.prepare_threshold = _PREPARED_AFTER


def _postgresql_now(settings: dict[str, str]) -> Select[*tuple[Any, ...]]:
    """Return a statement that gives the time, and makes settings those of the transaction that runs it."""
    return select(func.clock_timestamp(), *(func.set_config(name, value, True) for name, value in settings.items()))


def _time(found: datetime | str) -> datetime:
    if isinstance(found, str):
        return datetime.fromisoformat(found).replace(tzinfo=UTC)
    return found.astimezone(UTC)
