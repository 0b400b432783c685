"""Faults of RabbitMQ that end a worker's connection: the one that passes by itself alarms nobody."""

import logging
from collections.abc import Iterator

import pytest

from schedy.errors import BrokerError, BrokerFaultError, BrokerUnreachableError
from schedy.settings import Settings
from schedy.worker.call_table import CallTable
from tests.support import wait_until

DELETED = BrokerFaultError("The connection was lost (INTERNAL_ERROR - Cannot get a message from queue: noproc).")


@pytest.fixture
def table(settings: Settings) -> Iterator[CallTable]:
    made = CallTable(settings, connection_name="test")
    made.connection.start()
    yield made
    made.connection.close(5.0)


def lose(table: CallTable, error: BrokerError, caplog: pytest.LogCaptureFixture) -> list[str]:
    """Lose the connection so, and let it come back; return the lines that workers see."""
    wait_until(table.reachability.ready.is_set, what="a connection")
    caplog.clear()

    def _lose() -> None:
        table._lost(error)
        table.connection.drop()

    table.connection.run(_lose)
    wait_until(lambda: not table.reachability.ready.is_set(), what="the loss")
    wait_until(table.reachability.ready.is_set, what="a new connection")
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.WARNING and record.name.startswith("schedy")
    ]


def test_a_fault_over_a_queue_that_is_deleted_alarms_only_when_it_repeats(
    table: CallTable, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert lose(table, DELETED, caplog) == []
    assert lose(table, DELETED, caplog) == [
        f"{DELETED} Trying again; running jobs go on.",
        "Connected to RabbitMQ again.",
    ]


def test_another_loss_is_said_at_once(table: CallTable, caplog: pytest.LogCaptureFixture) -> None:
    lost = BrokerUnreachableError("The connection was lost.")
    assert lose(table, lost, caplog) == [f"{lost} Trying again; running jobs go on.", "Connected to RabbitMQ again."]
