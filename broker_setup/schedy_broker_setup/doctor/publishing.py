"""The messages that the user of a connection may publish, found out without publishing any.

RabbitMQ checks a message in an AMQP transaction against the user's permissions (`schedy_broker_setup.permissions`), and
discards it when the transaction is rolled back. Each refusal is a line in the broker's log.
"""

from collections.abc import Mapping
from types import MappingProxyType

from pika.adapters.blocking_connection import BlockingConnection
from pika.exceptions import ChannelClosedByBroker

from schedy.amqp.errors import ACCESS_REFUSED, permission_remedy
from schedy.amqp.parameters import Address
from schedy.wire import names
from schedy_broker_setup.doctor.check import Check, Status
from schedy_broker_setup.permissions import Role

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "reports": names.REPORT_KEY_PREFIX,
        "changes": names.CHANGE_KEY_PREFIX,
        "requests": names.REQUEST_KEY_PREFIX,
        "service messages": names.SERVICE_KEY_PREFIX,
    }
)

ROLES: Mapping[frozenset[str], Role] = MappingProxyType(
    {
        frozenset({"reports", "requests"}): Role.WORKER,
        frozenset({"changes", "requests"}): Role.PUSHER,
        frozenset({"service messages"}): Role.SERVICE,
    }
)


def check_publishing(connection: BlockingConnection, address: Address) -> Check:
    """Check which messages the user of this connection may publish to Schedy's inbox, which must exist.

    The permission to read a queue cannot be seen without reading from it, so this check leaves it out.
    """
    allowed = [kind for kind, prefix in KINDS.items() if may_publish(connection, f"{prefix}doctor")]
    if not allowed:
        return Check(
            name="permissions",
            status=Status.FAILED,
            detail=f"User {address.user} may publish nothing to {names.INBOX_EXCHANGE}.",
            remedy=permission_remedy(address.user),
        )
    role = ROLES.get(frozenset(allowed))
    fits = f": the role {role.value}" if role else ""
    return Check(
        name="permissions",
        status=Status.OK,
        detail=f"User {address.user} may publish {', '.join(allowed)}{fits}.",
    )


def may_publish(connection: BlockingConnection, routing_key: str) -> bool:
    """Return whether the user of this connection may publish to the inbox with this routing key."""
    channel = connection.channel()
    channel.tx_select()
    try:
        channel.basic_publish(names.INBOX_EXCHANGE, routing_key, b"")
        channel.tx_rollback()
    except ChannelClosedByBroker as refusal:
        if refusal.reply_code == ACCESS_REFUSED:
            return False
        raise
    channel.close()
    return True
