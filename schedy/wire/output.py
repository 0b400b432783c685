"""The output of an attempt, of which its end is kept: as much as goes into one message."""

from dataclasses import dataclass
from typing import Self

LONGEST_OUTPUT = 65_536
"""Bytes in UTF-8 of the end of an attempt's output that are kept, and of the longest report of it."""
LONGEST_TRACEBACK = 16_384
"""Bytes in UTF-8 of the end of a traceback that are kept."""


def end_of(text: str, most: int) -> str:
    """Return the last characters of a text, up to `most` bytes in UTF-8, as any database stores them.

    NUL and lone surrogates become question marks, one byte each as before.
    """
    data = text[-most:].encode("utf-8", "replace").replace(b"\0", b"?")
    return data[-most:].decode("utf-8", "ignore")


@dataclass(frozen=True, slots=True)
class Tail:
    """The end of an output: `text` ends with its byte number `end`, counted in UTF-8 from its beginning."""

    text: str = ""
    end: int = 0

    @classmethod
    def of(cls, text: str, end: int) -> Self:
        """Return the tail of an output whose latest part is `text`."""
        return cls(end_of(text, LONGEST_OUTPUT), end)

    @property
    def start(self) -> int:
        """Number of bytes of the output before the text."""
        return max(0, self.end - len(self.text.encode()))

    def joined(self, later: Self) -> Self:
        """Return the tail that this one and a later part make. What both have is kept once; a gap ends the earlier."""
        if later.end <= self.end:
            return self
        missed = later.start - self.end
        if missed > 0:
            return later
        return self.of(self.text + later.after(self.end).text, later.end)

    def after(self, byte: int) -> Self:
        """Return the part of the tail behind a byte of the output."""
        if byte <= self.start:
            return self
        return type(self)(self.text.encode()[byte - self.start :].decode("utf-8", "ignore"), max(byte, self.end))
