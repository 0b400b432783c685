"""The output of a program in lines, in constant memory whatever it prints."""

import codecs
import re

LONGEST_LINE = 65_536
"""Bytes of a line that is read; longer ones, which no person wrote, are left out."""

_SEQUENCE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
"""Colours and other instructions to a terminal (ECMA-48)."""


def plain(line: bytes) -> bytes:
    """Return a line without the instructions to a terminal in it."""
    return _SEQUENCE.sub(b"", line) if b"\x1b" in line else line


class OutputLines:
    """Cuts output into lines; a carriage return ends one, too, as progress bars write it. Lives in one thread."""

    def __init__(self) -> None:
        self._rest = b""
        self._is_overlong = False

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that end in `data`, without those that are empty."""
        *lines, rest = (self._rest + data).replace(b"\r", b"\n").split(b"\n")
        if self._is_overlong and lines:
            lines[0] = b""
            self._is_overlong = False
        self._rest = b"" if self._is_overlong else rest
        if len(self._rest) > LONGEST_LINE:
            self._rest, self._is_overlong = b"", True
        return [line for line in lines if line and len(line) <= LONGEST_LINE]

    def end(self) -> list[bytes]:
        """Return the last line, if it has no end."""
        rest, self._rest = self._rest, b""
        return [rest] if rest else []


class Tail:
    """The last bytes of output. Lives in one thread."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._bytes = b""

    def feed(self, data: bytes) -> None:
        self._bytes = (self._bytes + data)[-self._size :]

    @property
    def text(self) -> str:
        """The last output; what is not UTF-8 in it is replaced."""
        return self._bytes.decode("utf-8", "replace")


class Unsent:
    """The output that was not taken yet, of which the last bytes are kept. Lives in one thread."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._bytes = b""
        self._end = 0

    def feed(self, data: bytes) -> None:
        joined = self._bytes + data
        self._end += max(0, len(joined) - self._size)
        self._bytes = joined[-self._size :]

    def take(self) -> tuple[str, int]:
        """Return the output since the last call as text, and the bytes of all output up to there in UTF-8."""
        text = self._decoder.decode(self._bytes)
        self._bytes = b""
        self._end += len(text.encode())
        return text, self._end
