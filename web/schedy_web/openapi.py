"""The API in the form of OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.0), made from its routes."""

import inspect
import re
from collections.abc import Iterable
from typing import Any

from starlette.routing import BaseRoute, Route

from schedy import __version__

_PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")
_PARAMETERS = {
    "number": ("integer", "The number of an experiment; text after it and a hyphen is ignored."),
    "job": ("string", "The id of a job."),
    "verb": ("string", "cancel, retry or remove."),
    "fate": ("string", "replay or drop."),
}
_REFUSALS = {
    "400": "What was sent cannot be used.",
    "401": "There is no token.",
    "403": "This token may not do that.",
    "404": "There is no such thing.",
    "409": "It has changed meanwhile, or is there already.",
    "503": "Store, broker or service do not answer in time.",
}


def openapi(routes: Iterable[BaseRoute]) -> dict[str, Any]:
    """Return the description of all routes that have an address of their own."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        if isinstance(route, Route) and "rest" not in route.path:
            path = _PARAMETER.sub(r"{\1}", route.path)
            for method in sorted((route.methods or set()) - {"HEAD"}):
                paths.setdefault(path, {})[method.lower()] = _operation(route, path, method)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Schedy", "version": __version__, "description": "docs/http.md says more."},
        "servers": [{"url": "/api/v1"}],
        "paths": paths,
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "security": [{"token": []}],
    }


def _operation(route: Route, path: str, method: str) -> dict[str, Any]:
    summary = (inspect.getdoc(route.endpoint) or "").partition("\n")[0]
    operation: dict[str, Any] = {
        "operationId": re.sub(r"\W+", "_", f"{method.lower()}{path}").strip("_"),
        "summary": summary,
        "parameters": [_parameter(name) for name in _PARAMETER.findall(route.path)],
        "responses": {"200": {"description": summary}}
        | {status: {"description": text} for status, text in _REFUSALS.items()},
    }
    if method == "GET":
        return operation
    operation["parameters"].append(
        {"name": "X-Schedy", "in": "header", "required": True, "schema": {"type": "string", "const": "1"}}
    )
    operation["responses"]["202"] = {"description": "The broker has the change, the store will have it later."}
    operation["requestBody"] = {"content": {"application/json": {"schema": {"type": "object"}}}}
    return operation


def _parameter(name: str) -> dict[str, Any]:
    kind, description = _PARAMETERS[name]
    return {"name": name, "in": "path", "required": True, "description": description, "schema": {"type": kind}}
