"""The signals that stop a service in good order."""

import signal
from collections.abc import Callable
from types import FrameType


def stop_on_signals(stop: Callable[[int, FrameType | None], None]) -> None:
    """Call `stop` on SIGTERM, on Ctrl-C, and when the terminal is closed, unless that is ignored, as under nohup."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, stop)
