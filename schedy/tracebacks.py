"""Tracebacks of users' exceptions as text."""

import traceback
from pathlib import Path
from types import TracebackType

from schedy.user_text import error_text

_PACKAGE = str(Path(__file__).parent) + "/"
_LONGEST_LINE = 2000
"""Characters of a line that are kept: a message may be as long as a file, and the frames stand before it."""


def traceback_text(error: BaseException) -> str:
    """Return the traceback as Python prints it, from the first frame that is not Schedy's. Nothing here raises."""
    frames = _of_user(error.__traceback__)
    try:
        lines = "".join(traceback.format_exception(type(error), error, frames)).splitlines()
    except BaseException:  # a user's exception may do anything when it is written out
        lines = ["Traceback (most recent call last):", *"".join(traceback.format_tb(frames)).splitlines()]
        lines.append(error_text(error))
    return "\n".join(map(_cut, lines)) + "\n"


def _of_user(frames: TracebackType | None) -> TracebackType | None:
    first = frames
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith(_PACKAGE):
        frames = frames.tb_next
    return first if frames is None else frames


def _cut(line: str) -> str:
    return line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]} ..."
