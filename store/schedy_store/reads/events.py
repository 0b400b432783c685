"""What happened: to a job, to an experiment, or to all of them."""

import itertools

from sqlalchemy import select

from schedy.wire.answers import HistoryAnswer
from schedy.wire.base import Answer
from schedy.wire.records import JobEvent
from schedy.wire.requests import GetHistory
from schedy_store.reads.common import DELETED, PAGE_CHARACTERS, experiment_pk
from schedy_store.schema.engine import Transaction
from schedy_store.schema.records import event_record, findable
from schedy_store.schema.rows import EVENT_COLUMNS, EventRow
from schedy_store.schema.tables import Event, Experiment


def read_history(transaction: Transaction, request: GetHistory) -> Answer:
    experiment = None
    if request.experiment_uid is not None:
        experiment = experiment_pk(transaction, request.experiment_uid)
        if experiment is None:
            return DELETED
    events, more = page_of_events(transaction, request, experiment)
    return HistoryAnswer.model_construct(events=events, more=more)


def page_of_events(
    transaction: Transaction, request: GetHistory, experiment: int | None
) -> tuple[list[JobEvent], bool]:
    """Return a page in the order of the events, and whether more follow; of all experiments if none is given."""
    found = (
        select(*EVENT_COLUMNS)
        .outerjoin_from(Event, Experiment, Event.experiment_pk == Experiment.pk)
        .where(Event.pk > request.after)
    )
    found = found.where(Event.experiment_pk.is_(None) | Experiment.pk.is_not(None))  # not of a removed experiment
    if experiment is not None:
        found = found.where(Event.experiment_pk == experiment)
    if request.job_id is not None:
        found = found.where(Event.job_id == findable(request.job_id))
    if request.positions is not None:
        found = found.where(Event.pk.in_(request.positions))
    if request.before is not None:
        found = found.where(Event.pk < request.before)
    found = found.order_by(Event.pk.desc() if request.newest else Event.pk).limit(request.limit + 1)
    page: list[JobEvent] = []
    characters = 0
    for row in itertools.starmap(EventRow, transaction.sql.execute(found)):
        if len(page) == request.limit or characters > PAGE_CHARACTERS:
            return _in_order(page, request), True
        page.append(event_record(row))
        characters += len(row.results or "") + 6 * len(row.detail)
    return _in_order(page, request), False


def _in_order(page: list[JobEvent], request: GetHistory) -> list[JobEvent]:
    return page[::-1] if request.newest else page
