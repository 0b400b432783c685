"""Dead letters: messages that the results service could not process."""

import threading
from collections.abc import Collection
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from schedy.errors import InvalidValueError, NotFoundError
from schedy_broker_setup.dead_letters import DeadLetter, dead_letters, drop_dead_letters, replay_dead_letters
from schedy_web.api.changes import body_of
from schedy_web.context import Context, context_of
from schedy_web.shapes import time_shape

_MOST_SHOWN = 100
_ALONE = threading.Lock()
"""Those who look take the letters for a moment: nobody else is to find none meanwhile."""


def list_dead(request: Request) -> Response:
    """Answer with the oldest dead letters."""
    settings, may_operate = context_of(request).settings, request.scope["role"] == "operate"
    with _ALONE:
        found = dead_letters(settings.broker_url, limit=_MOST_SHOWN, tls=settings.broker_tls)
    letters = [_shape(letter, whole=may_operate) for letter in found]
    return JSONResponse({"letters": letters}, headers={"cache-control": "no-store"})


def _shape(letter: DeadLetter, *, whole: bool) -> dict[str, Any]:
    """Return a letter; its body may have the token of a job, which is not for all who look."""
    return {
        "number": letter.number,
        "at": time_shape(letter.at),
        "routing_key": letter.routing_key,
        "kind": letter.kind,
        "user": letter.user,
        "reason": letter.reason,
        "body": letter.body if whole else "",
    }


async def settle_dead(request: Request) -> Response:
    """Put dead letters back, or drop them, by their numbers or all."""
    body, context, fate = await body_of(request), context_of(request), request.path_params["fate"]
    if fate not in ("replay", "drop"):
        raise NotFoundError(f"There is no change {fate!r}: dead letters are replayed or dropped.")
    numbers = body.get("numbers")
    if isinstance(numbers, list) and numbers and all(type(each) is int and each > 0 for each in numbers):
        chosen = set(numbers)
    elif body.get("all") is True:
        chosen = None
    else:
        raise InvalidValueError('Give {"numbers": [1, 2]} as the list has them, or {"all": true}.')
    outcomes = await run_in_threadpool(lambda: _settled(context, fate, chosen))
    return JSONResponse({"stored": True, "outcomes": outcomes})


def _settled(context: Context, fate: str, numbers: Collection[int] | None) -> list[dict[str, Any]]:
    url, tls = context.settings.broker_url, context.settings.broker_tls
    try:
        with _ALONE:
            if fate == "drop":
                return [_outcome(letter, "dropped") for letter in drop_dead_letters(url, numbers, tls=tls)]
            return [_outcome(letter, str(became)) for letter, became in replay_dead_letters(url, numbers, tls=tls)]
    finally:
        context.broker.forget()
        context.kept.expire()


def _outcome(letter: DeadLetter, detail: str) -> dict[str, Any]:
    return {"number": letter.number, "detail": detail}
