"""The application: its routes, and how errors become answers."""

import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio.to_thread
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from schedy.errors import SchedyError
from schedy.settings import Settings
from schedy_store.schema.engine import Store
from schedy_web.answers import KeptAnswers
from schedy_web.api import changes, dead, definitions, experiments, files, happenings, jobs, pulse, samples, system
from schedy_web.broker_state import BrokerLook
from schedy_web.bundle import bundle
from schedy_web.context import Context
from schedy_web.json_values import to_json
from schedy_web.kept_first import KeptFirst
from schedy_web.openapi import openapi
from schedy_web.problems import problem, problem_of
from schedy_web.reading import StoreReads
from schedy_web.security import Access, Guard
from schedy_web.store_version import StoreVersion

STATIC = Path(__file__).parent / "static"
_THREADS = 16
"""Four read the store at a time, the others wait for them or for the broker."""
_SMALL_BYTES = 1000
_ASSETS = "@ASSETS@"
_PREFIX = "@PREFIX@"
_KEPT = {"cache-control": "public, max-age=31536000, immutable"}


def make_app(settings: Settings, store: Store, access: Access) -> Starlette:
    """Return the application over an open store."""
    kept = KeptAnswers(StoreVersion(store))
    context = Context(settings, access, StoreReads(store), kept, BrokerLook(settings, kept.expire))
    stamp = _stamp()

    @contextlib.asynccontextmanager
    async def _lifespan(_app: Starlette) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = _THREADS
        yield
        context.close()

    app = Starlette(
        routes=[
            Route("/healthz", _health),
            Mount(
                f"/static/{stamp}",
                routes=[
                    Route("/js/app.js", _sent(bundle(STATIC / "js" / "main.js"), "text/javascript")),
                    Route("/app.css", _sent(_styles(), "text/css")),
                    Mount("/", _Assets(directory=STATIC)),
                ],
                middleware=[Middleware(GZipMiddleware, minimum_size=_SMALL_BYTES)],
            ),
            Mount("/api/v1", routes=api_routes()),
            Route("/{page:path}", _page_of(access.prefix, stamp)),
        ],
        middleware=[Middleware(Guard, access=access), Middleware(KeptFirst, context=context)],
        exception_handlers={SchedyError: _said, ValidationError: _invalid},
        lifespan=_lifespan,
    )
    app.state.context = context
    return app


def api_routes() -> list[BaseRoute]:
    """Return the routes below `/api/v1`, which docs/http.md lists."""
    one = "/experiments/{number}"
    return [
        Route("/pulse", pulse.show_pulse),
        Route("/experiments", experiments.list_experiments),
        Route("/trends", experiments.list_trends),
        Route("/experiments", definitions.add_experiment, methods=["POST"]),
        Route(one, experiments.show_experiment),
        Route(one, definitions.change_experiment, methods=["PATCH"]),
        Route(one, changes.remove_experiment, methods=["DELETE"]),
        Route(f"{one}/best", experiments.list_best),
        Route(f"{one}/jobs", jobs.list_jobs),
        Route(f"{one}/jobs.csv", files.send_csv),
        Route(f"{one}/jobs.jsonl", files.send_json_lines),
        Route(f"{one}/jobs", changes.push_job, methods=["POST"]),
        Route(f"{one}/jobs/{{verb:str}}", changes.change_jobs, methods=["POST"]),
        Route(f"{one}/jobs/{{job}}", jobs.show_job),
        Route(f"{one}/jobs/{{job}}", changes.amend_job, methods=["PATCH"]),
        Route(f"{one}/jobs/{{job}}/output", jobs.show_output),
        Route(f"{one}/errors", jobs.list_errors),
        Route(f"{one}/sample", samples.show_sample),
        Route(f"{one}/curves", samples.list_curves),
        Route(f"{one}/events", happenings.list_events),
        Route("/events", happenings.list_events),
        Route("/workers", happenings.list_workers),
        Route("/system", system.show_system),
        Route("/system/dead", dead.list_dead),
        Route("/system/dead/{fate:str}", dead.settle_dead, methods=["POST"]),
        Route("/openapi.json", _openapi),
        Route("/{rest:path}", _unknown, methods=["GET", "POST", "PATCH", "PUT", "DELETE"]),
    ]


class _Assets(StaticFiles):
    """Files whose address changes with their content: a browser may keep them."""

    def file_response(self, *args: object, **options: object) -> Response:
        response = super().file_response(*args, **options)  # type: ignore[arg-type]
        response.headers.update(_KEPT)
        return response


def _sent(text: str, media_type: str) -> Callable[[Request], Response]:
    def _send(_request: Request) -> Response:
        return Response(text, media_type=media_type, headers=_KEPT)

    return _send


def _styles() -> str:
    """Return all styles as one file: a browser draws nothing before it has them."""
    return "".join(path.read_text() for path in (*sorted((STATIC / "vendor").glob("*.css")), STATIC / "app.css"))


def _stamp() -> str:
    """Return a text that changes with the files of the pages."""
    digest = hashlib.blake2b(digest_size=6)
    for path in sorted(STATIC.rglob("*")):
        if path.is_file():
            digest.update(path.relative_to(STATIC).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def _page_of(prefix: str, stamp: str) -> Callable[[Request], Response]:
    html = (STATIC / "index.html").read_text().replace(_ASSETS, f"{prefix}/static/{stamp}").replace(_PREFIX, prefix)

    def _page(_request: Request) -> Response:
        return Response(html, media_type="text/html")

    return _page


def _health(_request: Request) -> Response:
    return PlainTextResponse("ok\n")


def _openapi(_request: Request) -> Response:
    """Answer with this API in the form of OpenAPI."""
    return Response(to_json(openapi(api_routes())), media_type="application/json")


def _unknown(_request: Request) -> Response:
    return problem(404, "not_found", "There is no such address. docs/http.md lists them.")


def _said(_request: Request, error: Exception) -> Response:
    assert isinstance(error, SchedyError)  # noqa: S101 - it is registered for those
    return problem_of(error)


def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ValidationError)  # noqa: S101 - it is registered for those
    first = error.errors(include_url=False)[0]
    return problem(400, "invalid", f"{'.'.join(map(str, first['loc']))}: {first['msg']}.")
