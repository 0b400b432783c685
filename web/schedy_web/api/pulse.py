"""The pulse that pages ask for each second or two: totals, and what is wrong."""

import shlex
from collections import Counter
from collections.abc import Iterator
from typing import Any

from sqlalchemy import and_, func, or_, select
from starlette.requests import Request
from starlette.responses import Response

from schedy.wire.base import FINAL_STATUSES, JOB_STATUSES
from schedy.wire.records import WorkerRecord
from schedy.wire.requests import GetWorkers, pages
from schedy_store.schema.engine import Transaction
from schedy_store.schema.tables import Experiment, JobCount
from schedy_web.broker_state import BrokerState
from schedy_web.context import Context, context_of
from schedy_web.service_state import ServiceState, service_state

_MOST_PROBLEMS = 20
_TOTALS = select(JobCount.status, func.sum(JobCount.jobs)).group_by(JobCount.status)
_OPEN = (
    select(Experiment.pk, Experiment.name, Experiment.problem, func.coalesce(JobCount.jobs, 0))
    .select_from(Experiment)
    .outerjoin(JobCount, and_(JobCount.experiment_pk == Experiment.pk, JobCount.status == "QUEUED"))
    .where(Experiment.status == "RUNNING", or_(Experiment.problem.is_not(None), JobCount.jobs > 0))
    .where(Experiment.paused.is_(False))
    .order_by(Experiment.pk.desc())
    .limit(_MOST_PROBLEMS)
)
"""Experiments that may have a problem: jobs wait, or the search has told one."""


def show_pulse(request: Request) -> Response:
    """Answer with what the header of each page shows. It changes only when something has happened."""
    context = context_of(request)
    role = request.scope["role"]
    return context.answer(request, lambda: _pulse(context, role), seconds=1.0)


def _pulse(context: Context, role: str) -> dict[str, Any]:
    workers = [each for page in pages(context.reads.ask, GetWorkers(limit=1000)) for each in page.workers]
    states = Counter(map(_state, workers))
    with context.reads.transaction() as transaction:
        sql = transaction.sql
        totals = {status: int(jobs) for status, jobs in sql.execute(_TOTALS)}
        experiments = sql.scalar(select(func.count()).select_from(Experiment)) or 0
        problems = [
            *_service_problems(service_state(transaction)),
            *_problems_of_broker(context.broker.watched()),
            *_problems_of_experiments(transaction, alive=states["alive"]),
            *_problems_of_workers(workers),
        ]
    context.tell([(each["kind"], each["address"] or each["text"]) for each in problems])
    ended = sum(totals.get(status, 0) for status in FINAL_STATUSES)
    return {
        "version": context.kept.version(),
        "operate": role == "operate" and not context.access.read_only,
        "totals": {**{status: totals.get(status, 0) for status in JOB_STATUSES}, "experiments": experiments},
        "ended_per_minute": context.pace.per_minute(ended),
        "workers": {**states, "busy": sum(bool(worker.jobs) for worker in workers)},
        "problems": problems[:_MOST_PROBLEMS],
        "ask_again_seconds": context.beat.seconds,
    }


def _state(worker: WorkerRecord) -> str:
    return "silent" if worker.silent else worker.state


def _service_problems(service: ServiceState) -> Iterator[dict[str, Any]]:
    if not service.is_alive:
        text = f"No results service answers{service.since_text}. Running jobs go on, and their reports wait."
        yield _problem("service", text, command="schedy up")


def _problems_of_broker(broker: BrokerState | None) -> Iterator[dict[str, Any]]:
    if broker is not None and broker.problem:
        yield _problem("broker", broker.problem, command="schedy doctor")
    if broker is not None and broker.dead_letters:
        messages = "1 message" if broker.dead_letters == 1 else f"{broker.dead_letters} messages"
        yield _problem("dead_letters", f"{messages} could not be processed: dead letters.", address="/system")


def _problems_of_experiments(transaction: Transaction, *, alive: int) -> Iterator[dict[str, Any]]:
    for number, name, problem, waiting in transaction.sql.execute(_OPEN):
        if problem is not None:
            yield _problem("search", f"{name}: {problem}", address=f"/e/{number}")
        if waiting and not alive:
            jobs = "1 job waits" if waiting == 1 else f"{waiting} jobs wait"
            command = f"{shlex.join(['schedy', 'run', name])} -- python train.py"
            text = f"{name}: {jobs}, and no worker is alive."
            yield _problem("no_worker", text, command=command, address=f"/e/{number}")


def _problems_of_workers(workers: list[WorkerRecord]) -> Iterator[dict[str, Any]]:
    for state in ("unhealthy", "silent"):
        bad = [worker for worker in workers if _state(worker) == state]
        if bad:
            names = ", ".join(f"{worker.host}:{worker.pid}" for worker in bad[:3])
            more = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
            verb = "is" if len(bad) == 1 else "are"
            yield _problem("workers", f"{names}{more} {verb} {state}.", address="/workers")


def _problem(kind: str, text: str, *, command: str | None = None, address: str | None = None) -> dict[str, Any]:
    return {"kind": kind, "text": text, "command": command, "address": address}
