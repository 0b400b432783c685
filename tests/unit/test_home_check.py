"""What `schedy doctor` says of the instance that the store has seen last."""

import os
import socket

import pytest

from schedy_broker_setup.doctor.check import Status
from schedy_cli.home_check import instance_check
from schedy_store.service.home import Served


@pytest.mark.parametrize("silent_seconds", [0.0, -3600.0, 29.0])
def test_an_instance_that_was_seen_works(silent_seconds: float) -> None:
    check = instance_check(Served("id", "head1:2532", silent_seconds))
    assert check is not None
    assert (check.status, check.detail) == (Status.OK, "head1:2532 is active.")


def test_an_instance_that_has_stopped_is_not_checked() -> None:
    assert instance_check(Served("id", "head1:2532", None)) is None


def test_an_instance_elsewhere_was_killed_or_cannot_write() -> None:
    check = instance_check(Served("id", "head1:2532", 45.2))
    assert check is not None
    assert check.status is Status.FAILED
    assert check.detail == (
        "head1:2532 was last seen 45 s ago and has not stopped. It was killed, or cannot write to the store, or reach"
        " the broker."
    )
    assert check.remedy.endswith("start another: `schedy serve` (or `schedy up`).")


def test_an_instance_that_runs_here_is_not_called_missing() -> None:
    check = instance_check(Served("id", f"{socket.gethostname()}:{os.getpid()}", 45.2))
    assert check is not None
    assert "It runs, but cannot write to the store" in check.detail
    assert check.remedy == "Its log says what it waits for."
