"""Errors of the database in words: each remedy is one for that fault."""

import pytest
from sqlalchemy.exc import OperationalError

from schedy_store.schema.faults import store_error

AT_PORT = 'connection failed: connection to server at "127.0.0.1", port 5432 failed: '


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        (AT_PORT + 'FATAL:  database "schedy" does not exist', "is not there. Create the database"),
        (AT_PORT + "FATAL:  no such database: schedy", "is not there. Create the database"),
        (AT_PORT + 'FATAL:  role "schedy" does not exist', "does not know the user. Create the user"),
        (AT_PORT + 'FATAL:  password authentication failed for user "schedy"', "refuses the user or the password"),
        (AT_PORT + "Connection refused\n\tIs the server running?", "is not reachable. Start PostgreSQL"),
        (AT_PORT + "FATAL:  the database system is starting up", "is starting or stopping. Wait"),
        (AT_PORT + "FATAL:  sorry, too many clients already", "takes no more connections"),
        (AT_PORT + "FATAL:  unsupported startup parameter: options", "is behind PgBouncer"),
        ("query_wait_timeout", "takes no more connections"),
        ('prepared statement "_pg3_2" does not exist', "cannot be used"),
        ("bind message supplies 0 parameters, but prepared statement needs 2", "cannot be used"),
        ('relation "job" does not exist\nLINE 1: SELECT 1\n', "does not have the tables of this version of Schedy"),
        ("no such column: job.ended", "does not have the tables of this version of Schedy"),
        ("cannot execute UPDATE in a read-only transaction", "is read-only: the server is a standby"),
        ("attempt to write a readonly database", "is read-only. Give this user the right to write the file"),
        ("permission denied for schema public", "does not give this user a right. Make the user the owner"),
        ("failed to resolve host 'pg': Name or service not known", "is on a host whose name cannot be resolved"),
        ("connection timeout expired", "does not answer"),
        (AT_PORT + "received invalid response to SSL negotiation: H", "is no PostgreSQL server. Check host and port"),
        ("disk I/O error", "cannot be read or written. See that its disk has room"),
        ("database or disk is full", "has no room left on its disk"),
    ],
)
def test_advice(reason: str, advice: str) -> None:
    error = store_error(OperationalError("SELECT 1", {}, Exception(reason)), "postgresql+psycopg://u:secret@h/schedy")
    assert advice in str(error)
    assert reason.splitlines()[0] in str(error)
    assert "secret" not in str(error)
    assert str(error).startswith("The store postgresql+psycopg://u@h/schedy ")


def test_of_several_addresses_the_last_is_named() -> None:
    reason = (
        "Multiple connection attempts failed. All failures were:\n"
        "- host: 'h', port: 5432, hostaddr: '::1': connection failed: connection refused\n"
        "- host: 'h', port: 5432, hostaddr: '127.0.0.1': connection failed: connection refused"
    )
    error = store_error(OperationalError("SELECT 1", {}, Exception(reason)), "postgresql+psycopg://h/schedy")
    assert "is not reachable" in str(error)
    assert "127.0.0.1" in str(error)
