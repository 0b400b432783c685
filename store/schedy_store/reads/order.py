"""The order of an experiment's jobs by their columns and values, and the names of these values."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    bindparam,
    case,
    func,
    literal,
    literal_column,
    or_,
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
_PK = Job.__table__.columns["pk"]
_JOB_ID = Job.__table__.columns["job_id"]
_Conditions = Sequence[ColumnElement[bool]]
_Select = Select[*tuple[Any, ...]]


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
    after = request.after
    for part in parts or [_sorted(experiment, request, conditions)]:
        limit = None if request.limit is None else request.limit - len(positions)
        if limit == 0:
            break
        jobs = part.jobs if after is None else part.jobs_after(transaction, after)
        if jobs is not None:
            after = None
            positions.extend(transaction.sql.scalars(jobs.order_by(*part.order).limit(limit)))
    if after is not None:
        return Refusal(
            code="not_found", reason="The job after which to go on is not among these jobs, or is no longer."
        )
    return JobOrderAnswer.model_construct(positions=positions)


@dataclass(frozen=True)
class _Part:
    """Jobs, and the keys by which they are ordered, each with True if it decreases. The last one is the job's own."""

    jobs: _Select
    keys: Sequence[tuple[ColumnElement[Any], bool]]

    @property
    def order(self) -> list[ColumnElement[Any]]:
        return [key.desc() if decreasing else key.asc() for key, decreasing in self.keys]

    def jobs_after(self, transaction: Transaction, pk: int) -> _Select | None:
        """Return those that stand behind a job; None if it is not among them."""
        own = self.jobs.with_only_columns(*(key for key, _decreasing in self.keys), maintain_column_froms=True)
        values = transaction.sql.execute(own.where(self.keys[-1][0] == pk)).one_or_none()
        return None if values is None else self.jobs.where(_stands_behind(list(zip(self.keys, values, strict=True))))


def _stands_behind(keys: list[tuple[tuple[ColumnElement[Any], bool], Any]]) -> ColumnElement[bool]:
    """Return that a row stands behind the one of these values. Keys before tell which are missing from all others."""
    ((key, decreasing), value), *less = keys
    if value is None:
        return and_(key.is_(None), _stands_behind(less))
    beyond: ColumnElement[bool] = key < value if decreasing else key > value
    if not less:
        return beyond
    return and_(key <= value if decreasing else key >= value, or_(beyond, _stands_behind(less)))


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


def _walks(experiment: int, request: GetJobOrder, conditions: _Conditions) -> list[_Part]:
    """Return parts that have the jobs in the wanted order, one after the other; none if no index has the order."""
    [field] = request.sort
    jobs = _jobs(experiment, request, conditions)
    if field.source != "column":
        return _walks_by_value(experiment, request, field, conditions)
    if field.name == "id":
        return [_Part(jobs, [(_JOB_ID, request.decreasing), (_PK, False)])]
    if field.name == "status":
        statuses = sorted(JOB_STATUSES, reverse=request.decreasing)
        return [_Part(jobs.where(Job.status == status), [(_PK, False)]) for status in statuses]
    return []


def _walks_by_value(experiment: int, request: GetJobOrder, field: SortField, conditions: _Conditions) -> list[_Part]:
    value = aliased(JobValue)
    of_field = (value.source == field.source, value.name == stored_name(field.name))
    is_number, is_text = value.number.is_not(None), and_(value.number.is_(None), value.text.is_not(None))
    values = select(value.job_pk).where(value.experiment_pk == experiment, *of_field)
    if request.statuses or conditions:
        values = values.join(Job, Job.pk == value.job_pk).where(*_status(request), *conditions)
    keys = [(value.number.expression, request.decreasing), (value.text.expression, request.decreasing)]
    numbers, texts = (
        _Part(values.where(kind), [*keys, (value.job_pk.expression, False)]) for kind in (is_number, is_text)
    )
    # A value in parentheses is looked up for each job; for EXISTS, PostgreSQL would read the values of all jobs first.
    of_job = select(value.job_pk).where(value.job_pk == Job.pk, *of_field, is_number | is_text).correlate(Job)
    without = _jobs(experiment, request, conditions).where(of_job.scalar_subquery().is_(None))
    missing = _Part(without, [(_PK, False)])
    return [texts, numbers, missing] if request.decreasing else [numbers, texts, missing]


def _jobs(experiment: int, request: GetJobOrder, conditions: _Conditions) -> _Select:
    return select(Job.pk).where(Job.experiment_pk == experiment, *_status(request), *conditions)


def _status(request: GetJobOrder) -> _Conditions:
    return (Job.status.in_(request.statuses),) if request.statuses else ()


def _sorted(experiment: int, request: GetJobOrder, conditions: _Conditions) -> _Part:
    """Return all jobs as one part, to be sorted."""
    found = _jobs(experiment, request, conditions)
    keys: list[tuple[ColumnElement[Any], bool]] = []
    for field in request.sort:
        if field.source == "column":
            columns: list[ColumnElement[Any]] = [COLUMNS[field.name]]
        else:
            found, columns = _joined_value(found, field)
        keys.extend(_ordered(columns, decreasing=request.decreasing))
    is_newest_first = request.decreasing and not request.sort
    return _Part(found, [*keys, (_PK, is_newest_first)])


def _joined_value(found: _Select, field: SortField) -> tuple[_Select, list[ColumnElement[Any]]]:
    value = JobValue.__table__.alias()
    here = and_(value.c.job_pk == Job.pk, value.c.source == field.source, value.c.name == stored_name(field.name))
    return found.outerjoin(value, here), [value.c.number, value.c.text]


def _ordered(columns: list[ColumnElement[Any]], *, decreasing: bool) -> list[tuple[ColumnElement[Any], bool]]:
    """Return keys: missing values last in both directions; numbers before texts, after them when decreasing."""
    missing = and_(*(column.is_(None) for column in columns))
    keys: list[tuple[ColumnElement[Any], bool]] = [(case((missing, literal(1)), else_=literal(0)), False)]
    if len(columns) > 1:
        keys.append((case((columns[0].is_(None), literal(1)), else_=literal(0)), decreasing))
    return [*keys, *((column, decreasing) for column in columns)]


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
