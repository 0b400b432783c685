"""JSON for browsers, which know neither NaN nor integers beyond 2^53."""

import json
import math
from typing import Any

_LARGEST = 2**53


def to_json(value: Any) -> bytes:
    """Return strict JSON; numbers that JavaScript cannot hold are texts."""
    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def plain(value: Any) -> Any:
    """Return the value with texts in place of NaN, infinities and integers beyond 2^53."""
    if isinstance(value, float):
        return value if math.isfinite(value) else _name(value)
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return value if -_LARGEST <= value <= _LARGEST else str(value)
    if isinstance(value, dict):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return str(value)


def _name(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
