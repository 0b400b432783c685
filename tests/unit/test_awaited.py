"""Waits of the main thread, and signals that come just before them."""

import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import TimeoutError as FutureTimeoutError

import pytest

from schedy.worker.awaited import Awaited


def _signal_beside(waiter: threading.Thread, begins: threading.Event) -> None:
    """Let this thread get a signal while the main one waits, which is not interrupted: as if it came just before."""
    assert waiter.ident is not None
    begins.wait()
    while sys._current_frames()[waiter.ident].f_code.co_name != "wait":
        pass
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)


@pytest.fixture
def _interrupts() -> Iterator[None]:
    """SIGINT interrupts, also in a run in the background, where the shell has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interrupts")
@pytest.mark.parametrize("seconds", [None, 60.0])
def test_a_signal_that_came_just_before_a_wait_ends_it(seconds: float | None) -> None:
    beside = threading.Thread(target=_signal_beside, args=[threading.main_thread(), begins := threading.Event()])
    beside.start()
    begins.set()
    with pytest.raises(KeyboardInterrupt):
        Awaited[int]().result(seconds)
    beside.join()


def test_a_wait_lasts_as_long_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("schedy.worker.awaited._LOOK_SECONDS", 0.01)
    late = Awaited[int]()
    with pytest.raises(FutureTimeoutError):
        late.result(0.05)
    with pytest.raises(FutureTimeoutError):
        late.exception(0.0)
    threading.Timer(0.1, late.set_result, [4]).start()
    assert late.result() == 4
    assert late.exception() is None
