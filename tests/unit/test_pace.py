"""Jobs that end in a minute, as the pages show them."""

import heapq

import pytest

from schedy_web.pace import Beat, Pace


def test_the_pace_is_that_of_the_last_five_minutes() -> None:
    now = 0.0
    pace = Pace(clock=lambda: now)
    assert pace.per_minute(10) is None
    now = 14.0
    assert pace.per_minute(20) is None
    now = 30.0
    assert pace.per_minute(20) == 20.0
    for now in range(35, 1000, 5):
        last = pace.per_minute(20 + now - 30)
    assert last == 60.0
    now = 1005.0
    assert pace.per_minute(3) is None
    now = 1035.0
    assert pace.per_minute(3) == 0.0


@pytest.mark.parametrize(("pages", "seconds"), [(1, 1.0), (70, 1.0), (100, 1.5), (200, 3.0), (5_000, 10.0)])
def test_many_pages_ask_seldom_and_few_each_second(pages: int, seconds: float) -> None:
    now = 0.0
    beat = Beat(clock=lambda: now)
    due = [k / pages for k in range(pages)]
    while now < 60.0:
        now = heapq.heappop(due)
        beat.note()
        heapq.heappush(due, now + beat.seconds)
    assert beat.seconds == pytest.approx(seconds, abs=0.5)
    due = due[:1]
    while now < 120.0:
        now = heapq.heappop(due)
        beat.note()
        heapq.heappush(due, now + beat.seconds)
    assert beat.seconds == 1.0, "all others have gone"
