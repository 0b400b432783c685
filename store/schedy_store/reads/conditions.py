"""Conditions on jobs in SQL, and whether few jobs fulfil one of them."""

import json
import operator
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, not_, select

from schedy.errors import InvalidValueError
from schedy.wire.requests import JOB_COLUMNS, Condition
from schedy.wire.values import SORTED_CHARACTERS, stored_name
from schedy_store.schema.engine import Transaction
from schedy_store.schema.stored import aliased
from schedy_store.schema.tables import Job, JobValue

COLUMNS = {name: Job.__table__.columns["job_id" if name == "id" else name] for name in JOB_COLUMNS}
_FEW = 100_000
"""So many rows are sorted within a second."""
_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_NUMBERS = ("quality", "attempt")
_TIMES = ("created_at", "started_at", "finished_at")


def holds(condition: Condition) -> ColumnElement[bool]:
    """Return the condition for a row of a job. Raises InvalidValueError for a comparison that means nothing."""
    if condition.field.source == "column":
        return _column_holds(condition)
    value = aliased(JobValue)
    found = exists().where(value.job_pk == Job.pk, *_of_field(value, condition))
    if condition.operator == "missing":
        return not_(found.correlate(Job))
    return found.where(*_compared(condition, value.number, value.text)).correlate(Job)


def chosen_by(transaction: Transaction, experiment: int, conditions: list[Condition]) -> ColumnElement[bool] | None:
    """Return that a job is among the few that fulfil the rarest of the conditions; None if many fulfil each."""
    fewest, rarest = _FEW, None
    for condition in conditions:
        if condition.field.source == "column" or condition.operator == "missing":
            continue
        value = aliased(JobValue)
        wanted = (value.experiment_pk == experiment, *_of_field(value, condition))
        jobs = select(value.job_pk).where(*wanted, *_compared(condition, value.number, value.text))
        count = transaction.sql.scalar(select(func.count()).select_from(jobs.limit(fewest).subquery())) or 0
        if count < fewest:
            fewest, rarest = count, jobs
    return None if rarest is None else Job.pk.in_(rarest)


def _of_field(value: type[JobValue], condition: Condition) -> tuple[ColumnElement[bool], ...]:
    return value.source == condition.field.source, value.name == stored_name(condition.field.name)


def _column_holds(condition: Condition) -> ColumnElement[bool]:
    name, column = condition.field.name, COLUMNS[condition.field.name]
    if condition.operator in ("missing", "there"):
        return column.is_(None) if condition.operator == "missing" else column.is_not(None)
    if name in _TIMES:
        return _is(condition, column, _time(condition))
    if (name in _NUMBERS) != (condition.number is not None) and condition.operator != "~":
        kind = "a number" if name in _NUMBERS else "a text"
        if name in _NUMBERS:
            raise InvalidValueError(f"{name} is compared with {kind}, not with {condition.text!r}.")
        return _is(condition, column, f"{condition.number:g}")
    if condition.operator == "~":
        return and_(column.is_not(None), column.contains(condition.text or "", autoescape=True))
    return _is(condition, column, condition.text if condition.number is None else condition.number)


def _time(condition: Condition) -> datetime:
    try:
        time = datetime.fromisoformat(condition.text or "")
    except ValueError:
        raise InvalidValueError(
            f"{condition.field.name} is compared with a time, as 2026-11-29T08:00:00, not with {condition.text!r}."
        ) from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _compared(
    condition: Condition, number: ColumnElement[Any], text: ColumnElement[Any]
) -> tuple[ColumnElement[bool], ...]:
    if condition.operator == "there":
        return ()
    if condition.operator == "~":
        return (text.contains(_stored(condition.text or ""), autoescape=True),)
    if condition.number is not None:
        return (_is(condition, number, condition.number),)
    return (_is(condition, text, _stored(condition.text or "")),)


def _stored(text: str) -> str:
    """Return a text as the keys of texts are stored."""
    return json.dumps(text)[1:-1][:SORTED_CHARACTERS]


def _is(condition: Condition, column: ColumnElement[Any], value: Any) -> ColumnElement[bool]:
    holding: ColumnElement[bool] = _OPERATORS[condition.operator](column, value)
    return holding
