"""How many jobs end in a minute, while somebody looks at the pages."""

import threading
import time
from collections import deque
from collections.abc import Callable

_LOOK_SECONDS = 5.0
_SPAN_SECONDS = 300.0
_LEAST_SECONDS = 15.0


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
