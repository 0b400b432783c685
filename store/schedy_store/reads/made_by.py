"""Which algorithms have made the jobs of a search that asks several in turns."""

import json
from collections import Counter

from sqlalchemy import bindparam, func, select

from schedy.wire.answers import MadeBy, MadeByAnswer
from schedy.wire.base import Answer
from schedy.wire.requests import GetMadeBy
from schedy_store.reads.common import DELETED, experiment_pk
from schedy_store.schema.engine import Transaction
from schedy_store.schema.tables import Job
from schedy_store.search.protocol import MADE_BY

_MOST_READ = 5000
"""Suggestions that are looked at. By then such a search has settled for one algorithm, which has made the others."""
_STATES = (
    select(Job.suggestion, Job.search_state)
    .where(Job.experiment_pk == bindparam("experiment_is"), Job.suggestion.is_not(None))
    .order_by(Job.suggestion)
    .limit(bindparam("most"))
)
_LATER = select(func.count()).where(Job.experiment_pk == bindparam("experiment_is"), Job.suggestion > bindparam("last"))


def read_made_by(transaction: Transaction, request: GetMadeBy) -> Answer:
    experiment = experiment_pk(transaction, request.experiment_uid)
    if experiment is None:
        return DELETED
    jobs: Counter[str] = Counter()
    by = None
    rows = transaction.sql.execute(_STATES, {"experiment_is": experiment, "most": _MOST_READ}).all()
    for _suggestion, state in rows:
        by = json.loads(state).get(MADE_BY)
        if by is not None:
            jobs[by] += 1
    if by is not None and len(rows) == _MOST_READ:
        jobs[by] += transaction.sql.scalar(_LATER, {"experiment_is": experiment, "last": rows[-1].suggestion}) or 0
    return MadeByAnswer(algorithms=[MadeBy(algorithm=name, jobs=number) for name, number in jobs.items()])
