"""Schedy's exchanges, queues and users as a RabbitMQ definitions file, for a node that boots with it."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from schedy.wire import names
from schedy.wire.topology import BINDINGS, EXCHANGES, QUEUES
from schedy_broker_setup.permissions import HASHING_ALGORITHM, ROLE_PERMISSIONS, User, password_hash


def definitions(users: Iterable[User], *, vhost: str = "/") -> dict[str, Any]:
    """Return the definitions, to be imported at boot, with `rabbitmqctl import_definitions` or over the HTTP API.

    An import adds and updates; it deletes nothing. A blank node that boots with it has these users and no
    `guest`, so no administrator either. Passwords are in it as hashes, with a new salt each time.
    """
    users = list(users)
    return {
        "vhosts": [{"name": vhost}],
        "users": [_user(user) for user in users],
        "permissions": [
            {"user": user.name, "vhost": vhost, **asdict(ROLE_PERMISSIONS[user.role].resources)} for user in users
        ],
        "topic_permissions": [
            {
                "user": user.name,
                "vhost": vhost,
                "exchange": names.INBOX_EXCHANGE,
                **asdict(ROLE_PERMISSIONS[user.role].inbox),
            }
            for user in users
        ],
        **_topology(vhost),
    }


def _user(user: User) -> dict[str, Any]:
    return {
        "name": user.name,
        "password_hash": password_hash(user.password),
        "hashing_algorithm": HASHING_ALGORITHM,
        "tags": "",
        "limits": {},
    }


def _topology(vhost: str) -> dict[str, list[dict[str, Any]]]:
    durable = {"vhost": vhost, "durable": True, "auto_delete": False}
    return {
        "exchanges": [
            {"name": exchange.name, "type": exchange.kind, "internal": False, "arguments": {}, **durable}
            for exchange in EXCHANGES
        ],
        "queues": [{"name": queue.name, "arguments": dict(queue.arguments), **durable} for queue in QUEUES],
        "bindings": [
            {
                "source": binding.exchange,
                "vhost": vhost,
                "destination": binding.queue,
                "destination_type": "queue",
                "routing_key": binding.routing_key,
                "arguments": {},
            }
            for binding in BINDINGS
        ],
    }
