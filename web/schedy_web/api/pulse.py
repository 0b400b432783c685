"""The pulse that pages ask for each second: totals, and what is wrong."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from schedy.wire.base import JOB_STATUSES
from schedy.wire.records import ExperimentRecord, WorkerRecord
from schedy.wire.requests import GetExperiments, GetWorkers, pages
from schedy_web.context import Context, context_of
from schedy_web.service_state import ServiceState, service_state

_MOST_PROBLEMS = 20


def show_pulse(request: Request) -> Response:
    """Answer with what the header of each page shows. It changes only when something has happened."""
    context = context_of(request)
    role = request.scope["role"]
    return context.answer(request, lambda: _pulse(context, role), seconds=1.0, key=f"#{role}")


def _pulse(context: Context, role: str) -> dict[str, Any]:
    ask = context.reads.ask
    experiments = [each for page in pages(ask, GetExperiments(limit=1000)) for each in page.experiments]
    workers = [each for page in pages(ask, GetWorkers(limit=1000)) for each in page.workers]
    with context.reads.transaction() as transaction:
        service = service_state(transaction)
    totals: Counter[str] = Counter()
    for experiment in experiments:
        totals.update(experiment.job_counts)
    problems = [*_problems(experiments, workers, service)]
    return {
        "version": context.kept.version(),
        "operate": role == "operate" and not context.access.read_only,
        "totals": {**{status: totals[status] for status in JOB_STATUSES}, "experiments": len(experiments)},
        "workers": dict(Counter(_state(worker) for worker in workers)) | {"busy": sum(bool(w.jobs) for w in workers)},
        "service_alive": service.is_alive,
        "problems": problems[:_MOST_PROBLEMS],
        "experiments": {str(each.position): _version(each) for each in experiments},
    }


def _version(experiment: ExperimentRecord) -> str:
    counts = ".".join(str(experiment.job_counts.get(status, 0)) for status in JOB_STATUSES)
    return f"{counts}.{experiment.status}.{experiment.paused}.{experiment.made}"


def _state(worker: WorkerRecord) -> str:
    return "silent" if worker.silent else worker.state


def _problems(
    experiments: list[ExperimentRecord], workers: list[WorkerRecord], service: ServiceState
) -> Iterator[dict[str, Any]]:
    if not service.is_alive:
        yield _problem(
            "service",
            f"No results service answers{service.since_text}. Running jobs go on, and their reports wait.",
            command="schedy up",
        )
    alive = [worker for worker in workers if _state(worker) == "alive"]
    for experiment in experiments:
        is_open = experiment.status == "RUNNING" and not experiment.paused
        waiting = experiment.job_counts.get("QUEUED", 0)
        if is_open and waiting and not alive:
            jobs = "1 job waits" if waiting == 1 else f"{waiting} jobs wait"
            text = f"{experiment.name}: {jobs}, and no worker is alive."
            yield _problem("no_worker", text, command=f"schedy run {experiment.name} -- python train.py", of=experiment)
        if experiment.problem and experiment.status == "RUNNING":
            yield _problem("search", f"{experiment.name}: {experiment.problem}", of=experiment)
    for state in ("unhealthy", "silent"):
        bad = [worker for worker in workers if _state(worker) == state]
        if bad:
            names = ", ".join(f"{worker.host}:{worker.pid}" for worker in bad[:3])
            more = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
            verb = "is" if len(bad) == 1 else "are"
            yield _problem("workers", f"{names}{more} {verb} {state}.", address="/workers")


def _problem(
    kind: str, text: str, *, command: str | None = None, address: str | None = None, of: ExperimentRecord | None = None
) -> dict[str, Any]:
    return {
        "kind": kind,
        "text": text,
        "command": command,
        "address": address if of is None else f"/e/{of.position}",
    }
