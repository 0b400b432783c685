"""Experiments, jobs, events and workers as the pages get them (docs/http.md)."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from schedy.results.overview import ended_jobs, run_seconds
from schedy.search.definition import Definition, definition_or_empty
from schedy.wire.base import JOB_STATUSES
from schedy.wire.records import ExperimentRecord, JobEvent, JobRecord, Standing, WorkerRecord

_LONGEST_CELL = 200
STATES = ("running", "waiting", "paused", "done", "problem")
"""What `state_of` returns first."""


def experiment_shape(standing: Standing) -> dict[str, Any]:
    """Return an experiment and how it is getting on."""
    experiment = standing.experiment
    definition = definition_or_empty(experiment.settings)
    state, text = state_of(standing)
    return {
        "number": experiment.position,
        "name": experiment.name,
        "scheduler": experiment.scheduler,
        "state": state,
        "state_text": text,
        "paused": experiment.paused,
        "done": experiment.status == "DONE",
        "objectives": [{"name": each.result, "direction": each.direction} for each in definition.objectives],
        "counts": counts_shape(experiment),
        "max_jobs": definition.max_jobs,
        "ended": ended_jobs(experiment),
        "seconds_left": standing.seconds_left,
        "mean_seconds": standing.mean_seconds,
        "last_ended_at": time_shape(standing.last_ended_at),
        "open_jobs": standing.open_jobs,
        "busy": standing.busy,
        "best": _best(standing, definition),
        "created_at": time_shape(experiment.created_at),
        "problem": experiment.problem,
    }


def counts_shape(experiment: ExperimentRecord) -> dict[str, int]:
    """Return the number of jobs of each status."""
    return {status: experiment.job_counts.get(status, 0) for status in JOB_STATUSES}


def _best(standing: Standing, definition: Definition) -> dict[str, Any] | None:
    if not standing.best or not definition.objectives:
        return None
    job = standing.best[0]
    return {
        "id": job.job_id,
        "value": job.results.get(definition.objectives[0].result),
        "hyperparameters": cut_values(job.hyperparameters),
        "finished_at": time_shape(job.finished_at),
    }


def state_of(standing: Standing) -> tuple[str, str]:
    """Return in a word and in words whether an experiment runs, and why it does not."""
    experiment = standing.experiment
    waiting, running = experiment.job_counts.get("QUEUED", 0), experiment.job_counts.get("RUNNING", 0)
    if experiment.status == "DONE":
        return "done", f"done: {experiment.search_end}" if experiment.search_end else "done"
    if experiment.paused:
        return "paused", "paused"
    if experiment.problem:
        return "problem", f"problem: {experiment.problem}"
    if running:
        return "running", "running"
    if waiting:
        return "waiting", "waiting: no worker" if not standing.workers else "waiting for a worker"
    return "waiting", "no job waits" if experiment.scheduler == "manual" else "no worker has asked for a job"


def job_shape(job: JobRecord, *, whole: bool = False) -> dict[str, Any]:
    """Return a job; in lists its values are cut."""
    values: Callable[[Mapping[str, Any]], dict[str, Any]] = dict if whole else cut_values
    shape = {
        "id": job.job_id,
        "position": job.position,
        "status": job.status,
        "stop": job.stop,
        "attempt": job.attempt,
        "releases": job.releases,
        "created_at": time_shape(job.created_at),
        "started_at": time_shape(job.started_at),
        "finished_at": time_shape(job.finished_at),
        "seconds": run_seconds(job),
        "silent_seconds": job.silent_seconds,
        "worker": job.worker,
        "error": job.error if whole else cut(job.error),
        "quality": job.quality,
        "hyperparameters": values(job.hyperparameters),
        "results": values(job.results),
        "parent": job.parent,
        "generation": job.generation,
        "revision": job.revision,
    }
    return {**shape, "previous_results": dict(job.previous_results)} if whole else shape


def cut_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values of which none is longer than a cell of a table."""
    return {name: cut(value) for name, value in values.items()}


def cut(value: Any) -> Any:
    """Return a number, a truth value or None as it is, anything else as a text of 200 characters at most."""
    if value is None or isinstance(value, bool | int | float):
        return value
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= _LONGEST_CELL else text[: _LONGEST_CELL - 1] + "…"


def event_shape(event: JobEvent, numbers: Mapping[str, int]) -> dict[str, Any]:
    """Return an event; `numbers` has the number of each experiment by its name."""
    name = event.experiment
    return {
        "position": event.position,
        "at": time_shape(event.at),
        "experiment": None if name is None else {"name": name, "number": numbers.get(name)},
        "job": event.job_id,
        "kind": event.kind,
        "attempt": event.attempt,
        "worker": event.worker,
        "detail": event.detail[:2000],
        "times": event.times,
        "last_at": time_shape(event.last_at),
        "results": None if event.results is None else cut_values(event.results),
    }


def worker_shape(worker: WorkerRecord, numbers: Mapping[str, int]) -> dict[str, Any]:
    """Return a worker with the jobs that it holds."""
    state = "silent" if worker.silent and worker.state != "ended" else worker.state
    return {
        "host": worker.host,
        "pid": worker.pid,
        "program": worker.program,
        "state": state,
        "detail": worker.detail,
        "since": time_shape(worker.since),
        "heard_at": time_shape(worker.heard_at),
        "heard_seconds_ago": worker.heard_seconds_ago,
        "done": worker.done,
        "crashed": worker.crashed,
        "lost": worker.lost,
        "jobs": [_held(text, numbers) for text in worker.jobs],
    }


def _held(text: str, numbers: Mapping[str, int]) -> dict[str, Any]:
    name, _, job_id = text.rpartition("/")
    return {"experiment": {"name": name, "number": numbers.get(name)}, "id": job_id}


def time_shape(time: datetime | None) -> str | None:
    """Return a time as text, in UTC."""
    return None if time is None else time.isoformat().replace("+00:00", "Z")
