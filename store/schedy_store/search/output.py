"""What a search process prints: algorithms, their libraries, warnings and tracebacks.

All of it goes through one pipe to the service, which logs each line with the name of the search. The process says in
the same pipe which search it works for, so that no line gets another's name.
"""

import io
import logging
import sys
from typing import IO

_log = logging.getLogger(__name__)

_MARK = "\x1e"
_LONGEST_LINE = 8192
"""Bytes after which a line is logged in parts."""


def begin_output() -> None:
    """Let what is printed in this process leave it line by line; no character makes printing fail."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)


def name_output(experiment: str) -> None:
    """Say that what is printed from now on is of the search of this experiment."""
    sys.stdout.flush()
    print(f"\n{_MARK}{experiment}", file=sys.stderr, flush=True)


def log_output(pipe: IO[bytes], *, process: str) -> None:
    """Log each line that comes through the pipe, until it ends; `process` is its name until the process gives one."""
    search = process or "process"
    while read := pipe.readline(_LONGEST_LINE):
        line = read.decode(errors="backslashreplace").rstrip("\r\n")
        if line.startswith(_MARK):
            search = line.removeprefix(_MARK)
        elif line:
            _log.warning("Search %s: %s", search, line)
