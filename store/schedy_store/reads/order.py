"""The order of an experiment's jobs by their columns and values, and the names of these values."""

import functools
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    SQLColumnExpression,
    and_,
    bindparam,
    case,
    func,
    literal,
    literal_column,
    select,
)

from schedy.errors import InvalidValueError
from schedy.wire.answers import FieldsAnswer, JobOrderAnswer, Refusal
from schedy.wire.base import JOB_STATUSES, Answer
from schedy.wire.requests import GetFields, GetJobOrder, SortField
from schedy.wire.values import shown_name, stored_name
from schedy_store.lifecycle.job_counts import job_counts
from schedy_store.reads.common import DELETED, experiment_pk
from schedy_store.reads.conditions import COLUMNS, chosen_by, holds
from schedy_store.schema.engine import Transaction
from schedy_store.schema.stored import aliased
from schedy_store.schema.tables import Job, JobValue

_FEW = 20_000
_Conditions = Sequence[ColumnElement[bool]]


def read_order(transaction: Transaction, request: GetJobOrder) -> Answer:
    experiment = experiment_pk(transaction, request.experiment_uid)
    if experiment is None:
        return DELETED
    try:
        conditions = [holds(condition) for condition in request.where]
    except InvalidValueError as error:
        return Refusal(code="invalid", reason=str(error))
    chosen = chosen_by(transaction, experiment, request.where)
    if chosen is not None:
        conditions.insert(0, chosen)
    walks = chosen is None and _walk_pays(transaction, experiment, request)
    parts = _walks(experiment, request, conditions) if walks else []
    positions: list[int] = []
    for part in parts or [_sorted(experiment, request, conditions)]:
        limit = None if request.limit is None else request.limit - len(positions)
        if limit == 0:
            break
        positions.extend(transaction.sql.scalars(part.limit(limit)))
    return JobOrderAnswer.model_construct(positions=positions)


def _walk_pays(transaction: Transaction, experiment: int, request: GetJobOrder) -> bool:
    """Tell whether a walk along an index meets `limit` of the wanted jobs sooner than all of them are sorted."""
    if request.limit is None or len(request.sort) != 1:
        return False
    counts = job_counts(transaction.sql, [experiment])[experiment]
    jobs = sum(counts.values())
    wanted = sum(counts.get(status, 0) for status in request.statuses) if request.statuses else jobs
    if wanted < min(jobs / 4, _FEW):  # few are soon sorted; a walk may meet them last
        return False
    return request.limit * jobs < wanted**2  # of each `jobs / wanted` that it meets one is wanted


def _walks(experiment: int, request: GetJobOrder, conditions: _Conditions) -> list[Select[*tuple[Any, ...]]]:
    """Return statements that give the jobs in the wanted order, one after the other; none if no index has the order."""
    [field] = request.sort
    jobs = _jobs(experiment, request, conditions)
    if field.source != "column":
        return _walks_by_value(experiment, request, field, conditions)
    if field.name == "id":
        return [jobs.order_by(_directed(Job.job_id, decreasing=request.decreasing))]
    if field.name == "status":
        statuses = sorted(JOB_STATUSES, reverse=request.decreasing)
        return [jobs.where(Job.status == status).order_by(Job.pk) for status in statuses]
    return []


def _walks_by_value(
    experiment: int, request: GetJobOrder, field: SortField, conditions: _Conditions
) -> list[Select[*tuple[Any, ...]]]:
    value = aliased(JobValue)
    of_field = (value.source == field.source, value.name == stored_name(field.name))
    is_number, is_text = value.number.is_not(None), and_(value.number.is_(None), value.text.is_not(None))
    values = select(value.job_pk).where(value.experiment_pk == experiment, *of_field)
    if request.statuses or conditions:
        values = values.join(Job, Job.pk == value.job_pk).where(*_status(request), *conditions)
    order = [_directed(key, decreasing=request.decreasing) for key in (value.number, value.text)]
    numbers, texts = (values.where(kind).order_by(*order, value.job_pk) for kind in (is_number, is_text))
    # A value in parentheses is looked up for each job; for EXISTS, PostgreSQL would read the values of all jobs first.
    of_job = select(value.job_pk).where(value.job_pk == Job.pk, *of_field, is_number | is_text).correlate(Job)
    missing = _jobs(experiment, request, conditions).where(of_job.scalar_subquery().is_(None)).order_by(Job.pk)
    return [texts, numbers, missing] if request.decreasing else [numbers, texts, missing]


def _jobs(experiment: int, request: GetJobOrder, conditions: _Conditions) -> Select[*tuple[Any, ...]]:
    return select(Job.pk).where(Job.experiment_pk == experiment, *_status(request), *conditions)


def _status(request: GetJobOrder) -> _Conditions:
    return (Job.status.in_(request.statuses),) if request.statuses else ()


def _directed(key: SQLColumnExpression[Any], *, decreasing: bool) -> ColumnElement[Any]:
    return key.desc() if decreasing else key.asc()


def _sorted(experiment: int, request: GetJobOrder, conditions: _Conditions) -> Select[*tuple[Any, ...]]:
    """Return a statement that sorts all jobs."""
    found = _jobs(experiment, request, conditions)
    order: list[ColumnElement[Any]] = []
    for field in request.sort:
        if field.source == "column":
            keys: list[ColumnElement[Any]] = [COLUMNS[field.name]]
        else:
            found, keys = _joined_value(found, field)
        order.extend(_ordered(keys, decreasing=request.decreasing))
    oldest_first = Job.pk.asc() if request.sort or not request.decreasing else Job.pk.desc()
    return found.order_by(*order, oldest_first)


def _joined_value(
    found: Select[*tuple[Any, ...]], field: SortField
) -> tuple[Select[*tuple[Any, ...]], list[ColumnElement[Any]]]:
    value = JobValue.__table__.alias()
    here = and_(value.c.job_pk == Job.pk, value.c.source == field.source, value.c.name == stored_name(field.name))
    return found.outerjoin(value, here), [value.c.number, value.c.text]


def _ordered(keys: list[ColumnElement[Any]], *, decreasing: bool) -> list[ColumnElement[Any]]:
    """Return the order: missing values last in both directions; numbers before texts, after them when decreasing."""
    missing = and_(*(key.is_(None) for key in keys))
    order: list[ColumnElement[Any]] = [case((missing, literal(1)), else_=literal(0))]
    if len(keys) > 1:
        is_text = case((keys[0].is_(None), literal(1)), else_=literal(0))
        order.append(is_text.desc() if decreasing else is_text)
    order.extend(_directed(key, decreasing=decreasing) for key in keys)
    return order


@functools.cache
def _names() -> Select[str]:
    """Return a statement that hops along the index from one name to the next: values are many, names are few."""
    value = aliased(JobValue)
    of_source = (value.experiment_pk == bindparam("experiment_is"), value.source == bindparam("source_is"))
    first = select(value.name).where(*of_source).order_by(value.name).limit(1)
    names = select(first.scalar_subquery().label("name")).cte("names", recursive=True)
    following = select(value.name).where(*of_source, value.name > names.c.name).order_by(value.name).limit(1)
    hop = select(following.correlate(names).scalar_subquery()).where(names.c.name.is_not(None))
    names = names.union_all(hop)
    return select(names.c.name).where(names.c.name.is_not(None))


_MOST_ATTEMPTS = select(func.max(Job.attempt)).where(
    Job.experiment_pk == bindparam("experiment_is"), Job.attempt > literal_column("1")
)


def read_fields(transaction: Transaction, request: GetFields) -> Answer:
    experiment = experiment_pk(transaction, request.experiment_uid)
    if experiment is None:
        return DELETED
    hyperparameters, results = (
        list(map(shown_name, transaction.sql.scalars(_names(), {"experiment_is": experiment, "source_is": source})))
        for source in ("hyperparameter", "result")
    )
    most = transaction.sql.scalar(_MOST_ATTEMPTS, {"experiment_is": experiment})
    return FieldsAnswer(hyperparameters=hyperparameters, results=results, most_attempts=most or 0)
