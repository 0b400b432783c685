"""Jobs that stand for all that have ended, so that a drawing needs few of a million."""

from collections.abc import Iterator

from sqlalchemy import and_, func, select

from schedy.errors import InvalidValueError
from schedy.search.definition import Definition, Objective, read_definition
from schedy.wire.answers import SampleAnswer
from schedy.wire.base import FINAL_STATUSES, Answer
from schedy.wire.requests import GetSample
from schedy.wire.values import load_values, stored_name
from schedy_store.lifecycle.job_counts import job_counts
from schedy_store.reads.best import front, is_kept, walk
from schedy_store.reads.common import DELETED, IS_RUNNING
from schedy_store.schema.engine import Transaction
from schedy_store.schema.stored import aliased
from schedy_store.schema.tables import Experiment, Job, JobValue

_BEST = 200
_FIRST = 1000
_RUNNING = 200
_PLACES_AT_ONCE = 500
_PLACES = select(Job.pk, Job.ended)


def read_sample(transaction: Transaction, request: GetSample) -> Answer:
    """Answer with the positions of the jobs of a sample."""
    found = select(Experiment.pk, Experiment.settings).where(Experiment.uid == request.experiment_uid)
    experiment = transaction.sql.execute(found).one_or_none()
    if experiment is None:
        return DELETED
    pk = experiment.pk
    counts = job_counts(transaction.sql, [pk])[pk]
    ended = sum(counts.get(status, 0) for status in FINAL_STATUSES)
    if ended <= request.limit:
        all_ended = _PLACES.where(Job.experiment_pk == pk, Job.ended > 0)
        places: dict[int, int] = {row[0]: row[1] or 0 for row in transaction.sql.execute(all_ended)}
    else:
        places = dict(_spread(transaction, pk, request.limit))
        for positions in _notable(transaction, pk, _definition(experiment.settings)):
            places |= dict(_at(transaction, positions))
    in_order = sorted(places, key=lambda position: places[position])
    running = select(Job.pk).where(Job.experiment_pk == pk, IS_RUNNING).order_by(Job.pk.desc()).limit(_RUNNING)
    return SampleAnswer(
        ended=ended,
        positions=in_order,
        places=[places[position] for position in in_order],
        running=sorted(transaction.sql.scalars(running)),
    )


def _definition(settings: str) -> Definition:
    """Return the definition, an empty one if a later version of Schedy has stored it."""
    try:
        return read_definition(load_values(settings))
    except InvalidValueError:
        return Definition()


def _spread(transaction: Transaction, experiment_pk: int, limit: int) -> Iterator[tuple[int, int]]:
    """Yield the keys and places of jobs at equal distances, the first and the last among them."""
    first, last = (  # each by a seek of its own
        transaction.sql.scalar(select(end(Job.ended)).where(Job.experiment_pk == experiment_pk, Job.ended > 0)) or 0
        for end in (func.min, func.max)
    )
    wanted = sorted({first + round(each * (last - first) / (limit - 1)) for each in range(limit)})
    for start in range(0, len(wanted), _PLACES_AT_ONCE):
        some = wanted[start : start + _PLACES_AT_ONCE]
        found = _PLACES.where(Job.experiment_pk == experiment_pk, Job.ended.in_(some))
        yield from ((row[0], row[1] or 0) for row in transaction.sql.execute(found))


def _at(transaction: Transaction, positions: list[int]) -> Iterator[tuple[int, int]]:
    for start in range(0, len(positions), _PLACES_AT_ONCE):
        some = positions[start : start + _PLACES_AT_ONCE]
        found = _PLACES.where(Job.pk.in_(some))  # no other condition, for which SQLite would take another index
        yield from ((row[0], row[1]) for row in transaction.sql.execute(found) if row[1] is not None)


def _notable(transaction: Transaction, experiment_pk: int, definition: Definition) -> Iterator[list[int]]:
    """Yield the keys of the best jobs, and of those that were the best by an objective when they ended."""
    if definition.objective is None and definition.objectives:
        yield front(transaction, experiment_pk, definition)[:_BEST]
    for objective in definition.objectives:
        best = walk(experiment_pk, definition, objective, Job.pk).limit(_BEST)
        yield list(transaction.sql.scalars(best))
        yield _improving(transaction, experiment_pk, definition, objective)


def _improving(transaction: Transaction, experiment_pk: int, definition: Definition, objective: Objective) -> list[int]:
    """Return the keys of the jobs that were better than all that had ended before them.

    The first thousand are looked at one by one; of the others only those that are better than these, the best first.
    """
    value = aliased(JobValue)
    columns = (Job.pk, Job.ended, value.number)
    found = walk(experiment_pk, definition, objective, *columns, value=value).where(Job.ended > 0)
    improving: list[int] = []
    best: float | None = None
    for pk, number in _first(transaction, experiment_pk, definition, objective):
        if best is None or objective.better(number, best):
            best = number
            improving.append(pk)
    earliest: int | None = None
    with transaction.sql.execute(found.execution_options(yield_per=_PLACES_AT_ONCE)) as rows:
        for pk, place, number in rows:
            if best is not None and not objective.better(number, best):
                break
            if earliest is None or place < earliest:
                earliest = place
                improving.append(pk)
    return improving


def _first(
    transaction: Transaction, experiment_pk: int, definition: Definition, objective: Objective
) -> Iterator[tuple[int, float]]:
    """Yield the keys and values of the jobs that ended first, in the order in which they did; of those that count."""
    jobs = select(Job.pk).where(Job.experiment_pk == experiment_pk, Job.ended > 0).order_by(Job.ended).limit(_FIRST)
    keys = list(transaction.sql.scalars(jobs))
    of_job = (JobValue.job_pk == Job.pk, JobValue.source == "result", JobValue.name == stored_name(objective.result))
    found = select(Job.pk, JobValue.number).join(JobValue, and_(*of_job)).where(Job.status == "DONE")
    found = found.where(JobValue.number.is_not(None), *map(is_kept, definition.constraints)).order_by(Job.ended)
    for start in range(0, len(keys), _PLACES_AT_ONCE):
        some = found.where(Job.pk.in_(keys[start : start + _PLACES_AT_ONCE]))
        yield from ((row[0], row[1] or 0.0) for row in transaction.sql.execute(some))
