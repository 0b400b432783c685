"""Tickets of jobs that wait: counted truly, published once, and again only when they were lost."""

import logging
import time
from collections.abc import Iterator
from concurrent.futures import Future
from functools import partial
from pathlib import Path

import pika
import pytest
from pika.exceptions import ChannelClosedByBroker

import schedy
from schedy.amqp.channel import Channel
from schedy.amqp.connection import Connection
from schedy.errors import BrokerError
from schedy.settings import Settings, load_settings
from schedy.wire import names
from schedy.wire.topology import jobs_queue
from schedy_broker_setup.connecting import open_connection
from schedy_store.lifecycle.tickets import TicketKey
from schedy_store.service.broker.jobs_queues import JobsQueues
from schedy_store.service.broker.queue_probe import QueueProbe
from schedy_store.service.broker.tickets_under_way import TicketsUnderWay
from tests.conftest import OwnNode
from tests.node_control import forget_queue
from tests.support import running_service, wait_until

LEASE_SECONDS = 0.5


@pytest.fixture
def connection(settings: Settings) -> Iterator[Connection]:
    connected: Future[None] = Future()
    opened = Connection(
        settings,
        name="test",
        on_connected=lambda: connected.set_result(None),
        on_lost=connected.set_exception,
    )
    opened.start()
    connected.result(10.0)
    yield opened
    opened.close(5.0)


def declare(url: str, experiments: list[str], *, messages: int = 0) -> None:
    """Declare the queues of experiments, with messages in them."""
    with open_connection(url, purpose="test") as broker:
        channel = broker.channel()
        channel.confirm_delivery()
        for name in experiments:
            queue = jobs_queue(name)
            channel.queue_declare(queue.name, durable=True, arguments=dict(queue.arguments))
            for _ in range(messages):
                channel.basic_publish("", queue.name, b"{}", pika.BasicProperties(delivery_mode=2))


def tickets_in(url: str, experiments: list[str]) -> dict[str, int]:
    with open_connection(url, purpose="test") as broker:
        channel = broker.channel()
        return {
            name: channel.queue_declare(names.jobs_queue(name), passive=True).method.message_count
            for name in experiments
        }


def test_closing_a_channel_calls_on_closed_only_when_the_broker_has_closed_it(connection: Connection) -> None:
    closed: list[tuple[Channel, BrokerError]] = []
    ours: Future[Channel] = Future()
    refused: Future[BrokerError] = Future()

    def _second(channel: Channel) -> None:
        channel.count("schedy.jobs.nothing", lambda _ready, _consumers: None)

    def _first(channel: Channel) -> None:
        channel.close()
        ours.set_result(channel)
        connection.open_channel(_second, lambda _channel, error: refused.set_result(error))

    connection.run(lambda: connection.open_channel(_first, lambda channel, error: closed.append((channel, error))))
    assert "no queue 'schedy.jobs.nothing'" in str(refused.result(10.0))
    assert ours.result(0).closed_by_us
    assert closed == []


def test_each_queue_is_counted_once(connection: Connection, settings: Settings) -> None:
    experiments = [f"E{number}" for number in range(8)]
    declare(settings.broker_url, experiments, messages=1)
    counts: list[tuple[str, int]] = []
    queues = JobsQueues(connection, TicketsUnderWay(), on_recreated=lambda _experiment: None)
    last: Future[int] = Future()

    def _count_all() -> None:
        for name in experiments:
            queues.count_ready(name, partial(lambda name, ready: counts.append((name, ready)), name))

    connection.run(_count_all)
    wait_until(lambda: len(counts) >= 8, what="the counts")
    connection.run(lambda: queues.count_ready("missing", last.set_result))
    assert last.result(10.0) == 0
    assert sorted(counts) == [(name, 1) for name in experiments]


def test_a_queue_is_deleted_once_no_ticket_for_it_is_under_way(connection: Connection, settings: Settings) -> None:
    """Else RabbitMQ 3.10 may read nothing more from the service's connection."""
    declare(settings.broker_url, ["E"])
    under_way = TicketsUnderWay()
    queues = JobsQueues(connection, under_way, on_recreated=lambda _experiment: None)
    deleted: Future[None] = Future()
    counted: Future[int] = Future()
    keys = [TicketKey(1, 1), TicketKey(2, 1)]

    def _delete() -> None:
        for key in keys:
            under_way.add(key, "E")
        queues.change("gone", "E", lambda: deleted.set_result(None))
        under_way.discard(keys[0])
        queues.change("wanted", "Other", lambda: queues.count_ready("E", counted.set_result))

    connection.run(_delete)
    assert counted.result(10.0) == 0
    with open_connection(settings.broker_url, purpose="test") as other:
        other.channel().queue_declare(jobs_queue("E").name, passive=True)
    assert not deleted.done()
    connection.run(lambda: under_way.discard(keys[1]))
    deleted.result(10.0)
    with open_connection(settings.broker_url, purpose="test") as other, pytest.raises(ChannelClosedByBroker):
        other.channel().queue_declare(jobs_queue("E").name, passive=True)


def test_a_queue_is_emptied_once_all_tickets_have_come(connection: Connection, settings: Settings) -> None:
    """Else those of made jobs stay before that of a pushed one."""
    declare(settings.broker_url, ["E"], messages=1)
    under_way = TicketsUnderWay()
    queues = JobsQueues(connection, under_way, on_recreated=lambda _experiment: None)
    emptied: Future[None] = Future()
    counted: Future[int] = Future()

    def _purge() -> None:
        under_way.add(TicketKey(1, 1), "E")
        queues.change("purged", "E", lambda: emptied.set_result(None))
        queues.change("wanted", "Other", lambda: queues.count_ready("E", counted.set_result))

    connection.run(_purge)
    assert counted.result(10.0) == 1
    assert not emptied.done()
    connection.run(lambda: under_way.discard(TicketKey(1, 1)))
    emptied.result(10.0)
    last: Future[int] = Future()
    connection.run(lambda: queues.count_ready("E", last.set_result))
    assert last.result(10.0) == 0


def test_the_probe_looks_at_every_queue(breakable_node: OwnNode, breakable_url: str, tmp_path: Path) -> None:
    settings = load_settings(override={"broker_url": breakable_url, "data_dir": tmp_path}, environment={})
    experiments = [f"E{number}" for number in range(8)]
    declare(breakable_url, experiments)
    dead = experiments[1::2]
    for name in dead:
        forget_queue(breakable_node, breakable_url, names.jobs_queue(name))
    found: list[str] = []
    probe = QueueProbe(settings, instance="test", experiments=experiments, on_dead=found.append)
    probe.connection.start()
    wait_until(lambda: not probe.connection.is_alive, seconds=40.0, what="the end of the probe")
    assert found == dead


def test_waiting_jobs_keep_one_ticket_each_while_the_service_is_busy(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings = settings.model_copy(update={"lease_seconds": LEASE_SECONDS})
    waiting = [f"Waiting {number}" for number in range(30)]
    with (
        caplog.at_level(logging.INFO),
        running_service(settings),
        schedy.SchedyDB(config_override=settings.model_dump()) as db,
    ):
        for name in waiting:
            experiment = schedy.ManualSearch(name)
            db.add_experiment(experiment)
            experiment.add_jobs([{"hyperparameters": {"x": 1}}] * 2)
        busy = schedy.ManualSearch("Busy")
        db.add_experiment(busy)
        ends = time.monotonic() + 12 * LEASE_SECONDS  # with each lease the waiting queues are counted
        while time.monotonic() < ends:
            busy.add_jobs([{"hyperparameters": {"x": 1}}] * 20)
        assert tickets_in(settings.broker_url, waiting) == dict.fromkeys(waiting, 2)
    assert "again: " not in caplog.text


def test_tickets_that_somebody_purged_are_published_again_with_a_line(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings = settings.model_copy(update={"lease_seconds": LEASE_SECONDS})
    with (
        caplog.at_level(logging.INFO),
        running_service(settings),
        schedy.SchedyDB(config_override=settings.model_dump()) as db,
    ):
        experiment = schedy.ManualSearch("E")
        db.add_experiment(experiment)
        experiment.add_jobs([{"hyperparameters": {"x": 1}}] * 2)
        with open_connection(settings.broker_url, purpose="test") as broker:
            broker.channel().queue_purge(names.jobs_queue("E"))
        wait_until(lambda: tickets_in(settings.broker_url, ["E"]) == {"E": 2}, what="new tickets")
    line = "Publishing the tickets of 2 waiting jobs of experiment E again: its queue was found empty."
    assert caplog.text.count(line) == 1
