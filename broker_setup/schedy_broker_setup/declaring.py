"""Declares the exchanges, queues and bindings of `schedy.wire.topology` on a broker."""

from collections.abc import Callable

from pika.adapters.blocking_connection import BlockingChannel, BlockingConnection
from pika.exceptions import ChannelClosedByBroker

from schedy.amqp.errors import channel_error
from schedy.errors import BrokerError, TopologyMismatchError
from schedy.tls import NO_TLS_FILES, TlsFiles
from schedy.wire.topology import BINDINGS, EXCHANGES, QUEUES, Binding, Exchange, Queue
from schedy_broker_setup.connecting import address_behind, open_connection
from schedy_broker_setup.inspection import ObjectState, Presence, exchange_state, queue_state


def setup(urls: str, *, tls: TlsFiles = NO_TLS_FILES) -> list[str]:
    """Declare everything that Schedy needs on a broker; return what was missing, one line each.

    Safe to repeat, and to run beside a working Schedy: what exists is left as it is, with its messages. A missing
    binding is restored without a line, since AMQP does not tell whether it was there. Raises BrokerError.
    """
    with open_connection(urls, purpose="setup", tls=tls) as connection:
        return declare_all(connection)


def declare_all(connection: BlockingConnection) -> list[str]:
    """Do the work of `setup` on an open connection."""
    changes: list[str] = []
    for exchange in EXCHANGES:
        changes += declare_exchange(connection, exchange)
    for queue in QUEUES:
        changes += declare_queue(connection, queue)
    for binding in BINDINGS:
        bind(connection, binding)
    return changes


def declare_exchange(connection: BlockingConnection, exchange: Exchange) -> list[str]:
    """Declare an exchange; return the change made, if any."""

    def declare(channel: BlockingChannel) -> None:
        channel.exchange_declare(exchange.name, exchange.kind, durable=True)

    what = f"exchange {exchange.name}"
    before = exchange_state(connection, exchange.name)
    _attempt(
        connection,
        declare,
        what=what,
        way_out=f"Stop its clients and delete it in the management UI (Exchanges > {exchange.name})",
    )
    return _change(what, before)


def declare_queue(connection: BlockingConnection, queue: Queue) -> list[str]:
    """Declare a queue; return the change made, if any."""

    def declare(channel: BlockingChannel) -> None:
        channel.queue_declare(queue.name, durable=True, arguments=dict(queue.arguments))

    what = f"queue {queue.name}"
    before = queue_state(connection, queue.name)
    _attempt(
        connection,
        declare,
        what=what,
        way_out=f"It holds {before.messages} message(s), and Schedy deletes no queue that it did not declare. Save what"
        f" it holds, delete it in the management UI (Queues > {queue.name}) or by rabbitmqctl delete_queue {queue.name}"
        " -p VHOST",
    )
    return _change(what, before)


def bind(connection: BlockingConnection, binding: Binding) -> None:
    """Bind a queue to an exchange; both must exist."""

    def declare(channel: BlockingChannel) -> None:
        channel.queue_bind(binding.queue, binding.exchange, binding.routing_key)

    _attempt(
        connection,
        declare,
        what=f"binding of {binding.queue} to {binding.exchange} with {binding.routing_key!r}",
        way_out="Delete it in the management UI",
    )


def _attempt(
    connection: BlockingConnection, declare: Callable[[BlockingChannel], None], *, what: str, way_out: str
) -> None:
    """Declare on a channel of its own, because a refusal closes it."""
    channel = connection.channel()
    try:
        declare(channel)
    except ChannelClosedByBroker as refusal:
        error = channel_error(refusal, address_behind(connection), action=f"declare the {what}")
        raise _with_way_out(error, refusal, what=what, way_out=way_out) from refusal
    channel.close()


def _with_way_out(error: BrokerError, refusal: ChannelClosedByBroker, *, what: str, way_out: str) -> BrokerError:
    if not isinstance(error, TopologyMismatchError):
        return error
    return TopologyMismatchError(
        f"The {what} exists, but not as Schedy needs it ({refusal.reply_text}).",
        remedy=f"{way_out}, then run `schedy broker setup` again.",
    )


def _change(what: str, before: ObjectState) -> list[str]:
    return [f"created {what}"] if before.presence is Presence.MISSING else []
