"""The best jobs, by walks along the index of the objectives' values: few of a million jobs are looked at."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, SQLColumnExpression, and_, exists, select

from schedy.errors import InvalidValueError
from schedy.results.best import pareto_front
from schedy.search.definition import Constraint, Definition, Objective, read_definition
from schedy.wire.answers import BestAnswer, Refusal
from schedy.wire.base import Answer
from schedy.wire.records import JobRecord
from schedy.wire.requests import GetBest
from schedy.wire.values import load_values, stored_name
from schedy_store.reads.common import DELETED, Silence
from schedy_store.reads.jobs import cut, records, records_at
from schedy_store.schema.engine import Transaction
from schedy_store.schema.rows import RECORD_COLUMNS
from schedy_store.schema.stored import aliased
from schedy_store.schema.tables import Experiment, Job, JobValue

_ROWS_AT_ONCE = 500


def read_best(transaction: Transaction, request: GetBest) -> Answer:
    """Answer with the best job and those that follow it, or with the Pareto front."""
    found = select(Experiment.pk, Experiment.settings).where(Experiment.uid == request.experiment_uid)
    row = transaction.sql.execute(found).one_or_none()
    if row is None:
        return DELETED
    try:
        definition = read_definition(load_values(row.settings))
    except InvalidValueError as error:
        return Refusal(code="invalid", reason=str(error))
    jobs: Iterable[JobRecord] = ()
    more = False
    if definition.objective is not None:
        jobs = best_jobs(transaction, row.pk, definition, definition.objective, limit=request.limit)
    elif definition.objectives:
        best = front(transaction, row.pk, definition)
        jobs = records_at(transaction, select(*RECORD_COLUMNS), best[: request.limit])
        more = len(best) > request.limit
    page = cut(iter(jobs), request.limit)
    return BestAnswer.model_construct(jobs=page.jobs, more=more or page.more)


def best_jobs(
    transaction: Transaction,
    experiment_pk: int,
    definition: Definition,
    objective: Objective,
    *,
    limit: int,
    silence: Silence | None = None,
) -> Iterator[JobRecord]:
    """Return the jobs that are best by one of the objectives, of equal ones the oldest first; they have all of them."""
    found = walk(experiment_pk, definition, objective, *RECORD_COLUMNS)
    others = (_has_number(other.result) for other in definition.objectives if other != objective)
    return records(transaction, found.where(*others).limit(limit), silence)


def walk(
    experiment_pk: int,
    definition: Definition,
    objective: Objective,
    *columns: SQLColumnExpression[Any],
    value: type[JobValue] | None = None,
) -> Select[*tuple[Any, ...]]:
    """Return a statement for the DONE jobs that keep the constraints, the best by an objective first.

    `value` stands for the values of the objective.
    """
    value = aliased(JobValue) if value is None else value
    better_first = value.number.asc() if objective.direction == "minimize" else value.number.desc()
    return (
        select(*columns)
        .select_from(value)
        .join(Job, Job.pk == value.job_pk)
        .where(
            value.experiment_pk == experiment_pk,
            value.source == "result",
            value.name == stored_name(objective.result),
            value.number.is_not(None),
            Job.status == "DONE",
            *map(is_kept, definition.constraints),
        )
        .order_by(better_first, value.job_pk)
    )


def is_kept(constraint: Constraint) -> ColumnElement[bool]:
    """Return the condition that a job keeps a constraint."""
    if constraint.at_most is None:
        return _has_number(constraint.result, lambda number: number >= constraint.at_least)
    return _has_number(constraint.result, lambda number: number <= constraint.at_most)


def _has_number(
    result: str, is_right: Callable[[Any], ColumnElement[bool]] = lambda number: number.is_not(None)
) -> ColumnElement[bool]:
    value = aliased(JobValue)
    of_job = (value.job_pk == Job.pk, value.source == "result", value.name == stored_name(result))
    return exists().where(*of_job, is_right(value.number)).correlate(Job)


def front(transaction: Transaction, experiment_pk: int, definition: Definition) -> list[int]:
    """Return the positions of the jobs of the Pareto front.

    The walks along all objectives go on in turn until one job was met in each of them: all that come later are no
    better than that one by any objective (Balke, Güntzer, Zheng: Efficient distributed skylining, EDBT 2004).
    """
    met: dict[int, int] = {}
    values: dict[int, Sequence[float]] = {}
    with contextlib.ExitStack() as cursors:
        walks = [
            cursors.enter_context(transaction.sql.execute(_values_along(experiment_pk, definition, objective)))
            for objective in definition.objectives
        ]
        for step in zip(*walks, strict=True):
            for position, *numbers in step:
                values[position] = numbers
                met[position] = met.get(position, 0) + 1
            if any(met[row[0]] == len(walks) for row in step):
                break
    return pareto_front(sorted(values.items()), definition.objectives)


def _values_along(experiment_pk: int, definition: Definition, objective: Objective) -> Select[*tuple[Any, ...]]:
    """Return a statement for the positions and values of jobs that have a number for each objective, best first."""
    values = [aliased(JobValue) for _ in definition.objectives]
    statement = walk(experiment_pk, definition, objective, Job.pk, *(value.number for value in values))
    for value, other in zip(values, definition.objectives, strict=True):
        of_job = (value.job_pk == Job.pk, value.source == "result", value.name == stored_name(other.result))
        statement = statement.join(value, and_(*of_job)).where(value.number.is_not(None))
    return statement.execution_options(yield_per=_ROWS_AT_ONCE)
