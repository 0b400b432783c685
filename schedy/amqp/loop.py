"""pika's I/O loop with a queue of actions, which are added without a lock."""

import os
import threading
import weakref
from collections import deque
from collections.abc import Callable

from pika.adapters.select_connection import IOLoop


class ActionLoop(IOLoop):
    """An I/O loop that runs actions of any thread in their order, at the end of the turn in which it finds them.

    One wake serves all that come before the loop looks at them; an action added in a turn of the loop needs none.
    """

    def __init__(self) -> None:
        super().__init__()
        self.thread_id: int | None = None
        """That of the thread which runs the loop."""
        self._actions: deque[Callable[[], None]] = deque()
        self._is_woken = False
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        weakref.finalize(self, os.close, self._wake)  # and not before: another thread may be about to write
        self.add_handler(self._wake, self._woken, self.READ)

    def run_soon(self, action: Callable[[], None]) -> None:
        """Run `action` in the loop's thread soon; from anywhere, also from a finaliser or a signal handler."""
        self._actions.append(action)
        if not self._is_woken and threading.get_ident() != self.thread_id:
            self._is_woken = True
            os.eventfd_write(self._wake, 1)

    def process_timeouts(self) -> None:
        """Run what is due: timers, and then the actions."""
        super().process_timeouts()
        self._is_woken = False  # before the queue is emptied: what comes later wakes again
        while self._actions:
            self._actions.popleft()()

    def _get_remaining_interval(self) -> float | None:
        wait: float | None = super()._get_remaining_interval()  # type: ignore[misc] # the stubs do not know it
        return 0 if self._actions else wait

    def _woken(self, _descriptor: int, _events: int) -> None:
        os.eventfd_read(self._wake)
