"""The I/O loop's queue of actions."""

import gc
import threading
from collections.abc import Iterator

import pytest

from schedy.amqp.loop import ActionLoop


@pytest.fixture
def loop() -> Iterator[ActionLoop]:
    """A loop that runs in a thread of its own."""
    made = ActionLoop()

    def _run() -> None:
        made.thread_id = threading.get_ident()
        made.start()

    thread = threading.Thread(target=_run)
    thread.start()
    yield made
    made.run_soon(made.stop)
    thread.join(5.0)
    assert not thread.is_alive()
    made.close()


def test_actions_of_all_threads_run_each_once_and_those_of_one_in_their_order(loop: ActionLoop) -> None:
    done: list[tuple[int, int]] = []
    ended = threading.Semaphore(0)

    def _add(thread: int) -> None:
        for number in range(500):
            loop.run_soon(lambda number=number: done.append((thread, number)))  # type: ignore[misc]
        loop.run_soon(ended.release)

    threads = [threading.Thread(target=_add, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert ended.acquire(timeout=10.0)
    assert len(done) == 2000
    for adder in range(4):
        assert [number for of, number in done if of == adder] == list(range(500))


def test_what_an_action_adds_runs_in_the_same_turn_and_a_finaliser_may_add(loop: ActionLoop) -> None:
    ran = threading.Event()
    order: list[str] = []

    class Dropped:
        def __del__(self) -> None:
            loop.run_soon(lambda: order.append("finaliser"))
            loop.run_soon(ran.set)

    def _first() -> None:
        loop.run_soon(lambda: order.append("second"))
        order.append("first")
        garbage = [Dropped()]
        garbage.append(garbage)  # type: ignore[arg-type]
        del garbage
        gc.collect()

    loop.run_soon(_first)
    assert ran.wait(60.0)  # a collection takes long in a large process
    assert order == ["first", "second", "finaliser"]
