"""Changes: each is a message that the protocol has, sent over the broker."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from schedy.errors import InvalidValueError, NotFoundError, UnsafeUpdateError
from schedy.wire.answers import JobOutcome
from schedy.wire.changes import (
    JOBS_CHANGED_AT_ONCE,
    AmendJob,
    CancelJobs,
    DeleteExperiment,
    DeleteJob,
    NewJob,
    Push,
    RetryJobs,
)
from schedy.wire.records import ExperimentRecord
from schedy_web.api.jobs import selection_with
from schedy_web.api.parameters import number_of
from schedy_web.context import Context, context_of
from schedy_web.json_values import to_json
from schedy_web.reading import experiment_numbered, job_with_id, jobs_at

_MOST_CHANGED = 20_000
_MOST_BODY_BYTES = 2 * 1024 * 1024
_KINDS = {"cancel": CancelJobs, "retry": RetryJobs}


async def body_of(request: Request) -> dict[str, Any]:
    """Return the JSON object in the body. Raises InvalidValueError."""
    raw = b""
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > _MOST_BODY_BYTES:
            raise InvalidValueError(f"A change has {_MOST_BODY_BYTES} bytes at most.")
    try:
        body = json.loads(raw or b"{}")
    except ValueError as error:
        raise InvalidValueError(f"The body is no JSON: {error}.") from None
    if not isinstance(body, dict):
        raise InvalidValueError("The body is to be a JSON object.")
    return body


async def remove_experiment(request: Request) -> Response:
    """Remove an experiment with all its jobs; `name` repeats its name."""
    body = await body_of(request)

    def _change(context: Context, experiment: ExperimentRecord) -> dict[str, Any]:
        if body.get("name") != experiment.name:
            raise InvalidValueError(f"Nothing was removed: `name` is not {experiment.name!r}.")
        context.session.change(DeleteExperiment(request_id=request_id_of(body), experiment_uid=experiment.uid))
        return {}

    return await changed(request, _change)


async def change_jobs(request: Request) -> Response:
    """Cancel, retry or remove jobs by their ids; what happened is told of each."""
    body, verb = await body_of(request), request.path_params["verb"]
    if verb not in (*_KINDS, "remove"):
        raise NotFoundError(f"There is no change {verb!r}: jobs are cancelled, retried or removed.")

    def _change(context: Context, experiment: ExperimentRecord) -> dict[str, Any]:
        ids = _ids_in(context, experiment, body)
        outcomes = [each for chunk in _chunks(ids) for each in _changed_jobs(context, experiment, verb, chunk)]
        return {"outcomes": [{"id": o.job_id, "changed": o.changed, "detail": o.detail} for o in outcomes]}

    return await changed(request, _change)


def _ids_in(context: Context, experiment: ExperimentRecord, body: dict[str, Any]) -> list[str]:
    """Return the ids that a change names, or those of all jobs that match. Raises UnsafeUpdateError if they differ."""
    ids, expected = body.get("ids"), body.get("expect")
    if _are_texts(ids) and ids:
        return list(ids)
    where, statuses = body.get("where", []), body.get("status", [])
    if ids is not None or not isinstance(expected, int) or not _are_texts(where) or not _are_texts(statuses):
        raise InvalidValueError(
            'Give the jobs: {"ids": ["fVKGjg", ...]}, or {"where": ["lr > 1", ...], "expect": 12} for all that match.'
        )
    selection = selection_with(context.reads.ask, experiment, where=where, statuses=statuses, sort="created_at")
    positions = selection.positions(context.reads.ask, experiment, _MOST_CHANGED + 1)
    if len(positions) > _MOST_CHANGED:
        raise InvalidValueError(f"At most {_MOST_CHANGED} jobs are changed at once: add a condition.")
    if len(positions) != expected:
        raise UnsafeUpdateError(f"{len(positions)} jobs match now, not {expected}. Nothing was changed.")
    return [job.job_id for job in jobs_at(context.reads.ask, experiment, positions)]


def _are_texts(given: Any) -> bool:
    return isinstance(given, list) and all(isinstance(each, str) for each in given)


def _chunks(ids: list[str]) -> Iterator[list[str]]:
    unique = list(dict.fromkeys(ids))
    for start in range(0, len(unique), JOBS_CHANGED_AT_ONCE):
        yield unique[start : start + JOBS_CHANGED_AT_ONCE]


def _changed_jobs(context: Context, experiment: ExperimentRecord, verb: str, ids: list[str]) -> list[JobOutcome]:
    change = context.session.change
    if verb == "remove":
        return [_removed(context, experiment, job_id) for job_id in ids]
    kind = _KINDS[verb]
    return change(kind(request_id=uuid.uuid4().hex, experiment_uid=experiment.uid, job_ids=ids)).outcomes


def _removed(context: Context, experiment: ExperimentRecord, job_id: str) -> JobOutcome:
    try:
        context.session.change(DeleteJob(request_id=uuid.uuid4().hex, experiment_uid=experiment.uid, job_id=job_id))
    except NotFoundError:
        return JobOutcome(job_id=job_id, changed=False, detail="there is no such job.")
    return JobOutcome(job_id=job_id, changed=True, detail="removed")


async def push_job(request: Request) -> Response:
    """Push a job with the given hyperparameters."""
    body = await body_of(request)
    if not isinstance(body.get("hyperparameters"), dict):
        raise InvalidValueError('Give the hyperparameters: {"hyperparameters": {"lr": 0.1}}.')

    def _change(context: Context, experiment: ExperimentRecord) -> dict[str, Any]:
        push = Push(
            request_id=request_id_of(body),
            experiment_name=experiment.name,
            experiment_uid=experiment.uid,
            jobs=[NewJob(hyperparameters=body["hyperparameters"])],
            worker=context.session.worker,
        )
        answer = context.session.change(push)
        return {"ids": [job.job_id for job in answer.jobs], "warnings": answer.warnings}

    return await changed(request, _change)


async def amend_job(request: Request) -> Response:
    """Change results, and the quality, of a job that has ended; refused if it has changed since `revision`."""
    body = await body_of(request)
    changed_results, removed = body.get("results"), body.get("remove", [])
    quality, revision = body.get("quality"), body.get("revision")
    is_usable = isinstance(changed_results, dict) and _are_texts(removed) and isinstance(revision, int)
    if not is_usable or not isinstance(quality, int | float | None):
        raise InvalidValueError(
            'Give the results that change, and the revision of the job: {"results": {"loss": 0.1}, "revision": 1}.'
        )

    def _change(context: Context, experiment: ExperimentRecord) -> dict[str, Any]:
        job = job_with_id(context.reads.ask, experiment, request.path_params["job"])
        kept = {name: value for name, value in job.results.items() if name not in removed}
        amendment = AmendJob(
            request_id=request_id_of(body),
            experiment_uid=experiment.uid,
            job_id=job.job_id,
            results={**kept, **(changed_results or {})},
            quality=job.quality if quality is None else quality,
            revision=revision,
        )
        return {"revision": context.session.change(amendment).revision}

    return await changed(request, _change)


def request_id_of(body: dict[str, Any]) -> str:
    given = body.get("request_id")
    return given if isinstance(given, str) and given else uuid.uuid4().hex


async def changed(request: Request, change: Any) -> Response:
    """Make a change outside of the event loop; answer with what it returns."""
    context = context_of(request)

    def _run() -> dict[str, Any]:
        experiment = experiment_numbered(context.reads.ask, number_of(request))
        try:
            return {"stored": True, **change(context, experiment)}
        finally:
            context.kept.expire()

    return Response(to_json(await run_in_threadpool(_run)), media_type="application/json")
