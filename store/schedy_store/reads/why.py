"""How a search has come to a job."""

import json

from sqlalchemy import bindparam, select

from schedy.wire.answers import Ancestor, Refusal, WhyAnswer
from schedy.wire.base import Answer
from schedy.wire.requests import GetWhy
from schedy.wire.values import load_values
from schedy_store.reads.common import DELETED, experiment_pk
from schedy_store.schema.engine import Transaction
from schedy_store.schema.tables import Job
from schedy_store.search.protocol import MADE_BY, WHY

_MOST_ANCESTORS = 1000
_JOB = select(Job.suggestion, Job.search_state, Job.parent).where(
    Job.experiment_pk == bindparam("experiment_is"), Job.job_id == bindparam("job_is")
)
_ANCESTOR = select(Job.job_id, Job.generation, Job.hyperparameters, Job.parent).where(
    Job.experiment_pk == bindparam("experiment_is"), Job.job_id == bindparam("job_is")
)


def read_why(transaction: Transaction, request: GetWhy) -> Answer:
    experiment = experiment_pk(transaction, request.experiment_uid)
    if experiment is None:
        return DELETED
    row = transaction.sql.execute(_JOB, {"experiment_is": experiment, "job_is": request.job_id}).one_or_none()
    if row is None:
        return Refusal(code="not_found", reason=f"There is no job {request.job_id!r} any more.")
    state = json.loads(row.search_state)
    why = state.get(WHY, {})
    return WhyAnswer(
        number=row.suggestion,
        algorithm=state.get(MADE_BY),
        ended=why.get("ended"),
        pending=why.get("pending"),
        expected=why.get("expected"),
        deviation=why.get("deviation"),
        drawn=why.get("drawn", False),
        ancestors=_ancestors(transaction, experiment, row.parent),
    )


def _ancestors(transaction: Transaction, experiment: int, parent: str | None) -> list[Ancestor]:
    """Return the parent, its parent and so on, up to one that was removed."""
    found: list[Ancestor] = []
    while parent is not None and len(found) < _MOST_ANCESTORS:
        row = transaction.sql.execute(_ANCESTOR, {"experiment_is": experiment, "job_is": parent}).one_or_none()
        if row is None:
            break
        values = load_values(row.hyperparameters)
        found.append(Ancestor(job_id=row.job_id, generation=row.generation, hyperparameters=values))
        parent = row.parent
    return found
