"""The result of a check of `schedy doctor`."""

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """The status of a check. UNKNOWN: hidden from this user, which is no fault."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Check:
    """The result of one check; `remedy` is empty if there is nothing to do."""

    name: str
    status: Status
    detail: str
    remedy: str = ""
