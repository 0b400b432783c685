"""`schedy store`: care of the database."""

import contextlib
import sqlite3
from pathlib import Path

import click

from schedy.errors import StoreError
from schedy.escaping import printable
from schedy_cli.context import settings_of
from schedy_cli.printing.messages import print_message

_BUSY_SECONDS = 1.0
_MEGABYTE = 1e6


@click.group("store", epilog="Example: schedy store vacuum")
def store_command() -> None:
    """Take care of the store."""


@store_command.command("vacuum", epilog="Example: schedy store vacuum", short_help="Give room back.")
@click.pass_context
def vacuum_command(ctx: click.Context) -> None:
    """Give the room of what was deleted from a SQLite store back to the disk.

    The results service must not run meanwhile. Until then the store uses that room again for new jobs, so that there is
    no need for it unless the disk is short of room. It takes some seconds for each gigabyte, and as much room on the
    disk as the store has afterwards. PostgreSQL does the same by itself.
    """
    from schedy_store.schema.engine import Store  # noqa: PLC0415 - slow to import
    from schedy_store.schema.migrating import sqlite_file  # noqa: PLC0415
    from schedy_store.service.home import served  # noqa: PLC0415

    with contextlib.closing(Store.open(settings_of(ctx).effective_store_url, read_only=True)) as store:
        store.check_schema()
        if store.engine.dialect.name != "sqlite":
            raise StoreError(
                "The store is in PostgreSQL, which uses the room of what was deleted again by itself. `VACUUM FULL` in"
                " psql gives it back to the disk."
            )
        with store.transaction() as transaction:
            found, path = served(transaction), sqlite_file(transaction.sql)
        if found.is_active:
            raise StoreError(
                f"The results service {printable(found.instance)} uses the store. Stop it first (`schedy down`, or"
                " Ctrl-C for `schedy serve`); if it was killed, wait half a minute."
            )
    before = _size(path)
    _vacuum(path)
    after = _size(path)
    print_message(
        f"Gave {max(0, before - after) / _MEGABYTE:,.1f} MB back: {path} has {after / _MEGABYTE:,.1f} MB now."
    )


def _vacuum(path: Path) -> None:
    """Raises StoreError."""
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)) as database:
            database.execute("VACUUM")
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        raise StoreError(
            f"The store {path} stays as it was: {error}. It must not be in use, and the disk needs as much room"
            " again as the store will have."
        ) from error


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in (path, path.with_name(f"{path.name}-wal")) if file.exists())
