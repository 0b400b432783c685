"""Experiments added and changed from the pages."""

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from schedy.errors import InvalidValueError
from schedy.search.algorithms import DEFAULT
from schedy.search.checks import changed_definition, check_search
from schedy.search.definition import CHANGEABLE, read_definition
from schedy.search.errors import message_of, neutrally
from schedy.search.written import read_written
from schedy.wire.base import EXPERIMENT_STATUSES, check_experiment_name
from schedy.wire.changes import AddExperiment, UpdateExperiment
from schedy.wire.records import ExperimentRecord, Limits
from schedy.wire.values import checked_size
from schedy_web.api.changes import body_of, changed, request_id_of
from schedy_web.context import Context, context_of
from schedy_web.json_values import to_json
from schedy_web.problems import problem


async def add_experiment(request: Request) -> Response:
    """Add an experiment, as `schedy add NAME --from FILE` does."""
    body, context = await body_of(request), context_of(request)
    name, text, language = body.get("name"), body.get("definition"), body.get("language", "TOML")
    if not isinstance(name, str) or not isinstance(text, str) or language not in ("TOML", "JSON"):
        raise InvalidValueError('Give {"name": ..., "definition": TEXT, "language": "TOML" or "JSON"}.')
    try:
        addition = _addition(context, name, text, language, request_id_of(body))
    except InvalidValueError as error:
        return problem(400, "invalid", message_of(error, neutrally))

    def _add() -> dict[str, Any]:
        added = context.session.change(addition).experiment
        context.kept.expire()
        return {"stored": True, "number": added.position, "name": added.name}

    return Response(to_json(await run_in_threadpool(_add)), media_type="application/json")


def _addition(context: Context, name: str, text: str, language: Any, request_id: str) -> AddExperiment:
    """Return the message that adds what a text defines. Raises InvalidValueError."""
    check_experiment_name(name)
    written = read_written(text, language)
    scheduler = written.algorithm or (DEFAULT if written.settings.get("objectives") else None)
    if scheduler is None:
        raise InvalidValueError(f"Name an algorithm, or an objective, for which {DEFAULT} is taken.")
    definition = read_definition(written.settings)
    check_search(scheduler, definition)
    settings = definition.as_json()
    checked_size(settings, limit_bytes=context.settings.max_message_bytes, what="settings of the experiment")
    return AddExperiment(
        request_id=request_id, name=name, scheduler=scheduler, settings=settings, limits=written.limits
    )


async def change_experiment(request: Request) -> Response:
    """Pause, resume, finish or go on with an experiment; change its limits and its budget."""
    body = await body_of(request)
    given: dict[str, Any] = {name: body[name] for name in ("paused", "status", "settings", "limits") if name in body}
    if not given or not _is_change(given):
        raise InvalidValueError(
            'Nothing to change: give {"paused": true or false}, {"status": "DONE" or "RUNNING"},'
            f' {{"settings": {{...}}}} with some of {", ".join(CHANGEABLE)},'
            ' or {"limits": {...}}. null removes one.'
        )

    def _change(context: Context, experiment: ExperimentRecord) -> dict[str, Any]:
        update = UpdateExperiment(
            request_id=request_id_of(body),
            experiment_uid=experiment.uid,
            paused=given.get("paused"),
            status=given.get("status"),
            settings=_settings(experiment, given["settings"]) if "settings" in given else None,
            limits=_limits(experiment, given["limits"]) if "limits" in given else None,
        )
        context.session.change(update)
        return {}

    return await changed(request, _change)


def _is_change(given: dict[str, Any]) -> bool:
    settings, limits = given.get("settings", {}), given.get("limits", {})
    return (
        isinstance(given.get("paused", False), bool)
        and given.get("status", "DONE") in EXPERIMENT_STATUSES
        and isinstance(settings, dict)
        and set(settings) <= set(CHANGEABLE)
        and isinstance(limits, dict)
        and set(limits) <= set(Limits.model_fields)
    )


def _settings(experiment: ExperimentRecord, changes: dict[str, Any]) -> dict[str, Any]:
    """Return the settings with the changes. Raises InvalidValueError."""
    try:
        return changed_definition(experiment.scheduler, read_definition(experiment.settings), changes).as_json()
    except InvalidValueError as error:
        raise InvalidValueError(message_of(error, neutrally)) from None


def _limits(experiment: ExperimentRecord, changes: dict[str, Any]) -> Limits:
    return Limits.model_validate({**experiment.limits.model_dump(), **changes})
