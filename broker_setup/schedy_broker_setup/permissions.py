"""The three users of Schedy on a broker, each with no more rights than it needs.

A worker's user takes tickets, asks and reports. A pusher's user changes experiments and jobs, and asks. Only
the service's user makes queues, reads reports and answers. What a worker can still do: docs/cluster.md.
"""

import base64
import hashlib
import hmac
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from schedy.wire import names

HASHING_ALGORITHM = "rabbit_password_hashing_sha256"
SALT_BYTES = 4
NOTHING = "^$"


class Role(StrEnum):
    """What a user is for."""

    SERVICE = "service"
    WORKER = "worker"
    PUSHER = "pusher"

    @property
    def user_name(self) -> str:
        """Name of the user that `schedy broker setup` makes for this role."""
        return f"schedy-{self.value}"

    @property
    def password_variable(self) -> str:
        """Environment variable with the password of that user."""
        return f"SCHEDY_{self.value.upper()}_PASSWORD"


@dataclass(frozen=True, kw_only=True)
class Permissions:
    """Regular expressions on names of exchanges and queues, as RabbitMQ matches them."""

    configure: str
    write: str
    read: str


@dataclass(frozen=True, kw_only=True)
class TopicPermissions:
    """Regular expressions on routing keys of the inbox: those to send with, and those to bind queues with."""

    write: str
    read: str


@dataclass(frozen=True, kw_only=True)
class Rights:
    """All that a role may do in a vhost."""

    permissions: Permissions
    inbox: TopicPermissions


def _exactly(name: str) -> str:
    return f"^{re.escape(name)}$"


def _beginning_with(*prefixes: str) -> str:
    escaped = [re.escape(prefix) for prefix in prefixes]
    return f"^{escaped[0]}.*$" if len(escaped) == 1 else f"^({'|'.join(escaped)}).*$"


_EVERYTHING = _beginning_with("schedy.")

RIGHTS: Mapping[Role, Rights] = MappingProxyType(
    {
        Role.SERVICE: Rights(
            permissions=Permissions(configure=_EVERYTHING, write=r"^(schedy\..*|amq\.default)$", read=_EVERYTHING),
            inbox=TopicPermissions(
                write=_beginning_with(names.SERVICE_KEY_PREFIX),
                read=f"^({'|'.join(map(re.escape, (*names.REPORTS_BINDINGS, *names.REQUESTS_BINDINGS)))})$",
            ),
        ),
        Role.WORKER: Rights(
            permissions=Permissions(
                configure=NOTHING,
                write=_exactly(names.INBOX_EXCHANGE),
                read=_beginning_with(names.JOBS_QUEUE_PREFIX),
            ),
            inbox=TopicPermissions(
                write=_beginning_with(names.REPORT_KEY_PREFIX, names.REQUEST_KEY_PREFIX), read=NOTHING
            ),
        ),
        Role.PUSHER: Rights(
            permissions=Permissions(configure=NOTHING, write=_exactly(names.INBOX_EXCHANGE), read=NOTHING),
            inbox=TopicPermissions(
                write=_beginning_with(names.CHANGE_KEY_PREFIX, names.REQUEST_KEY_PREFIX), read=NOTHING
            ),
        ),
    }
)


@dataclass(frozen=True, kw_only=True)
class User:
    """A user to be."""

    name: str
    role: Role
    password: str = field(repr=False)


def password_hash(password: str, *, salt: bytes | None = None) -> str:
    """Return base64(salt + SHA-256(salt + password)), RabbitMQ's own format, freshly salted unless told."""
    salt = os.urandom(SALT_BYTES) if salt is None else salt
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def is_hash_of(password: str, hashed: str) -> bool:
    """Tell whether `password_hash` could have made this of the password."""
    salt = base64.b64decode(hashed)[:SALT_BYTES]
    return hmac.compare_digest(password_hash(password, salt=salt), hashed)


def users_from(environment: Mapping[str, str]) -> list[User]:
    """Return the users whose password is in the environment, in `Role.password_variable`."""
    return [
        User(name=role.user_name, role=role, password=environment[role.password_variable])
        for role in Role
        if environment.get(role.password_variable)
    ]
