"""The turn of an active service: leases are judged only while ticks come regularly, by both clocks."""

import time
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest
from sqlalchemy import Connection

from schedy_store.schema.engine import Transaction
from schedy_store.service.epoch import Turn

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def at(now: datetime) -> Transaction:
    return Transaction(cast("Connection", None), now)


def test_the_first_service_has_a_gap_of_nothing() -> None:
    assert Turn(epoch=1).gap(at(NOW)) == timedelta()


def test_a_new_turn_begins_with_a_gap_since_the_last_tick_of_the_turn_before() -> None:
    turn = Turn(epoch=1, measured_until=NOW)
    assert turn.gap(at(NOW + timedelta(hours=2))) == timedelta(hours=2)


def test_there_is_no_gap_right_after_a_tick() -> None:
    assert Turn(epoch=1).ticked(at(NOW)).gap(at(NOW + timedelta(seconds=1))) is None


@pytest.mark.parametrize("seconds", [10, -10, 7200, -7200])
def test_a_database_clock_that_jumps_is_a_gap(seconds: int) -> None:
    assert Turn(epoch=1).ticked(at(NOW)).gap(at(NOW + timedelta(seconds=seconds))) == timedelta(seconds=seconds)


def test_a_pause_by_both_clocks_is_a_gap() -> None:
    turn = Turn(epoch=1, last_tick=(time.monotonic() - 10, NOW))
    assert turn.gap(at(NOW + timedelta(seconds=10))) == timedelta(seconds=10)


def test_a_tick_makes_a_new_turn_and_leaves_the_old_one() -> None:
    before = Turn(epoch=1)
    after = before.ticked(at(NOW))
    assert (before.last_tick, after.epoch) == (None, 1)
    assert after.last_tick is not None
