"""What `schedy broker setup` makes on a real broker."""

import pytest
from pika import BasicProperties
from pika.adapters.blocking_connection import BlockingChannel, BlockingConnection
from pika.exceptions import UnroutableError
from pika.spec import Basic

from schedy.errors import TopologyMismatchError
from schedy.wire import names
from schedy.wire.topology import (
    BINDINGS,
    DELIVERY_LIMIT,
    EXCHANGES,
    QUEUES,
    REPORTS,
    jobs_binding,
    jobs_queue,
)
from schedy_broker_setup.connecting import open_connection
from schedy_broker_setup.declaring import bind, declare_queue, setup
from schedy_broker_setup.management import Management
from tests.conftest import Node


def _confirming(connection: BlockingConnection) -> BlockingChannel:
    channel = connection.channel()
    channel.confirm_delivery()
    return channel


def _take(channel: BlockingChannel, queue: str) -> int:
    """Wait for the next message and return its delivery tag."""
    method, _, _ = next(channel.consume(queue))
    assert method is not None
    assert method.delivery_tag is not None
    return method.delivery_tag


def _note_deliveries(connection: BlockingConnection, name: str, seen: list[str]) -> None:
    def note(channel: BlockingChannel, method: Basic.Deliver, properties: BasicProperties, body: bytes) -> None:
        seen.append(name)

    connection.channel().basic_consume(names.REPORTS_QUEUE, note)


def _vhost(url: str) -> str:
    return url.rsplit("/", 1)[1]


def test_setup_names_what_it_made_and_then_has_nothing_to_do(vhost_url: str) -> None:
    made = [f"created exchange {exchange.name}" for exchange in EXCHANGES]
    made += [f"created queue {queue.name}" for queue in QUEUES]

    assert setup(vhost_url) == made
    assert setup(vhost_url) == []


def test_setup_makes_only_what_is_missing_and_keeps_messages(vhost_url: str) -> None:
    setup(vhost_url)
    with open_connection(vhost_url, purpose="test") as connection:
        channel = _confirming(connection)
        channel.basic_publish(names.INBOX_EXCHANGE, "report.finish", b"kept", mandatory=True)
        channel.queue_delete(names.REQUESTS_QUEUE)

    assert setup(vhost_url) == [f"created queue {names.REQUESTS_QUEUE}"]

    with open_connection(vhost_url, purpose="test") as connection:
        channel = _confirming(connection)
        channel.basic_publish(names.INBOX_EXCHANGE, "request.list", b"", mandatory=True)
        assert next(channel.consume(names.REPORTS_QUEUE))[2] == b"kept"


def test_a_removed_binding_is_restored(vhost_url: str) -> None:
    setup(vhost_url)
    with open_connection(vhost_url, purpose="test") as connection:
        channel = _confirming(connection)
        channel.queue_unbind(names.REPORTS_QUEUE, names.INBOX_EXCHANGE, names.REPORTS_BINDINGS[0])
        setup(vhost_url)
        channel.basic_publish(names.INBOX_EXCHANGE, "report.finish", b"", mandatory=True)


def test_the_broker_has_exactly_the_topology(node: Node, vhost_url: str) -> None:
    setup(vhost_url)

    found = {queue.name for queue in Management(node.management_url).queues(_vhost(vhost_url))}

    assert found == {queue.name for queue in QUEUES}


@pytest.mark.parametrize("routing_key", ["report.claim", "change.push", "service.tick"])
def test_what_changes_something_goes_to_reports_only(vhost_url: str, routing_key: str) -> None:
    setup(vhost_url)
    with open_connection(vhost_url, purpose="test") as connection:
        channel = _confirming(connection)
        channel.basic_publish(names.INBOX_EXCHANGE, routing_key, b"", mandatory=True)
        waiting = {queue.name: channel.queue_declare(queue.name, passive=True).method.message_count for queue in QUEUES}
    assert waiting == {names.REPORTS_QUEUE: 1, names.REQUESTS_QUEUE: 0, names.DEAD_QUEUE: 0}


def test_a_queue_with_other_arguments_is_an_error_that_names_it_and_the_way_out(vhost_url: str) -> None:
    with open_connection(vhost_url, purpose="test") as connection:
        connection.channel().queue_declare(names.REPORTS_QUEUE, durable=True)

    with pytest.raises(TopologyMismatchError) as caught:
        setup(vhost_url)

    assert "queue schedy.reports exists, but not as Schedy needs it" in str(caught.value)
    assert "rabbitmqctl delete_queue schedy.reports" in caught.value.remedy


def test_an_exchange_of_another_kind_is_an_error_that_names_it(vhost_url: str) -> None:
    with open_connection(vhost_url, purpose="test") as connection:
        connection.channel().exchange_declare(names.INBOX_EXCHANGE, "direct", durable=True)

    with pytest.raises(TopologyMismatchError, match=r"exchange schedy\.inbox exists, but not as Schedy needs it"):
        setup(vhost_url)


def test_only_one_consumer_of_reports_is_active(vhost_url: str) -> None:
    setup(vhost_url)
    seen: list[str] = []
    with (
        open_connection(vhost_url, purpose="first") as first,
        open_connection(vhost_url, purpose="second") as second,
    ):
        for connection, name in ((first, "first"), (second, "second")):
            _note_deliveries(connection, name, seen)
        channel = _confirming(first)
        for _ in range(4):
            channel.basic_publish(names.INBOX_EXCHANGE, "report.claim", b"", mandatory=True)
        while len(seen) < 4:
            first.process_data_events(time_limit=0.1)
            second.process_data_events(time_limit=0)
    assert seen == ["first"] * 4


def test_what_is_rejected_goes_to_the_dead_letters(vhost_url: str) -> None:
    setup(vhost_url)
    with open_connection(vhost_url, purpose="test") as connection:
        channel = _confirming(connection)
        channel.basic_publish(names.INBOX_EXCHANGE, "report.finish", b"poison", mandatory=True)
        taking = connection.channel()
        taking.basic_reject(_take(taking, names.REPORTS_QUEUE), requeue=False)

        _, properties, body = next(channel.consume(names.DEAD_QUEUE))

    assert body == b"poison"
    assert properties is not None
    assert properties.headers is not None
    assert properties.headers["x-first-death-queue"] == names.REPORTS_QUEUE


def test_a_message_survives_many_returns(vhost_url: str) -> None:
    """RabbitMQ 4 drops it after 20, a limit of -1 before RabbitMQ 4 at once."""
    assert REPORTS.arguments["x-delivery-limit"] == DELIVERY_LIMIT
    setup(vhost_url)
    with open_connection(vhost_url, purpose="test") as connection:
        _confirming(connection).basic_publish(names.INBOX_EXCHANGE, "report.finish", b"", mandatory=True)
        taking = connection.channel()
        for _ in range(40):
            taking.basic_nack(_take(taking, names.REPORTS_QUEUE), requeue=True)


def test_the_jobs_queue_of_an_experiment_gets_its_tickets(vhost_url: str) -> None:
    setup(vhost_url)
    with open_connection(vhost_url, purpose="test") as connection:
        assert declare_queue(connection, jobs_queue("A b")) == ["created queue schedy.jobs.A b"]
        assert declare_queue(connection, jobs_queue("A b")) == []
        bind(connection, jobs_binding("A b"))
        channel = _confirming(connection)
        channel.basic_publish(names.JOBS_EXCHANGE, "A b", b"ticket", mandatory=True)
        with pytest.raises(UnroutableError):
            channel.basic_publish(names.JOBS_EXCHANGE, "A", b"ticket", mandatory=True)

        assert channel.basic_get("schedy.jobs.A b")[2] == b"ticket"


def test_an_unanswered_request_vanishes(vhost_url: str) -> None:
    """With the real 10 s, so that the time to live is really a number of milliseconds."""
    setup(vhost_url)
    with open_connection(vhost_url, purpose="test") as connection:
        channel = _confirming(connection)
        channel.basic_publish(names.INBOX_EXCHANGE, "request.list", b"", mandatory=True)
        while channel.queue_declare(names.REQUESTS_QUEUE, passive=True).method.message_count:
            connection.process_data_events(time_limit=0.2)
        assert channel.queue_declare(names.DEAD_QUEUE, passive=True).method.message_count == 0


def test_bindings_name_only_what_exists() -> None:
    assert {binding.queue for binding in BINDINGS} == {queue.name for queue in QUEUES}
    assert {binding.exchange for binding in BINDINGS} <= {exchange.name for exchange in EXCHANGES}
