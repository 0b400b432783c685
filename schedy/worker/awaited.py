"""Futures that the main thread can wait for without missing a signal."""

import math
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import TypeVar

T = TypeVar("T")

_LOOK_SECONDS = 1.0


class Awaited(Future[T]):
    """A future whose waits end for a signal that came just before they began, at most a second later.

    Python runs the handler of a signal in the main thread. A wait that a signal interrupts is left for it, but one
    that begins in the moment between the signal and its handler goes on to its end, which may never come.
    """

    def result(self, timeout: float | None = None) -> T:
        self._wait(timeout)
        return super().result(0.0)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        self._wait(timeout)
        return super().exception(0.0)

    def _wait(self, seconds: float | None) -> None:
        """Wait in pieces until the future is done, or the time is over."""
        deadline = math.inf if seconds is None else time.monotonic() + seconds
        while not self.done():
            rest = max(0.0, deadline - time.monotonic())
            try:
                super().exception(min(rest, _LOOK_SECONDS))
            except FutureTimeoutError:
                if rest <= _LOOK_SECONDS:
                    raise
