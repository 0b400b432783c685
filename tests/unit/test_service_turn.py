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


def test_a_new_turn_begins_with_a_gap() -> None:
    assert Turn(epoch=1).has_gap(at(NOW))


def test_there_is_no_gap_right_after_a_tick() -> None:
    assert not Turn(epoch=1).ticked(at(NOW)).has_gap(at(NOW + timedelta(seconds=1)))


@pytest.mark.parametrize("seconds", [10, -10], ids=["forwards", "backwards"])
def test_a_database_clock_that_jumps_is_a_gap(seconds: int) -> None:
    assert Turn(epoch=1).ticked(at(NOW)).has_gap(at(NOW + timedelta(seconds=seconds)))


def test_a_pause_by_both_clocks_is_a_gap() -> None:
    turn = Turn(epoch=1, last_tick=(time.monotonic() - 10, NOW))
    assert turn.has_gap(at(NOW + timedelta(seconds=10)))


def test_a_tick_makes_a_new_turn_and_leaves_the_old_one() -> None:
    before = Turn(epoch=1)
    after = before.ticked(at(NOW))
    assert (before.last_tick, after.epoch) == (None, 1)
    assert after.last_tick is not None
