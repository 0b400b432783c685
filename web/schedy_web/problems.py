"""Errors as answers: a code, and the words of the error."""

from starlette.responses import Response

from schedy.errors import (
    InvalidValueError,
    NotFoundError,
    NotStoredYetError,
    PermissionDeniedError,
    ResourceExistsError,
    SchedyError,
    UnsafeUpdateError,
)
from schedy_web.json_values import to_json

_STATUSES: tuple[tuple[type[SchedyError], int, str], ...] = (
    (NotFoundError, 404, "not_found"),
    (ResourceExistsError, 409, "exists"),
    (UnsafeUpdateError, 409, "changed"),
    (InvalidValueError, 400, "invalid"),
    (PermissionDeniedError, 403, "denied"),
    (NotStoredYetError, 202, "not_stored_yet"),
)


def problem(status: int, code: str, message: str) -> Response:
    """Return an error as an answer."""
    return Response(to_json({"error": {"code": code, "message": message}}), status, media_type="application/json")


def problem_of(error: SchedyError) -> Response:
    """Return an error of Schedy as an answer: 503 for all that may pass, of store, broker and service."""
    if isinstance(error, NotStoredYetError):
        return Response(to_json({"stored": False, "message": str(error)}), 202, media_type="application/json")
    for kind, status, code in _STATUSES:
        if isinstance(error, kind):
            return problem(status, code, str(error))
    return problem(503, "unavailable", str(error))
