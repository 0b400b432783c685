"""Types of columns that SQLite and PostgreSQL have in common."""

import math
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, Double, Integer, SQLColumnExpression, TypeDecorator
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

Key = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers rows by itself only in a column of the type INTEGER."""


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time, in UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


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
