"""Errors of the database: whether a message or the database is at fault, and what to do about it."""

import re

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError

from schedy.errors import StoreError
from schedy.urls import without_password

_SQLSTATES_OF_DATA = {"22", "23", "54"}
"""PostgreSQL's classes of bad data, broken constraints, and values larger than an index takes."""
_SEVERAL_ATTEMPTS = "Multiple connection attempts failed"


def is_fault_of_data(error: BaseException) -> bool:
    """Tell whether an error comes from a value: the message is at fault, and not the database."""
    if not isinstance(error, DBAPIError):
        return not isinstance(error, SQLAlchemyError | StoreError | OSError)
    if error.connection_invalidated:
        return False
    sqlstate = getattr(error.orig, "sqlstate", None) or ""
    return isinstance(error, IntegrityError | DataError) or sqlstate[:2] in _SQLSTATES_OF_DATA


def store_error(error: SQLAlchemyError, url: str) -> StoreError:
    """Return the error in words, with what to do about it."""
    reason = _reason(error)
    place = without_password(url)
    for sign, advice in _ADVICE.items():
        if re.search(sign, reason.lower()):
            return StoreError(f"The store {place} {advice} ({reason}).")
    return StoreError(f"The store {place} cannot be used: {reason}.")


def _reason(error: SQLAlchemyError) -> str:
    """Return the line that names the fault; of several addresses that were tried, that of the last."""
    lines = str(getattr(error, "orig", None) or error).strip().splitlines()
    if lines[0].startswith(_SEVERAL_ATTEMPTS):
        return lines[-1].removeprefix("- ").rstrip(".")
    return lines[0].rstrip(".")


_ADVICE = {
    "database is locked": "is locked by another program. End it, or wait",
    "disk is full|no space left|could not extend file": "has no room left on its disk. Make room; reports wait in the"
    " broker",
    "readonly": "is read-only. Give this user the right to write the file and its folder, or mount its disk for"
    " writing",
    "read-only": "is read-only: the server is a standby, or default_transaction_read_only is on. Use a server that"
    " takes writes",
    "unable to open": "cannot be opened. Check that file and folder exist and belong to this user",
    "disk i/o error": "cannot be read or written. See that its disk has room, and is sound",
    "not a database": "is not an SQLite database. Check the store URL",
    "malformed": "is damaged. Restore a backup",
    "(password|sasl|scram) authentication failed|auth failed": "refuses the user or the password. Check"
    " SCHEDY_STORE_URL",
    r'role ".*" does not exist|no such user': "does not know the user. Create the user or check SCHEDY_STORE_URL",
    r'database ".*" does not exist|no such database': "is not there. Create the database or check SCHEDY_STORE_URL",
    r'(relation|column) ".*" does not exist|no such (table|column)': "does not have the tables of this version of"
    " Schedy. Restore a backup, or start with an empty database",
    "permission denied": "does not give this user a right. Make the user the owner of the database",
    "connection refused": "is not reachable. Start PostgreSQL or check SCHEDY_STORE_URL",
    "failed to resolve|could not translate host|name or service not known": "is on a host whose name cannot be"
    " resolved. Check SCHEDY_STORE_URL",
    "connection timeout|timeout expired|no route to host": "does not answer. Check SCHEDY_STORE_URL and the network",
    "invalid response to ssl|expected authentication request": "is no PostgreSQL server. Check host and port in"
    " SCHEDY_STORE_URL",
    "is starting up|is shutting down|in recovery mode": "is starting or stopping. Wait",
    "too many (clients|connections)|connection slots|no more connections|query_wait_timeout": "takes no more"
    " connections. End other programs, or raise max_connections (of PgBouncer: default_pool_size, max_client_conn)",
    "unsupported startup parameter": "is behind PgBouncer, which does not take an option of the URL. Remove the option"
    " from SCHEDY_STORE_URL, or add it to PgBouncer's ignore_startup_parameters",
}
"""Signs, as regular expressions, of the words of SQLite, PostgreSQL, psycopg and PgBouncer."""
