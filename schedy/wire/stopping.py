"""Reasons for which the worker of a running job is to stop, in one place for messages, log, store and command line."""

from typing import Literal, get_args

Stop = Literal["cancelled", "job_timeout", "stall_timeout"]
STOPS: tuple[Stop, ...] = get_args(Stop)


def stop_text(stop: Stop, *, job_timeout: float | None = None, stall_timeout: float | None = None) -> str:
    """Return the end of a sentence that begins with the job. A limit in seconds is named where it is given."""
    match stop:
        case "cancelled":
            return "it was cancelled."
        case "job_timeout":
            return f"it ran for longer than job_timeout allows{_seconds(job_timeout)}."
        case "stall_timeout":
            return f"it put nothing for longer than stall_timeout allows{_seconds(stall_timeout)}."


def _seconds(limit: float | None) -> str:
    return "" if limit is None else f" ({limit:g} s)"
