"""What charts show: a sample of the jobs as columns, and learning curves."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from schedy.errors import InvalidValueError
from schedy.search.definition import definition_or_empty
from schedy.wire.records import JobCurve, JobRecord
from schedy.wire.requests import GetBest, GetCurves, GetJobs, GetSample
from schedy_web.api.parameters import integer, number_of, words
from schedy_web.context import context_of
from schedy_web.reading import experiment_numbered, job_with_id, jobs_at
from schedy_web.shapes import cut, time_shape

_SAMPLE = 2000
_MOST_CURVES = 20
_BEST_CURVES = 10


def show_sample(request: Request) -> Response:
    """Answer with jobs that stand for all that have ended, and those that run: an array for each field."""
    context = context_of(request)
    limit, number = integer(request, "even", _SAMPLE, most=10_000), number_of(request)

    def _make() -> dict[str, Any]:
        ask = context.reads.ask
        experiment = experiment_numbered(ask, number)
        sample = ask(GetSample(experiment_uid=experiment.uid, limit=max(2, limit)))
        places = dict(zip(sample.positions, sample.places, strict=True))
        jobs = jobs_at(ask, experiment, [*sample.positions, *sample.running])
        return {"of": sample.ended, "n": len(jobs), **_columns(jobs, places)}

    return context.answer(request, _make, tag=lambda: context.state_of_jobs(number))


def _columns(jobs: list[JobRecord], places: dict[int, int]) -> dict[str, Any]:
    hyperparameters = list(dict.fromkeys(name for job in jobs for name in job.hyperparameters))
    results = list(dict.fromkeys(name for job in jobs for name in job.results))
    return {
        "ids": [job.job_id for job in jobs],
        "status": [job.status for job in jobs],
        "ended": [places.get(job.position) for job in jobs],
        "started_at": [time_shape(job.started_at) for job in jobs],
        "finished_at": [time_shape(job.finished_at) for job in jobs],
        "worker": [job.worker for job in jobs],
        "attempt": [job.attempt for job in jobs],
        "generation": [job.generation for job in jobs],
        "parent": [job.parent for job in jobs],
        "error": [None if job.error is None else cut(job.error.partition("\n")[0]) for job in jobs],
        "quality": [job.quality for job in jobs],
        "hyperparameters": {name: [cut(job.hyperparameters.get(name)) for job in jobs] for name in hyperparameters},
        "results": {name: [cut(job.results.get(name)) for job in jobs] for name in results},
    }


def list_curves(request: Request) -> Response:
    """Answer with the learning curves of some jobs, or of the best ones and those that run."""
    context = context_of(request)
    ids, steps = words(request, "ids"), integer(request, "limit", 200, most=10_000)
    if len(ids) > _MOST_CURVES:
        raise InvalidValueError(f"ids: {_MOST_CURVES} jobs at most.")

    def _make() -> dict[str, Any]:
        ask = context.reads.ask
        experiment = experiment_numbered(ask, number_of(request))
        if ids:
            jobs = [job_with_id(ask, experiment, job_id) for job_id in ids]
        else:
            objectives = definition_or_empty(experiment.settings).objectives
            best = ask(GetBest(experiment_uid=experiment.uid, limit=_BEST_CURVES)).jobs if objectives else []
            running = GetJobs(experiment_uid=experiment.uid, statuses=["RUNNING"], limit=_MOST_CURVES)
            jobs = [*best, *ask(running).jobs]
        status = {job.job_id: job.status for job in jobs}
        positions = list(dict.fromkeys(job.position for job in jobs))
        curves: list[JobCurve] = []
        if positions:
            asked = GetCurves(experiment_uid=experiment.uid, positions=positions, steps=max(2, steps))
            curves = ask(asked).curves
        shapes = [shape for curve in curves for shape in _curve_shapes(curve, status.get(curve.job_id, ""))]
        return {"names": list(dict.fromkeys(shape["name"] for shape in shapes)), "curves": shapes}

    return context.answer(request, _make)


def _curve_shapes(curve: JobCurve, status: str) -> list[dict[str, Any]]:
    names = dict.fromkeys(name for point in curve.points for name in point.values)
    return [
        {
            "id": curve.job_id,
            "status": status,
            "name": name,
            "steps": [point.step for point in curve.points if name in point.values],
            "values": [point.values[name] for point in curve.points if name in point.values],
        }
        for name in names
    ]
