"""Which messages the user of a connection may send, found out without sending any.

A message published in an AMQP transaction is checked against the user's rights, and goes nowhere when the
transaction is rolled back. Each refusal is a line in the broker's log.
"""

from collections.abc import Mapping
from types import MappingProxyType

from pika.adapters.blocking_connection import BlockingConnection
from pika.exceptions import ChannelClosedByBroker

from schedy.wire import names
from schedy_broker_setup.connecting import Address
from schedy_broker_setup.doctor.check import Check, Status
from schedy_broker_setup.inspection import ACCESS_REFUSED
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


def check_rights(connection: BlockingConnection, address: Address) -> Check:
    """Tell what the user of this connection may send to Schedy's inbox, which must exist.

    The rights to read queues cannot be seen without reading from them, so nothing is said about those.
    """
    sendable = [kind for kind, prefix in KINDS.items() if may_send(connection, f"{prefix}doctor")]
    if not sendable:
        return Check(
            name="rights",
            outcome=Status.FAILED,
            detail=f"User {address.user} may send nothing to {names.INBOX_EXCHANGE}.",
            remedy="Give it rights with `schedy broker setup --management-url URL`.",
        )
    role = ROLES.get(frozenset(sendable))
    fits = f", as a {role.value} does" if role else ""
    return Check(
        name="rights",
        outcome=Status.OK,
        detail=f"User {address.user} may send {', '.join(sendable)}{fits}.",
    )


def may_send(connection: BlockingConnection, routing_key: str) -> bool:
    """Tell whether the inbox would take a message with this routing key from the user of this connection."""
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
