"""Statements that run for every report, with as little between them and the database as can be.

SQLAlchemy takes ten times as long to execute a statement as SQLite does to run it. A prepared one is compiled by
SQLAlchemy once, for each database; its values are converted by SQLAlchemy's types, and it goes to the driver as text.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Dialect, Select
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

T = TypeVar("T")
Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class _Form:
    """A statement as a driver takes it."""

    text: str
    constants: Mapping[str, Any]
    """Parameters that the statement brings along."""
    converts: Sequence[tuple[str, Convert]]
    """Parameters that are converted."""
    names: Sequence[str] | None
    """The parameters in order; None: by name."""

    def parameters(self, values: Mapping[str, Any]) -> Any:
        given = {**self.constants, **values}
        for name, convert in self.converts:
            given[name] = convert(given[name])
        return given if self.names is None else [given[name] for name in self.names]


@contextlib.contextmanager
def together(sql: Connection) -> Iterator[None]:
    """Send what is written within to PostgreSQL without waiting for each answer; all are there afterwards."""
    if sql.dialect.name != "postgresql":
        yield
        return
    raw: Any = sql.connection.dbapi_connection
    try:
        with raw.pipeline():
            yield
    except Exception as error:
        raise _wrapped(error, sql, "several statements") from error


class Prepared:
    """A statement whose parameters get their values by name; an insert is told for which columns: its `keys`."""

    def __init__(self, statement: ClauseElement, keys: Sequence[str] | None = None) -> None:
        self._statement = statement
        self._keys = keys
        self._forms: dict[str, _Form] = {}
        self._columns: dict[str, list[tuple[int, Convert]]] = {}
        """Places of selected columns that are converted, known with the first answer."""

    def run(self, sql: Connection) -> None:
        """Run it once, without parameters."""
        form = self._form(sql.dialect)
        cursor = sql.connection.cursor()
        try:
            cursor.execute(form.text)
        except Exception as error:
            raise _wrapped(error, sql, form.text) from error
        finally:
            cursor.close()

    def write(self, sql: Connection, rows: Sequence[Mapping[str, Any]]) -> DBAPICursor:
        """Run it for each of the rows; the cursor tells, after `together`, how many rows it has changed."""
        form = self._form(sql.dialect)
        parameters = [form.parameters(row) for row in rows]
        cursor = sql.connection.cursor()
        try:
            cursor.executemany(form.text, parameters)
        except Exception as error:
            raise _wrapped(error, sql, form.text) from error
        return cursor

    def read(self, sql: Connection, values: Mapping[str, Any]) -> list[list[Any]]:
        """Return what it selects."""
        form = self._form(sql.dialect)
        cursor = sql.connection.cursor()
        try:
            cursor.execute(form.text, form.parameters(values))
            columns = self._columns.get(sql.dialect.name)
            if columns is None:
                columns = self._columns[sql.dialect.name] = self._converted_columns(sql.dialect, cursor)
            return [_converted(found, columns) for found in cursor.fetchall()]
        except Exception as error:
            raise _wrapped(error, sql, form.text) from error
        finally:
            cursor.close()

    def _form(self, dialect: Dialect) -> _Form:
        form = self._forms.get(dialect.name)
        if form is None:
            form = self._forms[dialect.name] = _compiled(self._statement, self._keys, dialect)
        return form

    def _converted_columns(self, dialect: Dialect, cursor: DBAPICursor) -> list[tuple[int, Convert]]:
        selected: Iterable[ColumnElement[Any]] = (
            self._statement.selected_columns if isinstance(self._statement, Select) else []
        )
        codes = [column[1] for column in cursor.description]
        converts = [
            _dialect_type(column.type, dialect).result_processor(dialect, code)
            for column, code in zip(selected, codes, strict=True)
        ]
        return [(place, convert) for place, convert in enumerate(converts) if convert is not None]


def padded(values: Sequence[T]) -> Sequence[T]:
    """Return values with the last one repeated, so that lists of all lengths need few different statements."""
    count = 1 << (len(values) - 1).bit_length()
    return [*values, *[values[-1]] * (count - len(values))]


def _converted(found: Sequence[Any], columns: Sequence[tuple[int, Convert]]) -> list[Any]:
    row = list(found)
    for place, convert in columns:
        row[place] = convert(row[place])
    return row


def _compiled(statement: ClauseElement, keys: Sequence[str] | None, dialect: Dialect) -> _Form:
    compiled = statement.compile(dialect=dialect, column_keys=keys)
    assert isinstance(compiled, SQLCompiler)  # noqa: S101 - a statement, not DDL
    binds = {name: _dialect_type(bind.type, dialect).bind_processor(dialect) for name, bind in compiled.binds.items()}
    return _Form(
        compiled.string,
        constants={name: bind.value for name, bind in compiled.binds.items() if not bind.required},
        converts=[(name, convert) for name, convert in binds.items() if convert is not None],
        names=compiled.positiontup if compiled.positional else None,
    )


def _dialect_type(kind: TypeEngine[Any], dialect: Dialect) -> TypeEngine[Any]:
    return kind.dialect_impl(dialect)


def _wrapped(error: Exception, sql: Connection, text: str) -> Exception:
    """Return the driver's error as SQLAlchemy raises it; a lost connection is not used again."""
    driver = sql.dialect.loaded_dbapi
    if not isinstance(error, driver.Error):
        return error
    is_lost = sql.dialect.is_disconnect(error, sql.connection.dbapi_connection, None)
    if is_lost:
        sql.invalidate(error)
    return DBAPIError.instance(
        text, {}, error, driver.Error, hide_parameters=True, connection_invalidated=is_lost, dialect=sql.dialect
    )
