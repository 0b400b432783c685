"""Stop signals and forks: what a process does that holds a job or a connection."""

import functools
import logging
import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import FrameType, TracebackType
from typing import ParamSpec, TypeVar

from schedy.amqp.connection import Connection

P = ParamSpec("P")
R = TypeVar("R")

_log = logging.getLogger(__name__)

_connections: "weakref.WeakSet[Connection]" = weakref.WeakSet()
_stoppers: "list[weakref.WeakMethod[Callable[[], None]]]" = []
"""What is called at a stop signal: a list, which a handler may read whatever it interrupts."""


@dataclass(slots=True)
class _StopSignals:
    """What this process knows of its stop signals. Handlers write it in the main thread."""

    owner: int = 0
    """Process that handles them: in a fork of it they act as by default."""
    came: list[signal.Signals] = field(default_factory=list)
    noted_at: float = 0.0
    """Time of the latest, by `time.monotonic`."""
    is_told: bool = False
    """True once the log says that no more jobs are taken."""

    def note(self, number: int) -> None:
        self.came.append(signal.Signals(number))
        self.noted_at = time.monotonic()
        if _ends_the_process(number):
            for stopper in tuple(_stoppers):
                stop = stopper()
                if stop is not None:
                    stop()


_stop_signals = _StopSignals()


def handle_stop_signals(names: Iterable[str]) -> None:
    """Make stop signals end the process as Ctrl-C does, so that `with` gives its job back; note Ctrl-C, too.

    Only in the main thread, and only where there is no other handler; in a forked child they act as by default, until
    it handles them itself. `names` are without SIG.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    _stop_signals.owner = os.getpid()
    for name in names:
        number = signal.Signals[f"SIG{name}"]
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _stop)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)


def stop_signal_since(time_before: float) -> str | None:
    """Return the name of a stop signal that was handled in this thread since then, by `time.monotonic`."""
    if threading.current_thread() is not threading.main_thread() or _stop_signals.noted_at < time_before:
        return None
    return _stop_signals.came[-1].name


def end_if_stopped() -> None:
    """Raise again what a stop signal has raised before, so that this process takes no more jobs.

    It was caught then, or ends another thread. Raises KeyboardInterrupt or SystemExit, in other threads than the main
    one always SystemExit. At a prompt and in a notebook Ctrl-C ends what runs, and nothing more.
    """
    for number in _stop_signals.came:
        if _ends_the_process(number):
            _end_again(number)


def call_at_stop(stop: Callable[[], None]) -> None:
    """Call a bound method at each stop signal that ends the process, in its handler, while its object is there."""
    _stoppers.append(weakref.WeakMethod(stop, _stoppers.remove))


def _ends_the_process(number: int) -> bool:
    return number != signal.SIGINT or not hasattr(sys, "ps1")


def _end_again(number: signal.Signals) -> None:
    if not _stop_signals.is_told:
        _stop_signals.is_told = True
        _log.warning("%s came before: this process takes no more jobs.", number.name)
    if number == signal.SIGINT and threading.current_thread() is threading.main_thread():
        raise KeyboardInterrupt
    raise SystemExit(128 + number)


def _stop(number: int, _frame: FrameType | None) -> None:
    if os.getpid() != _stop_signals.owner:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        return
    _stop_signals.note(number)
    raise SystemExit(128 + number)


def _interrupt(number: int, frame: FrameType | None) -> None:
    _stop_signals.note(number)
    signal.default_int_handler(number, frame)


def end_quietly_at_ctrl_c() -> None:
    """Have no traceback printed when Ctrl-C ends the program; its exit code stays. At a prompt this does nothing."""
    if sys.excepthook is sys.__excepthook__ and not hasattr(sys, "ps1"):
        sys.excepthook = _without_interruption


def _without_interruption(kind: type[BaseException], error: BaseException, traceback: TracebackType | None, /) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.stderr.write("Interrupted.\n")
    else:
        sys.__excepthook__(kind, error, traceback)


def ends_at_ctrl_c(function: Callable[P, R]) -> Callable[P, R]:
    """Have Ctrl-C leave a function by one frame of ours: those below say nothing to users.

    A notebook keeps the frames of the last traceback, and with them a job that was claimed in that moment.
    """

    @functools.wraps(function)
    def _call(*arguments: P.args, **keywords: P.kwargs) -> R:
        try:
            return function(*arguments, **keywords)
        except KeyboardInterrupt:
            pass
        raise KeyboardInterrupt  # here it has no context, which would keep the other frames

    return _call


def close_in_children(connection: Connection) -> None:
    """Let forked children close their copy of the connection: a living child must not keep it open."""
    _connections.add(connection)


def _close_in_child() -> None:
    for connection in list(_connections):
        connection.close_in_child()
    _connections.clear()
    _stoppers.clear()
    _stop_signals.came.clear()


os.register_at_fork(after_in_child=_close_in_child)
