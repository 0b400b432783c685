"""A log file of bounded size."""

import contextlib
import os
from collections.abc import Sequence
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

_LARGEST_BYTES = 10_000_000
_KEPT_FILES = 3


class LogFile(RotatingFileHandler):
    """Writes to a file. At 10 MB FILE becomes FILE.1, that FILE.2 and that FILE.3, in place of the one before.

    What else the process writes to the file, tracebacks of the interpreter for one, follows: `descriptors` that are the
    file when it is begun anew, are the new one afterwards.
    """

    def __init__(self, path: Path, *, descriptors: Sequence[int] = (1, 2), largest_bytes: int = _LARGEST_BYTES) -> None:
        """Raises OSError."""
        self._descriptors = descriptors
        super().__init__(path, maxBytes=largest_bytes, backupCount=_KEPT_FILES, encoding="utf-8")

    def _open(self) -> Any:
        return open(self.baseFilename, "a", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o600))

    def doRollover(self) -> None:
        old = None if self.stream is None else os.fstat(self.stream.fileno())
        following = [each for each in self._descriptors if old is not None and _is(each, old)]
        super().doRollover()
        for each in following:
            if self.stream is not None:
                os.dup2(self.stream.fileno(), each)


def _is(descriptor: int, file: os.stat_result) -> bool:
    with contextlib.suppress(OSError):
        return os.path.samestat(os.fstat(descriptor), file)
    return False
