"""Answers that are at hand, sent without a thread: most requests of many viewers are for the same few."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from schedy_web.context import Context, key_of, response_with

_PULSE = "/api/v1/pulse"


class KeptFirst:
    """Answers from what is kept, behind `Guard`, which has set the role; hands other requests on."""

    def __init__(self, app: ASGIApp, context: Context) -> None:
        self._app = app
        self._kept = context.kept
        self._beat = context.beat

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        is_read = scope["type"] == "http" and scope["method"] == "GET" and scope["path"].startswith("/api/")
        if is_read and scope["path"] == _PULSE:
            self._beat.note()
        body = self._kept.ready(key_of(scope)) if is_read else None
        if body is None:
            await self._app(scope, receive, send)
        else:
            await response_with(Headers(scope=scope), body)(scope, receive, send)
