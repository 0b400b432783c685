"""Jobs that end in a minute, as the pages show them."""

from schedy_web.pace import Pace


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
