"""Reads, page by page: a long one would keep SQLite's write-ahead log growing. Service and command line share them."""

import itertools
import math
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, literal, select

from schedy.wire.answers import (
    CurveAnswer,
    ExperimentsAnswer,
    FieldsAnswer,
    HistoryAnswer,
    JobOrderAnswer,
    JobsAnswer,
    Refusal,
    WorkersAnswer,
)
from schedy.wire.base import Answer
from schedy.wire.records import JobEvent, JobRecord
from schedy.wire.requests import (
    JOB_COLUMNS,
    GetCurve,
    GetExperiments,
    GetFields,
    GetHistory,
    GetJobOrder,
    GetJobs,
    GetWorkers,
    Request,
    SortField,
)
from schedy.wire.values import dump_values, shown_name, stored_name
from schedy_store.lifecycle.curves import Curves
from schedy_store.lifecycle.experiment_changes import missing_experiment
from schedy_store.schema.engine import Transaction
from schedy_store.schema.records import event_record, experiment_record, findable, job_record, worker_record
from schedy_store.schema.rows import (
    EVENT_COLUMNS,
    EXPERIMENT_RECORD_COLUMNS,
    RECORD_COLUMNS,
    WORKER_COLUMNS,
    EventRow,
    ExperimentRecordRow,
    RecordRow,
    WorkerRow,
)
from schedy_store.schema.tables import Event, Experiment, Job, JobValue, Service, Worker

_PAGE_CHARACTERS = 4_000_000
_EVENTS_SHOWN = 200
_JOBS_AT_ONCE = 50
_SILENT_LEASES = 0.7
"""Part of a lease after which a worker is silent: by then two heartbeats in a row have not come."""

_MEASURED_SECONDS = 10.0
"""Seconds after its latest noted tick in which a service surely measures the time."""

_DELETED = Refusal(code="not_found", reason="The experiment was deleted.")
_SORT_COLUMNS = {name: Job.__table__.columns["job_id" if name == "id" else name] for name in JOB_COLUMNS}


def _experiments(transaction: Transaction, request: GetExperiments) -> Answer:
    found = select(*EXPERIMENT_RECORD_COLUMNS).order_by(Experiment.pk).limit(request.limit + 1)
    if request.name is not None:
        found = found.where(Experiment.name == findable(request.name))
    elif request.uid is not None:
        found = found.where(Experiment.uid == request.uid)
    else:
        found = found.where(Experiment.pk > request.after)
    rows = [ExperimentRecordRow(*row) for row in transaction.sql.execute(found)]
    if not rows and request.name is not None:
        return missing_experiment(transaction.sql, request.name)
    if not rows and request.uid is not None:
        return _DELETED
    page = rows[: request.limit]
    counts = _job_counts(transaction, [row.pk for row in page])
    records = [experiment_record(row, counts.get(row.pk, {})) for row in page]
    return ExperimentsAnswer(experiments=records, more=len(rows) > request.limit)


def _job_counts(transaction: Transaction, experiments: list[int]) -> dict[int, dict[str, int]]:
    grouped = (
        select(Job.experiment_pk, Job.status, func.count())
        .where(Job.experiment_pk.in_(experiments))
        .group_by(Job.experiment_pk, Job.status)
    )
    counts: dict[int, dict[str, int]] = {}
    for experiment_pk, status, count in transaction.sql.execute(grouped):
        counts.setdefault(experiment_pk, {})[status] = count
    return counts


def _experiment_pk(transaction: Transaction, uid: str) -> int | None:
    return transaction.sql.scalar(select(Experiment.pk).where(Experiment.uid == uid))


def _jobs(transaction: Transaction, request: GetJobs) -> Answer:
    experiment = _experiment_pk(transaction, request.experiment_uid)
    if experiment is None:
        return _DELETED
    found = select(*RECORD_COLUMNS).where(Job.experiment_pk == experiment)
    if request.job_id is not None:
        return _one_job(transaction, found, experiment, request.job_id)
    if request.positions is not None:
        return _cut(_in_given_order(transaction, found, request.positions), len(request.positions))
    if request.statuses:
        found = found.where(Job.status.in_(request.statuses))
    found = found.where(Job.pk > request.after).order_by(Job.pk).limit(request.limit + 1)
    return _cut(_records(transaction, found), request.limit)


def _records(transaction: Transaction, found: Select[*tuple[Any, ...]]) -> Iterator[JobRecord]:
    """Yield records; that of a running job whose worker should have been heard of says how long it is silent."""
    lease, until = _measured(transaction)
    for row in itertools.starmap(RecordRow, transaction.sql.execute(found)):
        record = job_record(row)
        if row.status == "RUNNING" and row.heard_at is not None:
            silent = (until - row.heard_at).total_seconds()
            if silent > lease * _SILENT_LEASES:
                record = record.model_copy(update={"silent_seconds": silent})
        yield record


def _measured(transaction: Transaction) -> tuple[float, datetime]:
    """Return the lease, and the time until which a worker's silence counts: no longer than a service listened."""
    service = transaction.sql.execute(select(Service.lease_seconds, Service.measured_until)).one()
    until, now = service.measured_until, transaction.now
    is_measured = until is None or abs((now - until).total_seconds()) < _MEASURED_SECONDS
    return service.lease_seconds or math.inf, now if is_measured else until


def _one_job(transaction: Transaction, found: Select[*tuple[Any, ...]], experiment: int, job_id: str) -> Answer:
    jobs = list(_records(transaction, found.where(Job.job_id == findable(job_id))))
    if not jobs:
        return _missing_job(job_id)
    newest = GetHistory(job_id=job_id, newest=True, limit=_EVENTS_SHOWN)
    events = _page_of_events(transaction, newest, experiment)[0]
    return JobsAnswer.model_construct(jobs=jobs, events=events)


def _missing_job(job_id: str) -> Refusal:
    reason = f"There is no job {job_id!r} in this experiment. `schedy list NAME` shows the ids."
    return Refusal(code="not_found", reason=reason)


def _in_given_order(
    transaction: Transaction, found: Select[*tuple[Any, ...]], positions: list[int]
) -> Iterator[JobRecord]:
    """Yield the records at these positions, in their order; those that were deleted are left out."""
    for start in range(0, len(positions), _JOBS_AT_ONCE):
        some = positions[start : start + _JOBS_AT_ONCE]
        jobs = {record.position: record for record in _records(transaction, found.where(Job.pk.in_(some)))}
        yield from (jobs[position] for position in some if position in jobs)


def _cut(jobs: Iterator[JobRecord], limit: int) -> JobsAnswer:
    """Return a page of at most `limit` jobs, or fewer where it gets too large for a message."""
    page: list[JobRecord] = []
    characters = 0
    for job in jobs:
        if page and (len(page) == limit or characters > _PAGE_CHARACTERS):
            return JobsAnswer.model_construct(jobs=page, more=True)
        page.append(job)
        values = (job.hyperparameters, job.results, job.previous_results)
        characters += sum(len(dump_values(some)) for some in values) + 6 * len(job.error or "")
    return JobsAnswer.model_construct(jobs=page)


def _history(transaction: Transaction, request: GetHistory) -> Answer:
    experiment = None
    if request.experiment_uid is not None:
        experiment = _experiment_pk(transaction, request.experiment_uid)
        if experiment is None:
            return _DELETED
    events, more = _page_of_events(transaction, request, experiment)
    return HistoryAnswer.model_construct(events=events, more=more)


def _page_of_events(
    transaction: Transaction, request: GetHistory, experiment: int | None
) -> tuple[list[JobEvent], bool]:
    """Return a page in the order of the events, and whether more follow; of all experiments if none is given."""
    found = select(*EVENT_COLUMNS).outerjoin_from(Event, Experiment).where(Event.pk > request.after)
    if experiment is not None:
        found = found.where(Event.experiment_pk == experiment)
    if request.job_id is not None:
        found = found.where(Event.job_id == findable(request.job_id))
    if request.before is not None:
        found = found.where(Event.pk < request.before)
    found = found.order_by(Event.pk.desc() if request.newest else Event.pk).limit(request.limit + 1)
    page: list[JobEvent] = []
    characters = 0
    for row in itertools.starmap(EventRow, transaction.sql.execute(found)):
        if len(page) == request.limit or characters > _PAGE_CHARACTERS:
            return _in_order(page, request), True
        page.append(event_record(row))
        characters += len(row.results or "") + 6 * len(row.detail)
    return _in_order(page, request), False


def _in_order(page: list[JobEvent], request: GetHistory) -> list[JobEvent]:
    return page[::-1] if request.newest else page


def _curve(transaction: Transaction, request: GetCurve) -> Answer:
    found = (
        select(Job.pk, Job.attempt)
        .join_from(Job, Experiment)
        .where(Experiment.uid == request.experiment_uid, Job.job_id == findable(request.job_id))
    )
    row = transaction.sql.execute(found).one_or_none()
    if row is None:
        return _missing_job(request.job_id)
    return CurveAnswer.model_construct(points=Curves(transaction).read(row.pk, row.attempt, limit=request.limit))


def _workers(transaction: Transaction, request: GetWorkers) -> Answer:
    found = select(*WORKER_COLUMNS).where(Worker.pk > request.after).order_by(Worker.pk).limit(request.limit + 1)
    if not request.gone:
        found = found.where(Worker.state != "ended")
    rows = [WorkerRow(*row) for row in transaction.sql.execute(found)]
    lease, until = _measured(transaction)
    page = rows[: request.limit]
    jobs = _jobs_of_workers(transaction, [row.pk for row in page])
    workers = [
        worker_record(
            row, jobs.get(row.pk, []), now=transaction.now, silent=(until - row.heard_at).total_seconds() > lease
        )
        for row in page
    ]
    return WorkersAnswer.model_construct(workers=workers, more=len(rows) > request.limit)


def _jobs_of_workers(transaction: Transaction, workers: list[int]) -> dict[int, list[str]]:
    running = (
        select(Job.worker_pk, Experiment.name, Job.job_id)
        .join_from(Job, Experiment)
        .where(Job.status == "RUNNING", Job.worker_pk.in_(workers))
        .order_by(Job.pk)
    )
    jobs: dict[int, list[str]] = {}
    for row in transaction.sql.execute(running):
        jobs.setdefault(row.worker_pk, []).append(f"{row.name}/{row.job_id}")
    return jobs


def _job_order(transaction: Transaction, request: GetJobOrder) -> Answer:
    experiment = _experiment_pk(transaction, request.experiment_uid)
    if experiment is None:
        return _DELETED
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


def _fields(transaction: Transaction, request: GetFields) -> Answer:
    experiment = _experiment_pk(transaction, request.experiment_uid)
    if experiment is None:
        return _DELETED
    found = (
        select(JobValue.source, JobValue.name).where(JobValue.experiment_pk == experiment).distinct().order_by("name")
    )
    names: dict[str, list[str]] = {"hyperparameter": [], "result": []}
    for source, name in transaction.sql.execute(found):
        names[source].append(shown_name(name))
    most = transaction.sql.scalar(select(func.max(Job.attempt)).where(Job.experiment_pk == experiment))
    return FieldsAnswer(hyperparameters=names["hyperparameter"], results=names["result"], most_attempts=most or 0)


_ANSWERS: dict[type[Request[Any]], Callable[[Transaction, Any], Answer]] = {
    GetExperiments: _experiments,
    GetJobs: _jobs,
    GetJobOrder: _job_order,
    GetFields: _fields,
    GetHistory: _history,
    GetCurve: _curve,
    GetWorkers: _workers,
}


def answer_request(transaction: Transaction, request: Request[Any]) -> Answer:
    """Answer a read."""
    return _ANSWERS[type(request)](transaction, request)
