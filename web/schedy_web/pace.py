"""How many jobs end in a minute, while somebody looks at the pages; and how often the pages ask."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable

_LOOK_SECONDS = 5.0
_SPAN_SECONDS = 300.0
_LEAST_SECONDS = 15.0
_COUNTED_SECONDS = 5.0
_MOST_BEATS = 70.0
_LONGEST_SECONDS = 10.0


class Pace:
    """Notes how many jobs have ended, every five seconds for five minutes. Any thread may use it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._noted: deque[tuple[float, int]] = deque()

    def per_minute(self, ended: int) -> float | None:
        """Note how many have ended; return how many do so in a minute, None until that is known.

        Jobs that are removed, or queued again, make it begin anew.
        """
        with self._lock:
            now = self._clock()
            if self._noted and ended < self._noted[-1][1]:
                self._noted.clear()
            while self._noted and now - self._noted[0][0] > _SPAN_SECONDS:
                self._noted.popleft()
            if not self._noted or now - self._noted[-1][0] >= _LOOK_SECONDS:
                self._noted.append((now, ended))
            since, before = self._noted[0]
            seconds = now - since
            return None if seconds < _LEAST_SECONDS else round(60.0 * (ended - before) / seconds, 1)


class Beat:
    """How long a page waits before it asks for the pulse again: a second, longer when more than seventy are open.

    So they ask seventy times a second together, however many look. One thread may note, any may read `seconds`.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = 1.0
        self._clock = clock
        self._since = clock()
        self._asked = 0

    def note(self) -> None:
        """Note that a page has asked."""
        now = self._clock()
        passed = now - self._since
        if passed >= _COUNTED_SECONDS:
            pages = self.seconds * self._asked / passed
            in_halves = math.ceil(2.0 * pages / _MOST_BEATS) / 2.0
            self.seconds = min(max(1.0, in_halves), _LONGEST_SECONDS)
            self._since, self._asked = now, 0
        self._asked += 1
