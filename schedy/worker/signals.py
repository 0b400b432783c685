"""SIGTERM and forks: what a process does that holds a job or a connection."""

import os
import signal
import threading
import weakref
from collections.abc import Callable
from types import FrameType

from schedy.amqp.connection import Connection

_connections: "weakref.WeakSet[Connection]" = weakref.WeakSet()


def install_sigterm_handler() -> None:
    """Make SIGTERM end the process as Ctrl-C does, so that `with` gives its job back.

    Only in the main thread, and only where there is no other handler; in a forked child it acts as the default does.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _sigterm_handler(os.getpid()))


def _sigterm_handler(owner: int) -> Callable[[int, FrameType | None], None]:
    def _handle(number: int, _frame: FrameType | None) -> None:
        if os.getpid() != owner:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        raise SystemExit(128 + number)

    return _handle


def close_in_children(connection: Connection) -> None:
    """Let forked children close their copy of the connection: a living child must not keep it open."""
    _connections.add(connection)


def _close_in_child() -> None:
    for connection in list(_connections):
        connection.close_in_child()
    _connections.clear()


os.register_at_fork(after_in_child=_close_in_child)
