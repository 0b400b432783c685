"""The roles of Schedy's users on a broker, each with the fewest permissions that it needs.

A worker's user takes tickets, asks and reports. A pusher's user changes experiments and jobs, and asks. Only
the service's user declares queues, reads reports and answers. docs/cluster.md says what a worker can still do.
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
    """The purpose of a user."""

    SERVICE = "service"
    WORKER = "worker"
    PUSHER = "pusher"

    @property
    def user_name(self) -> str:
        """Name of the user that `schedy broker setup` creates for this role."""
        return f"schedy-{self.value}"

    @property
    def password_variable(self) -> str:
        """Environment variable with the password of that user."""
        return f"SCHEDY_{self.value.upper()}_PASSWORD"


@dataclass(frozen=True, kw_only=True)
class Permissions:
    """RabbitMQ's permissions in a vhost: regular expressions on names of exchanges and queues."""

    configure: str
    write: str
    read: str


@dataclass(frozen=True, kw_only=True)
class TopicPermissions:
    """RabbitMQ's topic permissions on the inbox: regular expressions on routing keys, to publish and to bind with."""

    write: str
    read: str


@dataclass(frozen=True, kw_only=True)
class RolePermissions:
    """All permissions of a role in a vhost."""

    resources: Permissions
    inbox: TopicPermissions


def _exactly(name: str) -> str:
    return f"^{re.escape(name)}$"


def _beginning_with(*prefixes: str) -> str:
    escaped = [re.escape(prefix) for prefix in prefixes]
    return f"^{escaped[0]}.*$" if len(escaped) == 1 else f"^({'|'.join(escaped)}).*$"


_EVERYTHING = _beginning_with("schedy.")

ROLE_PERMISSIONS: Mapping[Role, RolePermissions] = MappingProxyType(
    {
        Role.SERVICE: RolePermissions(
            resources=Permissions(configure=_EVERYTHING, write=r"^(schedy\..*|amq\.default)$", read=_EVERYTHING),
            inbox=TopicPermissions(
                write=_beginning_with(names.SERVICE_KEY_PREFIX),
                read=f"^({'|'.join(map(re.escape, (*names.REPORTS_BINDINGS, *names.REQUESTS_BINDINGS)))})$",
            ),
        ),
        Role.WORKER: RolePermissions(
            resources=Permissions(
                configure=NOTHING,
                write=_exactly(names.INBOX_EXCHANGE),
                read=_beginning_with(names.JOBS_QUEUE_PREFIX),
            ),
            inbox=TopicPermissions(
                write=_beginning_with(names.REPORT_KEY_PREFIX, names.REQUEST_KEY_PREFIX), read=NOTHING
            ),
        ),
        Role.PUSHER: RolePermissions(
            resources=Permissions(configure=NOTHING, write=_exactly(names.INBOX_EXCHANGE), read=NOTHING),
            inbox=TopicPermissions(
                write=_beginning_with(names.CHANGE_KEY_PREFIX, names.REQUEST_KEY_PREFIX), read=NOTHING
            ),
        ),
    }
)


@dataclass(frozen=True, kw_only=True)
class User:
    """A user to create."""

    name: str
    role: Role
    password: str = field(repr=False)


def password_hash(password: str, *, salt: bytes | None = None) -> str:
    """Return base64(salt + SHA-256(salt + password)), RabbitMQ's own format, with a new salt by default."""
    salt = os.urandom(SALT_BYTES) if salt is None else salt
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def is_hash_of(password: str, hashed: str) -> bool:
    """Return whether `hashed` is a `password_hash` of the password."""
    salt = base64.b64decode(hashed)[:SALT_BYTES]
    return hmac.compare_digest(password_hash(password, salt=salt), hashed)


def users_from(environment: Mapping[str, str]) -> list[User]:
    """Return the users whose password is in the environment, under `Role.password_variable`."""
    return [
        User(name=role.user_name, role=role, password=environment[role.password_variable])
        for role in Role
        if environment.get(role.password_variable)
    ]
