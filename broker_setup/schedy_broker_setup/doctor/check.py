"""What a check of `schedy doctor` found."""

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How a check ended. UNKNOWN: not to be seen with these rights, which is no fault."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing looked at; `remedy` is empty where nothing is to be done."""

    name: str
    outcome: Status
    detail: str
    remedy: str = ""
