"""Reads, page by page: a long one would keep SQLite's write-ahead log growing. Service and command line share them.

Each kind of request has a function in a module here.
"""

from collections.abc import Callable
from typing import Any

from schedy.wire.base import Answer
from schedy.wire.requests import (
    GetBest,
    GetCurve,
    GetCurves,
    GetExperiments,
    GetFields,
    GetHistory,
    GetJobOrder,
    GetJobs,
    GetMadeBy,
    GetOutput,
    GetOverview,
    GetOverviews,
    GetPoints,
    GetRemoved,
    GetSample,
    GetWhy,
    GetWorkers,
    Request,
)
from schedy_store.reads import (
    best,
    curves,
    events,
    experiments,
    jobs,
    made_by,
    order,
    outputs,
    overview,
    points,
    removed,
    sample,
    why,
    workers,
)
from schedy_store.schema.engine import Transaction

_ANSWERS: dict[type[Request[Any]], Callable[[Transaction, Any], Answer]] = {
    GetExperiments: experiments.read_experiments,
    GetJobs: jobs.read_jobs,
    GetJobOrder: order.read_order,
    GetFields: order.read_fields,
    GetMadeBy: made_by.read_made_by,
    GetWhy: why.read_why,
    GetHistory: events.read_history,
    GetCurve: curves.read_curve,
    GetCurves: curves.read_curves,
    GetSample: sample.read_sample,
    GetPoints: points.read_points,
    GetRemoved: removed.read_removed,
    GetOutput: outputs.read_output,
    GetBest: best.read_best,
    GetOverview: overview.read_overview,
    GetOverviews: overview.read_overviews,
    GetWorkers: workers.read_workers,
}


def answer_request(transaction: Transaction, request: Request[Any]) -> Answer:
    """Answer a read."""
    return _ANSWERS[type(request)](transaction, request)
