"""The order of an experiment's jobs by their columns and values, and the names of these values."""

from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, literal, select

from schedy.wire.answers import FieldsAnswer, JobOrderAnswer
from schedy.wire.base import Answer
from schedy.wire.requests import JOB_COLUMNS, GetFields, GetJobOrder, SortField
from schedy.wire.values import shown_name, stored_name
from schedy_store.reads.common import DELETED, experiment_pk
from schedy_store.schema.engine import Transaction
from schedy_store.schema.tables import Job, JobValue

_SORT_COLUMNS = {name: Job.__table__.columns["job_id" if name == "id" else name] for name in JOB_COLUMNS}


def read_order(transaction: Transaction, request: GetJobOrder) -> Answer:
    experiment = experiment_pk(transaction, request.experiment_uid)
    if experiment is None:
        return DELETED
    found: Select[*tuple[Any, ...]] = select(Job.pk).where(Job.experiment_pk == experiment)
    order: list[ColumnElement[Any]] = []
    for field in request.sort:
        if field.source == "column":
            keys: list[ColumnElement[Any]] = [_SORT_COLUMNS[field.name]]
        else:
            found, keys = _joined_value(transaction, found, field)
        order.extend(_ordered(keys, decreasing=request.decreasing))
    oldest_first = Job.pk.asc() if request.sort or not request.decreasing else Job.pk.desc()
    found = found.order_by(*order, oldest_first)
    if request.statuses:
        found = found.where(Job.status.in_(request.statuses))
    if request.limit is not None:
        found = found.limit(request.limit)
    return JobOrderAnswer.model_construct(positions=[row[0] for row in transaction.sql.execute(found)])


def _joined_value(
    transaction: Transaction, found: Select[*tuple[Any, ...]], field: SortField
) -> tuple[Select[*tuple[Any, ...]], list[ColumnElement[Any]]]:
    value = JobValue.__table__.alias()
    here = and_(value.c.job_pk == Job.pk, value.c.source == field.source, value.c.name == stored_name(field.name))
    text: ColumnElement[Any] = value.c.text
    if transaction.sql.dialect.name == "postgresql":
        text = text.collate("C")  # as SQLite orders texts, whatever the database's own order is
    return found.outerjoin(value, here), [value.c.number, text]


def _ordered(keys: list[ColumnElement[Any]], *, decreasing: bool) -> list[ColumnElement[Any]]:
    """Return the order: missing values last in both directions; numbers before texts, after them when decreasing."""
    missing = and_(*(key.is_(None) for key in keys))
    order: list[ColumnElement[Any]] = [case((missing, literal(1)), else_=literal(0))]
    if len(keys) > 1:
        is_text = case((keys[0].is_(None), literal(1)), else_=literal(0))
        order.append(is_text.desc() if decreasing else is_text)
    order.extend(key.desc() if decreasing else key.asc() for key in keys)
    return order


def read_fields(transaction: Transaction, request: GetFields) -> Answer:
    experiment = experiment_pk(transaction, request.experiment_uid)
    if experiment is None:
        return DELETED
    found = (
        select(JobValue.source, JobValue.name).where(JobValue.experiment_pk == experiment).distinct().order_by("name")
    )
    names: dict[str, list[str]] = {"hyperparameter": [], "result": []}
    for source, name in transaction.sql.execute(found):
        names[source].append(shown_name(name))
    most = transaction.sql.scalar(select(func.max(Job.attempt)).where(Job.experiment_pk == experiment))
    return FieldsAnswer(hyperparameters=names["hyperparameter"], results=names["result"], most_attempts=most or 0)
