"""Types of columns that SQLite and PostgreSQL have in common."""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, Double, Integer, SQLColumnExpression, TypeDecorator
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

Key = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers rows by itself only in a column of the type INTEGER."""


_SQLITE_CHARACTERS = len("2026-01-01 00:00:00.000000")


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time, in UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], str | None] | None:
        return _sqlite_text if dialect.name == "sqlite" else None

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None]:
        return _of_sqlite_text if dialect.name == "sqlite" else _in_utc


def _sqlite_text(value: datetime | None) -> str | None:
    if value is None:
        return None
    in_utc = value if value.tzinfo is UTC else value.astimezone(UTC)
    return in_utc.isoformat(" ", "microseconds")[:_SQLITE_CHARACTERS]


def _of_sqlite_text(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC)


def _in_utc(value: datetime | None) -> datetime | None:
    return None if value is None else value.astimezone(UTC)


class After(FunctionElement[datetime]):
    """A time, some seconds after another; in SQLite to the millisecond."""

    inherit_cache = True
    name = "after"
    type = UtcDateTime()

    def __init__(self, time: SQLColumnExpression[Any], seconds: SQLColumnExpression[Any]) -> None:
        super().__init__(time, seconds)


@compiles(After, "sqlite")
def _after_in_sqlite(element: After, compiler: SQLCompiler, **options: Any) -> str:
    time, seconds = (compiler.process(part, **options) for part in element.clauses)
    return f"(strftime('%Y-%m-%d %H:%M:%f', {time}, ({seconds}) || ' seconds') || '000')"


@compiles(After, "postgresql")
def _after_in_postgresql(element: After, compiler: SQLCompiler, **options: Any) -> str:
    time, seconds = (compiler.process(part, **options) for part in element.clauses)
    return f"({time} + make_interval(secs => {seconds}))"


class NanAsNull(TypeDecorator[float]):
    """A float whose NaN is stored as NULL, since SQLite has none."""

    impl = Double
    cache_ok = True

    def process_bind_param(self, value: float | None, dialect: Dialect) -> float | None:
        return None if value is None or math.isnan(value) else value

    def process_result_value(self, value: float | None, dialect: Dialect) -> float | None:
        return math.nan if value is None else value
