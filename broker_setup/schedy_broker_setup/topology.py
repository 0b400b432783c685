"""Makes the exchanges, queues and bindings of `schedy.wire.topology` on a broker."""

from collections.abc import Callable

from pika.adapters.blocking_connection import BlockingChannel, BlockingConnection
from pika.exceptions import ChannelClosedByBroker

from schedy.settings import NO_TLS_FILES, TlsFiles
from schedy.wire.topology import BINDINGS, EXCHANGES, QUEUES, Binding, Exchange, Queue
from schedy_broker_setup.connecting import open_connection
from schedy_broker_setup.errors import BrokerSetupError, NotPermittedError, TopologyError
from schedy_broker_setup.inspection import (
    ACCESS_REFUSED,
    PRECONDITION_FAILED,
    Presence,
    QueueState,
    look_at_exchange,
    look_at_queue,
)


def setup(urls: str, *, tls: TlsFiles = NO_TLS_FILES) -> list[str]:
    """Make everything that Schedy needs on a broker and return what was not there before, one line each.

    Safe to repeat and to run beside a working Schedy: what exists is left as it is, with its messages. A
    binding that somebody removed is restored, but AMQP does not tell it from one that was there: no line.
    Raises UnreachableError, TopologyError, NotPermittedError.
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
    """Make an exchange; return the change made, if any."""

    def declare(channel: BlockingChannel) -> None:
        channel.exchange_declare(exchange.name, exchange.kind, durable=True)

    what = f"exchange {exchange.name}"
    sight = look_at_exchange(connection, exchange.name)
    _attempt(
        connection,
        declare,
        what=what,
        way_out=f"Stop what uses it, delete it in the management UI (Exchanges > {exchange.name})",
    )
    return _change(what, sight)


def declare_queue(connection: BlockingConnection, queue: Queue) -> list[str]:
    """Make a queue; return the change made, if any."""

    def declare(channel: BlockingChannel) -> None:
        channel.queue_declare(queue.name, durable=True, arguments=dict(queue.arguments))

    what = f"queue {queue.name}"
    sight = look_at_queue(connection, queue.name)
    _attempt(
        connection,
        declare,
        what=what,
        way_out=f"It holds {sight.messages} waiting messages, and Schedy deletes no queue it did not make: "
        f"let it run empty or save them, delete it (rabbitmqctl delete_queue {queue.name}, with -p VHOST)",
    )
    return _change(what, sight)


def bind(connection: BlockingConnection, binding: Binding) -> None:
    """Bind a queue to an exchange; both must exist."""

    def declare(channel: BlockingChannel) -> None:
        channel.queue_bind(binding.queue, binding.exchange, binding.routing_key)

    _attempt(
        connection,
        declare,
        what=f"binding of {binding.queue} to {binding.exchange} with {binding.routing_key!r}",
        way_out="Somebody deletes these objects meanwhile: stop that",
    )


def _attempt(
    connection: BlockingConnection, declare: Callable[[BlockingChannel], None], *, what: str, way_out: str
) -> None:
    """Declare on a channel of its own, because a refusal closes it."""
    channel = connection.channel()
    try:
        declare(channel)
    except ChannelClosedByBroker as refusal:
        raise _explained(refusal, what=what, way_out=way_out) from refusal
    channel.close()


def _explained(refusal: ChannelClosedByBroker, *, what: str, way_out: str) -> BrokerSetupError:
    if refusal.reply_code == ACCESS_REFUSED:
        return NotPermittedError(
            f"This user may not make the {what} ({refusal.reply_text}).",
            remedy="Run `schedy broker setup` as an administrator or as the service user.",
        )
    if refusal.reply_code == PRECONDITION_FAILED:
        return TopologyError(
            f"The {what} exists, but not as Schedy needs it ({refusal.reply_text}).",
            remedy=f"{way_out}, then run `schedy broker setup` again.",
        )
    return TopologyError(
        f"The {what} could not be made ({refusal.reply_text}).",
        remedy="Look at the broker's log, then run `schedy broker setup` again.",
    )


def _change(what: str, before: QueueState) -> list[str]:
    return [f"created {what}"] if before.presence is Presence.MISSING else []
