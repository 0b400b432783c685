"""Reads, page by page: a long one would keep SQLite's write-ahead log growing. Service and command line share them.

Each kind of request has a function in a module here.
"""

from collections.abc import Callable
from typing import Any

from schedy.wire.base import Answer
from schedy.wire.requests import (
    GetCurve,
    GetExperiments,
    GetFields,
    GetHistory,
    GetJobOrder,
    GetJobs,
    GetOutput,
    GetWorkers,
    Request,
)
from schedy_store.reads import curves, events, experiments, jobs, order, outputs, workers
from schedy_store.schema.engine import Transaction

_ANSWERS: dict[type[Request[Any]], Callable[[Transaction, Any], Answer]] = {
    GetExperiments: experiments.read_experiments,
    GetJobs: jobs.read_jobs,
    GetJobOrder: order.read_order,
    GetFields: order.read_fields,
    GetHistory: events.read_history,
    GetCurve: curves.read_curve,
    GetOutput: outputs.read_output,
    GetWorkers: workers.read_workers,
}


def answer_request(transaction: Transaction, request: Request[Any]) -> Answer:
    """Answer a read."""
    return _ANSWERS[type(request)](transaction, request)
