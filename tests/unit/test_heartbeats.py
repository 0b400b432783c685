"""When a worker's heartbeats leave, and what is in them; no broker is needed for that."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import pytest

from schedy.wire.answers import HeartbeatAnswer, JobNotice
from schedy.wire.base import Answer
from schedy.wire.codec import encode
from schedy.wire.reports import Heartbeat
from schedy.worker.heartbeats import Heartbeats
from schedy.worker.holds import Hold, Presence
from schedy.worker.worker_name import this_worker

LEASE = 30.0


@dataclass(eq=False)
class SentCall:
    """A heartbeat as `Calls` keeps it."""

    beat: Heartbeat
    at: float
    stored: "Future[None]" = field(default_factory=Future)
    answer: "Future[Answer]" = field(default_factory=Future)
    cancelled: bool = False


class Clock:
    """Time, timers and calls of a connection whose broker takes everything at once."""

    def __init__(self) -> None:
        self.now = 0.0
        self.sent: list[SentCall] = []
        self.answers = True
        self.stores = True
        self._timers: list[tuple[float, Callable[[], None]]] = []
        self._thread = threading.get_ident()

    # Connection

    def assert_io_thread(self) -> None:
        assert threading.get_ident() == self._thread

    def later(self, seconds: float, action: Callable[[], None]) -> object:
        timer = (self.now + seconds, action)
        self._timers.append(timer)
        return timer

    def cancel_timer(self, timer: Any) -> None:
        if timer in self._timers:
            self._timers.remove(timer)

    # Calls

    @property
    def connection(self) -> "Clock":
        return self

    def call(self, message: Heartbeat) -> SentCall:
        encode(message)
        call = SentCall(message, self.now)
        self.sent.append(call)
        if self.stores:
            call.stored.set_result(None)
        if self.answers:
            call.answer.set_result(HeartbeatAnswer(lost=[]))
        return call

    def cancel(self, call: SentCall) -> None:
        call.cancelled = True

    # The test

    def run_until(self, end: float) -> None:
        while self._timers and min(self._timers)[0] <= end:
            timer = min(self._timers, key=lambda timer: timer[0])
            self._timers.remove(timer)
            self.now = timer[0]
            timer[1]()
        self.now = end

    @property
    def beats(self) -> list[float]:
        return [call.at for call in self.sent]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def presence() -> Presence:
    return Presence(this_worker(), works=True)


@pytest.fixture
def heartbeats(clock: Clock, presence: Presence) -> Heartbeats:
    made = Heartbeats(clock, presence, lease_seconds=LEASE)  # type: ignore[arg-type]
    made.keep(LEASE)
    return made


def hold(number: int) -> Hold:
    return Hold("a" * 32, f"job{number:03}"[:6], f"{number:032x}", LEASE)


def hold_many(presence: Presence, count: int) -> None:
    for number in range(count):
        held = hold(number)
        presence.holds[held.token] = held


def test_a_beat_leaves_every_third_of_a_lease(clock: Clock, heartbeats: Heartbeats) -> None:
    clock.run_until(45)
    assert clock.beats == [10, 20, 30, 40]


def test_a_lost_answer_makes_no_beat_late(clock: Clock, heartbeats: Heartbeats) -> None:
    clock.answers = False
    clock.run_until(15)
    clock.answers = True
    clock.run_until(45)
    assert clock.beats == [10, 20, 30, 40]


def test_beats_keep_a_lease_while_no_answer_arrives_and_are_fewer(clock: Clock, heartbeats: Heartbeats) -> None:
    clock.answers = False
    clock.run_until(125)
    assert clock.beats == [10, 20, 40, 60, 80, 100, 120]


def test_beats_that_the_broker_has_not_got_do_not_pile_up(clock: Clock, heartbeats: Heartbeats) -> None:
    clock.answers = clock.stores = False
    clock.run_until(500)
    assert clock.beats == [10]


def test_an_unanswered_beat_is_given_up_in_the_end(clock: Clock, heartbeats: Heartbeats) -> None:
    clock.answers = False
    clock.run_until(500)
    assert sum(not call.cancelled for call in clock.sent) == 3


def test_the_answer_to_an_older_beat_counts_and_leaves_the_newer_one_unanswered(
    clock: Clock, presence: Presence, heartbeats: Heartbeats
) -> None:
    held = hold(1)
    presence.holds[held.token] = held
    clock.answers = False
    clock.run_until(25)
    first, _second = clock.sent
    first.answer.set_result(HeartbeatAnswer(lost=[], stopped=[JobNotice(token=held.token, reason="cancelled.")]))
    assert held.stop == "cancelled."
    clock.run_until(35)
    assert clock.beats == [10, 20]  # the second has no answer yet: the service is slow
    clock.run_until(45)
    assert clock.beats == [10, 20, 40]


@pytest.mark.parametrize(("count", "sizes"), [(0, [0]), (1000, [1000]), (1001, [1000, 1]), (2500, [1000, 1000, 500])])
def test_very_many_jobs_go_into_several_heartbeats(
    clock: Clock, presence: Presence, heartbeats: Heartbeats, count: int, sizes: list[int]
) -> None:
    hold_many(presence, count)
    clock.run_until(10)
    assert [len(call.beat.held) for call in clock.sent] == sizes


def test_each_heartbeat_of_a_beat_has_its_own_answer(clock: Clock, presence: Presence, heartbeats: Heartbeats) -> None:
    hold_many(presence, 1001)
    clock.answers = False
    clock.run_until(10)
    first, second = clock.sent
    second.answer.set_result(HeartbeatAnswer(lost=[JobNotice(token=hold(1000).token, reason="gone.")]))
    assert presence.holds[hold(1000).token].lost == "gone."
    clock.run_until(35)
    assert clock.beats == [10, 10, 20]  # one of the two has no answer: a next beat, and then a pause
    first.answer.set_result(HeartbeatAnswer(lost=[JobNotice(token=hold(0).token, reason="gone.")]))
    assert presence.holds[hold(0).token].lost == "gone."


@pytest.mark.parametrize(
    "detail", ["\x1b[31mCUDA\x1b[0m", "a\tb", "a\x00b\nc", "\udcff\x85", "\x1b" * 5000, "x" * 5000]
)
def test_any_text_of_a_user_can_be_the_detail(
    clock: Clock, presence: Presence, heartbeats: Heartbeats, detail: str
) -> None:
    presence.state, presence.detail = "unhealthy", detail
    heartbeats.beat_now()
    shown = clock.sent[-1].beat.detail
    assert 0 < len(shown) <= 300
    assert shown.isprintable()


def test_the_detail_shows_what_was_escaped(clock: Clock, presence: Presence, heartbeats: Heartbeats) -> None:
    presence.detail = "\x1b[31mCUDA\tü"
    heartbeats.beat_now()
    assert clock.sent[-1].beat.detail == "\\x1b[31mCUDA\\tü"
