"""What happened, and who works."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from schedy.wire.requests import GetHistory, GetWorkers
from schedy_web.api.parameters import integer, number_of, words
from schedy_web.context import Context, context_of
from schedy_web.reading import experiment_numbered
from schedy_web.shapes import event_shape, worker_shape

_PAGE = 100
_MOST_LOOKED_AT = 20_000


def list_events(request: Request) -> Response:
    """Answer with the newest events, of one experiment or of all; older ones with `before`."""
    context = context_of(request)
    limit = integer(request, "limit", _PAGE, most=1000)

    def _make() -> dict[str, Any]:
        return _events(context, request, limit)

    return context.answer(request, _make, seconds=1.0)


def _events(context: Context, request: Request, limit: int) -> dict[str, Any]:
    ask = context.reads.ask
    uid = experiment_numbered(ask, number_of(request)).uid if "number" in request.path_params else None
    kinds, text = set(words(request, "kind")), request.query_params.get("text", "").lower()
    worker = request.query_params.get("worker", "").lower()
    before: int | None = integer(request, "before", 0) or None
    numbers = context.numbers()
    found: list[dict[str, Any]] = []
    looked_at, more = 0, True
    while more and len(found) < limit and looked_at < _MOST_LOOKED_AT:
        history = ask(
            GetHistory(experiment_uid=uid, before=before, newest=True, limit=1000 if kinds or text else limit)
        )
        more = history.more
        for event in reversed(history.events):  # newest first
            looked_at += 1
            before = event.position
            is_wanted = not kinds or event.kind in kinds
            is_wanted = is_wanted and (not worker or worker in (event.worker or "").lower())
            if is_wanted and (not text or text in f"{event.job_id} {event.detail}".lower()):
                found.append(event_shape(event, numbers))
            if len(found) == limit:
                break
    return {"events": found, "older": before if more or len(found) == limit else None, "looked_at": looked_at}


def list_workers(request: Request) -> Response:
    """Answer with the workers that have not ended, or with all of the last days."""
    context = context_of(request)
    gone = request.query_params.get("gone") == "1"

    def _make() -> dict[str, Any]:
        answer = context.reads.ask(GetWorkers(gone=gone, limit=1000, after=integer(request, "after", 0)))
        numbers = context.numbers()
        shapes = [worker_shape(worker, numbers) for worker in answer.workers]
        return {"workers": shapes, "next": answer.workers[-1].position if answer.more else None}

    return context.answer(request, _make)
