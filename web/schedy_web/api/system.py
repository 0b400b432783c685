"""The parts of the installation."""

from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from schedy import __version__
from schedy.urls import without_password
from schedy_web.context import Context, context_of
from schedy_web.service_state import service_state
from schedy_web.shapes import time_shape


def show_system(request: Request) -> Response:
    """Answer with what is known of service, broker, store and these pages."""
    context = context_of(request)
    role = request.scope["role"]
    return context.answer(request, lambda: _system(context, role), seconds=5.0)


def _system(context: Context, role: str) -> dict[str, Any]:
    store = context.reads.store
    with context.reads.transaction() as transaction:
        service = service_state(transaction)
    path = context.settings.sqlite_path
    is_sqlite = store.engine.dialect.name == "sqlite"
    address = urlsplit(without_password(context.settings.broker_urls[0]))
    broker = context.broker.state()
    return {
        "schedy": __version__,
        "operate": role == "operate" and not context.access.read_only,
        "service": {
            "instance": service.instance,
            "epoch": service.epoch,
            "active_since": time_shape(service.active_since),
            "seen_at": time_shape(service.seen_at),
            "alive": service.is_alive,
        },
        "broker": {
            "address": f"{address.hostname}:{address.port or 5672}",
            "version": broker.version,
            "reports_waiting": broker.reports_waiting,
            "services": broker.services,
            "dead_letters": broker.dead_letters,
            "problem": broker.problem,
        },
        "store": {
            "kind": "SQLite" if is_sqlite else "PostgreSQL",
            "address": without_password(store.url),
            "size_bytes": path.stat().st_size if is_sqlite and path.exists() else None,
            "revision": store.schema_revision(),
        },
    }
