"""The terminal of `schedy watch`: a screen that is drawn again and again, keys, changes of its size."""

import contextlib
import itertools
import os
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Iterator, Sequence
from enum import Enum, auto

from rich.console import Console, ConsoleDimensions, Group
from rich.live import Live
from rich.text import Text

from schedy.escaping import printable


class Happening(Enum):
    """What ends a wait."""

    NOTHING = auto()
    RESIZED = auto()
    LEFT = auto()


class Screen:
    """The whole terminal, until the block ends. Lives in the main thread."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._live = Live(console=self._console, screen=True, auto_refresh=False)

    def __enter__(self) -> "Screen":
        self._live.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.__exit__(None, None, None)

    @property
    def width(self) -> int:
        return self._size().width

    @property
    def height(self) -> int:
        return self._size().height

    def _size(self) -> ConsoleDimensions:
        """Ask the terminal itself: the variables COLUMNS and LINES do not change with it."""
        columns, lines = os.get_terminal_size(sys.stdout.fileno())
        self._console.size = size = ConsoleDimensions(columns or 80, lines or 24)
        return size

    def draw(self, lines: Sequence[Text], trouble: str) -> None:
        """Show these lines and, in the last line of the terminal, a trouble or how to leave."""
        last = Text(printable(trouble), style="red") if trouble else Text("q quits", style="dim")
        last.truncate(self.width, overflow="ellipsis")
        blank = [Text()] * (self.height - 1 - len(lines))
        self._live.update(Group(*lines, *blank, last), refresh=True)

    def leave(self, lines: Sequence[Text]) -> None:
        """Print what stands before the first blank line; it stays on the terminal after the block."""
        for line in itertools.takewhile(lambda line: line.plain, lines):
            self._console.print(line)


class Keys:
    """What the user does: keys, and changes of the terminal's size. Lives in the main thread, within its block."""

    def __init__(self) -> None:
        self._resized, self._resizing = os.pipe()
        self._is_terminal = sys.stdin.isatty()

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Read keys as they are pressed, without showing them; SIGTERM ends the program as a terminal needs it."""
        before = termios.tcgetattr(sys.stdin) if self._is_terminal else None
        handlers = {number: signal.getsignal(number) for number in (signal.SIGWINCH, signal.SIGTERM)}
        signal.signal(signal.SIGWINCH, lambda *_: os.write(self._resizing, b"r"))
        signal.signal(signal.SIGTERM, _leave)
        try:
            if before is not None:
                tty.setcbreak(sys.stdin)
            yield
        finally:
            if before is not None:
                termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def wait(self, seconds: float) -> Happening:
        """Wait until the user wants to leave, the size has changed, or the time is over."""
        inputs = [self._resized, *([sys.stdin.fileno()] if self._is_terminal else [])]
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            ready, _, _ = select.select(inputs, [], [], left)
            if self._resized in ready:
                os.read(self._resized, 4096)
                return Happening.RESIZED
            if ready and _leaves(os.read(sys.stdin.fileno(), 1024)):
                return Happening.LEFT
        return Happening.NOTHING


def _leaves(keys: bytes) -> bool:
    """Return True for q and Ctrl-D; also at the end of the input, when the terminal is gone."""
    return not keys or any(key in b"qQ\x04" for key in keys)


def _leave(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)
