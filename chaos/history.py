"""What a process did, written by itself: JSON lines, each on disk before the next step is taken.

A step has a record when it begins (`invoked`) and one when it ends (`returned` or `raised`). A step without an end
belongs to a process that was killed, and may have happened or not. Times are of CLOCK_MONOTONIC, which all processes
of one machine share.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

Record = dict[str, Any]


class History:
    """Appends to a file that no other process writes."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, what: str, state: str, **fields: Any) -> None:
        record = {"what": what, "state": state, "at": time.monotonic(), **fields}
        os.write(self._descriptor, json.dumps(record).encode() + b"\n")
        os.fsync(self._descriptor)


def read_history(path: Path) -> list[Record]:
    """Return the records of one process; a last line that was cut off by its death is none."""
    records: list[Record] = []
    for line in path.read_text().splitlines(keepends=True):
        if line.endswith("\n"):
            records.append(json.loads(line))
    return records


def read_histories(folder: Path, pattern: str) -> list[list[Record]]:
    return [read_history(path) for path in sorted(folder.glob(pattern))]
