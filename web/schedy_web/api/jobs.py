"""Jobs: a page of them, one with all that is known of it, its output, and errors by their text."""

import itertools
from collections import Counter
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from schedy.errors import InvalidValueError
from schedy.results.ask import Ask
from schedy.search.definition import definition_or_empty
from schedy.wire.base import JOB_STATUSES
from schedy.wire.records import ExperimentRecord, JobRecord
from schedy.wire.requests import (
    JOB_COLUMNS,
    GetFields,
    GetHistory,
    GetJobOrder,
    GetJobs,
    GetOutput,
    SortField,
    pages,
)
from schedy_web.api.parameters import integer, number_of, words
from schedy_web.context import Context, context_of
from schedy_web.reading import experiment_numbered
from schedy_web.shapes import event_shape, job_shape

_PAGE = 50
_MOST_CRASHES = 5000


def list_jobs(request: Request) -> Response:
    """Answer with a page of jobs in the order of a field."""
    context = context_of(request)
    start, limit = integer(request, "after", 0, most=10**6), integer(request, "limit", _PAGE, most=500)
    statuses = [word for word in words(request, "status") if word in JOB_STATUSES]

    def _make() -> dict[str, Any]:
        ask = context.reads.ask
        experiment = experiment_numbered(ask, number_of(request))
        sort, decreasing = _order(ask, experiment, request.query_params.get("sort", ""))
        order = ask(
            GetJobOrder(
                experiment_uid=experiment.uid,
                statuses=statuses,
                sort=sort,
                decreasing=decreasing,
                limit=start + limit + 1,
            )
        )
        page = order.positions[start : start + limit]
        jobs = jobs_at(ask, experiment, page)
        total = sum(experiment.job_counts.get(status, 0) for status in statuses or JOB_STATUSES)
        more = len(order.positions) > start + limit
        return {
            "jobs": [job_shape(job) for job in jobs],
            "next": str(start + limit) if more else None,
            "total": total,
            "complete": True,
        }

    return context.answer(request, _make)


def _order(ask: Ask, experiment: ExperimentRecord, word: str) -> tuple[list[SortField], bool]:
    """Return the fields to sort by; without a word the objective, the best first, or else the newest first."""
    objective = definition_or_empty(experiment.settings).objective
    if not word and objective is not None:
        return [SortField(source="result", name=objective.result)], objective.direction == "maximize"
    name = word.removeprefix("-") or "created_at"
    decreasing = word.startswith("-") or not word
    return [field_of(ask, experiment, name)], decreasing


def field_of(ask: Ask, experiment: ExperimentRecord, word: str) -> SortField:
    """Return the field of that name. Raises InvalidValueError if no job has it."""
    known = ask(GetFields(experiment_uid=experiment.uid))
    source, _, name = word.partition(".")
    if source == "hyperparameter" and name in known.hyperparameters:
        return SortField(source="hyperparameter", name=name)
    if source == "result" and name in known.results:
        return SortField(source="result", name=name)
    if word in JOB_COLUMNS:
        return SortField(source="column", name=word)
    if word in known.results:
        return SortField(source="result", name=word)
    if word in known.hyperparameters:
        return SortField(source="hyperparameter", name=word)
    raise InvalidValueError(f"No job has a field {word!r}.")


def jobs_at(ask: Ask, experiment: ExperimentRecord, positions: list[int]) -> list[JobRecord]:
    """Return jobs in the order of their positions, without those deleted meanwhile."""
    jobs: list[JobRecord] = []
    start = 0
    while start < len(positions):
        page = positions[start : start + 500]
        answer = ask(GetJobs(experiment_uid=experiment.uid, positions=page))
        jobs += answer.jobs
        start += page.index(answer.jobs[-1].position) + 1 if answer.more else len(page)
    return jobs


def job_with_id(ask: Ask, experiment: ExperimentRecord, job_id: str) -> JobRecord:
    """Return a job. Raises NotFoundError."""
    return ask(GetJobs(experiment_uid=experiment.uid, job_id=job_id)).jobs[0]


def show_job(request: Request) -> Response:
    """Answer with one job: whole values, its newest events, and where its output is."""
    context = context_of(request)

    def _make() -> dict[str, Any]:
        ask = context.reads.ask
        experiment = experiment_numbered(ask, number_of(request))
        job = job_with_id(ask, experiment, request.path_params["job"])
        return {
            **job_shape(job, whole=True),
            "experiment": {"number": experiment.position, "name": experiment.name},
            "events": _newest_events(context, experiment, job.job_id),
            "output": _output(ask, experiment, job.job_id, None, 0),
        }

    return context.answer(request, _make)


def _newest_events(context: Context, experiment: ExperimentRecord, job_id: str) -> list[dict[str, Any]]:
    history = context.reads.ask(GetHistory(experiment_uid=experiment.uid, job_id=job_id, newest=True, limit=200))
    numbers = {experiment.name: experiment.position}
    return [event_shape(event, numbers) for event in history.events]


def show_output(request: Request) -> Response:
    """Answer with the output of an attempt from a byte on, the latest attempt's without `attempt`."""
    context = context_of(request)

    def _make() -> dict[str, Any]:
        ask = context.reads.ask
        experiment = experiment_numbered(ask, number_of(request))
        attempt = integer(request, "attempt", 0, most=10**6) if "attempt" in request.query_params else None
        return _output(ask, experiment, request.path_params["job"], attempt, integer(request, "after", 0))

    return context.answer(request, _make)


def _output(ask: Ask, experiment: ExperimentRecord, job_id: str, attempt: int | None, after: int) -> dict[str, Any]:
    answer = ask(GetOutput(experiment_uid=experiment.uid, job_id=job_id, attempt=attempt, after=after))
    return answer.model_dump(exclude={"kind", "version"})


def list_errors(request: Request) -> Response:
    """Answer with the errors of CRASHED jobs by their first line, and with the machines on which they crashed."""
    context = context_of(request)

    def _make() -> dict[str, Any]:
        ask = context.reads.ask
        experiment = experiment_numbered(ask, number_of(request))
        crashed = GetJobs(experiment_uid=experiment.uid, statuses=["CRASHED"], limit=1000)
        jobs = list(itertools.islice((job for page in pages(ask, crashed) for job in page.jobs), _MOST_CRASHES))
        errors = Counter(_first_line(job) for job in jobs)
        latest = {_first_line(job): job.job_id for job in jobs}
        hosts = Counter((job.worker or "").partition(":")[0] for job in jobs if job.worker)
        return {
            "of": experiment.job_counts.get("CRASHED", 0),
            "looked_at": len(jobs),
            "errors": [
                {"error": error, "jobs": count, "example": latest[error]} for error, count in errors.most_common(50)
            ],
            "hosts": [{"host": host, "crashed": count} for host, count in hosts.most_common(50)],
        }

    return context.answer(request, _make, seconds=10.0)


def _first_line(job: JobRecord) -> str:
    return ((job.error or "no error was reported").splitlines() or [""])[0][:200]
