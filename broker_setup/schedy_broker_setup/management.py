"""A client of RabbitMQ's management HTTP API: users and their permissions."""

import base64
import http.client
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any
from urllib.parse import SplitResult, quote, unquote

from schedy.amqp.errors import plain_reason
from schedy.errors import ManagementError, SettingsError
from schedy.tls import NO_TLS_FILES, TlsFiles, tls_context
from schedy.urls import checked_url
from schedy.wire.topology import Exchange
from schedy_broker_setup.permissions import (
    HASHING_ALGORITHM,
    Permissions,
    TopicPermissions,
    is_hash_of,
    password_hash,
)

NOT_FOUND = 404
FIRST_ERROR = 400

_CHECK_PATH = "Check the management URL: it ends after the port, http://USER:PASSWORD@HOST:15672."
_REMEDIES = MappingProxyType(
    {
        401: "Check user and password in the management URL; the user needs the tag `administrator` "
        "(Admin > Users, or rabbitmqctl set_user_tags USER administrator).",
        403: "The user in the management URL needs the tag `administrator` "
        "(Admin > Users, or rabbitmqctl set_user_tags USER administrator).",
        400: f"{_CHECK_PATH} If it does, see RabbitMQ's log.",
        404: _CHECK_PATH,
    }
)


@dataclass(frozen=True, kw_only=True)
class QueueInfo:
    """A queue as the management API shows it: a few seconds late."""

    name: str
    messages: int
    consumers: int


@dataclass(frozen=True, kw_only=True)
class QueuePolicy:
    """A queue, the policies that hold for it (an empty text if none does), and what they define together."""

    name: str
    policy: str
    definition: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class _Answer:
    status: int
    body: bytes = field(repr=False)

    def json(self) -> Any:
        return json.loads(self.body)


class Management:
    """A client of one node's management API, without state: every call opens a connection of its own.

    `put_*` and `delete_*` look first, change only what differs and return whether they did. Every call may
    raise ManagementError, whose text never has a password in it. Proxies set in the environment are ignored:
    a broker is in the local network.
    """

    def __init__(self, url: str, *, timeout_s: float = 10.0, tls: TlsFiles = NO_TLS_FILES) -> None:
        """Read a URL like http://USER:PASSWORD@HOST:15672; nothing is sent yet. Raises SettingsError."""
        parts = _split(url)
        self._host = parts.hostname or ""
        self._port = parts.port or (15671 if parts.scheme == "https" else 15672)
        self._tls = tls_context(tls) if parts.scheme == "https" else None
        self._base = parts.path.rstrip("/")
        login = f"{unquote(parts.username or 'guest')}:{unquote(parts.password or 'guest')}"
        self._authorization = f"Basic {base64.b64encode(login.encode()).decode()}"
        self._timeout_s = timeout_s

    def version(self) -> str:
        """Return RabbitMQ's version."""
        return str(self._get("overview")["rabbitmq_version"])

    def is_quorum_critical(self) -> bool:
        """Return whether queues would lose their majority, or have none now, if this node went down."""
        return self._ask("GET", "health", "checks", "node-is-quorum-critical").status >= FIRST_ERROR

    def users(self) -> list[str]:
        """Return the names of all users."""
        return [str(user["name"]) for user in self._get("users")]

    def queues(self, vhost: str) -> list[QueueInfo]:
        """Return the queues of a vhost."""
        return [
            QueueInfo(name=queue["name"], messages=queue.get("messages", 0), consumers=queue.get("consumers", 0))
            for queue in self._get("queues", vhost)
        ]

    def queue_policies(self, vhost: str) -> list[QueuePolicy]:
        """Return the queues of a vhost with their policies and operator policies."""
        return [
            QueuePolicy(
                name=queue["name"],
                policy=" and ".join(filter(None, [queue.get("policy"), queue.get("operator_policy")])),
                definition=queue.get("effective_policy_definition") or {},
            )
            for queue in self._get("queues", vhost)
        ]

    def put_policy(self, vhost: str, name: str, *, pattern: str, definition: Mapping[str, Any]) -> None:
        """Set a policy on queues, in place of any of that name."""
        self._put({"pattern": pattern, "definition": definition, "apply-to": "queues"}, "policies", vhost, name)

    def put_vhost(self, vhost: str) -> bool:
        """Create a vhost; its creator gets all permissions in it."""
        if self._find("vhosts", vhost) is not None:
            return False
        self._put({}, "vhosts", vhost)
        return True

    def delete_vhost(self, vhost: str) -> bool:
        """Delete a vhost with everything in it."""
        return self._delete("vhosts", vhost)

    def put_exchange(self, vhost: str, exchange: Exchange) -> bool:
        """Create an exchange. One of that name with other properties is left as it is."""
        if self._find("exchanges", vhost, exchange.name) is not None:
            return False
        self._put({"type": exchange.kind, "durable": True}, "exchanges", vhost, exchange.name)
        return True

    def put_user(self, name: str, *, password: str, tags: str = "") -> bool:
        """Create a user or change its password or tags; only a salted hash of the password is sent."""
        found = self._find("users", name)
        if found is not None and is_hash_of(password, found["password_hash"]) and _tags(found["tags"]) == tags:
            return False
        hashed = {"password_hash": password_hash(password), "hashing_algorithm": HASHING_ALGORITHM}
        self._put({**hashed, "tags": tags}, "users", name)
        return True

    def delete_user(self, name: str) -> bool:
        """Delete a user."""
        return self._delete("users", name)

    def put_permissions(self, vhost: str, user: str, permissions: Permissions) -> bool:
        """Set the permissions of a user in a vhost, in place of any others."""
        wanted = asdict(permissions)
        found = self._find("permissions", vhost, user)
        if found is not None and wanted.items() <= found.items():
            return False
        self._put(wanted, "permissions", vhost, user)
        return True

    def put_topic_permissions(self, vhost: str, user: str, *, exchange: str, permissions: TopicPermissions) -> bool:
        """Set the permissions of a user on a topic exchange, which must exist (RabbitMQ 4.3 requires it)."""
        wanted = {"exchange": exchange, **asdict(permissions)}
        found = self._find("topic-permissions", vhost, user) or []
        if any(wanted.items() <= entry.items() for entry in found):
            return False
        self._put(wanted, "topic-permissions", vhost, user)
        return True

    def import_definitions(self, definitions: Mapping[str, Any]) -> None:
        """Add and update everything in a definitions document; it deletes nothing."""
        self._checked("POST", "definitions", body=definitions)

    def _get(self, *path: str) -> Any:
        return self._checked("GET", *path).json()

    def _find(self, *path: str) -> Any:
        answer = self._ask("GET", *path)
        return None if answer.status == NOT_FOUND else _good(answer, self._what("GET", path)).json()

    def _put(self, body: Mapping[str, Any], *path: str) -> None:
        self._checked("PUT", *path, body=body)

    def _delete(self, *path: str) -> bool:
        answer = self._ask("DELETE", *path)
        if answer.status == NOT_FOUND:
            return False
        _good(answer, self._what("DELETE", path))
        return True

    def _checked(self, method: str, *path: str, body: Mapping[str, Any] | None = None) -> _Answer:
        return _good(self._ask(method, *path, body=body), self._what(method, path))

    def _what(self, method: str, path: tuple[str, ...]) -> str:
        return f"{method} {self._target(path)} at {self._host}:{self._port}"

    def _target(self, path: tuple[str, ...]) -> str:
        return f"{self._base}/api/" + "/".join(quote(part, safe="") for part in path)

    def _ask(self, method: str, *path: str, body: Mapping[str, Any] | None = None) -> _Answer:
        connection = self._connection()
        headers = {"Authorization": self._authorization, "Content-Type": "application/json"}
        payload = None if body is None else json.dumps(body)
        try:
            connection.request(method, self._target(path), body=payload, headers=headers)
            response = connection.getresponse()
            return _Answer(status=response.status, body=response.read())
        except (OSError, http.client.HTTPException) as error:
            raise ManagementError(
                f"No answer from the management API at {self._host}:{self._port} ({plain_reason(error)}).",
                remedy="Check host and port (usually 15672), http or https, and that the plugin is enabled: "
                "rabbitmq-plugins enable rabbitmq_management",
            ) from error
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)
        return http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout_s, context=self._tls)


def _split(url: str) -> SplitResult:
    """Split a management URL. Raises SettingsError, which does not repeat the URL, since it may hold a password."""
    try:
        return checked_url(url, schemes=("http", "https"))
    except ValueError as fault:
        raise SettingsError(
            f"The management URL cannot be used: {fault}. Set it to http://USER:PASSWORD@HOST:15672 (https:// for TLS),"
            " with %XX for characters like @ : / ? # in the password."
        ) from None


def _good(answer: _Answer, what: str) -> _Answer:
    if answer.status < FIRST_ERROR:
        return answer
    raise ManagementError(
        f"The management API answered {what} with status {answer.status}{_reason(answer)}.",
        remedy=_REMEDIES.get(answer.status, "See RabbitMQ's log."),
    )


def _reason(answer: _Answer) -> str:
    try:
        return f": {answer.json()['reason']}"
    except (ValueError, KeyError, TypeError):
        return ""


def _tags(found: str | list[str]) -> str:
    """Return tags as RabbitMQ 3.8 wrote them; later versions answer with a list."""
    return found if isinstance(found, str) else ",".join(found)
