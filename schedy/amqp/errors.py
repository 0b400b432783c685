"""The errors that pika raises as errors of Schedy: the only place that maps them."""

import re
import socket

from pika import exceptions as pika_errors

from schedy.amqp.handshake import handshake_error
from schedy.amqp.parameters import Address
from schedy.errors import (
    AuthenticationError,
    BrokerError,
    BrokerFaultError,
    BrokerUnreachableError,
    PermissionDeniedError,
    TopologyMismatchError,
    TopologyMissingError,
)
from schedy.tls import tls_fault

ACCESS_REFUSED = 403
NOT_FOUND = 404
_PRECONDITION_FAILED = 406
_NOT_ALLOWED = 530
_INTERNAL_ERROR = 541
"""Reply codes of AMQP 0-9-1."""

_DUTIES = {
    "schedy-worker": "take and report jobs",
    "schedy-pusher": "change experiments and jobs",
    "schedy-service": "run the results service, declare queues and handle dead letters",
}
"""The duties of the users that `schedy broker setup` creates, and but for the last one `schedy up --listen`."""

MISSING_REMEDY = (
    "Start the results service (`schedy serve` or `schedy up`): it makes what is missing. So does `schedy broker setup`"
    " with the broker URL of schedy-service or of an administrator."
)
"""What to do about missing exchanges and queues, whoever reads it: workers and pushers may not declare any."""

_LOGIN_ERRORS = (pika_errors.AuthenticationError, pika_errors.ProbableAuthenticationError)
_SIZES = re.compile(r"message size (\d+) .*\bsize (\d+)")
"""The sizes of a message and of the largest that RabbitMQ takes, in its refusal."""
_GUEST_REMEDY = (
    "Without a configured URL, Schedy uses guest, whom this broker does not let in: it may belong to somebody else, or"
    " run on another machine. Set SCHEDY_BROKER_URL to the URL of your broker, with user and password, or start one of"
    " your own with `schedy up`."
)
_QUOTED_REPLY = re.compile(r"^\w+: \(\d+\) (['\"])(.*)\1$")
"""RabbitMQ's words as pika repeats them: ConnectionClosedByBroker: (530) "NOT_ALLOWED - access to vhost refused"."""
_QUOTED_ERROR = re.compile(r"\w+Error\(\d+, \W*([^'\"\\]+)")
"""An error of the system as pika repeats it: ConnectionResetError(104, 'Connection reset by peer')."""


class MessageSizeError(BrokerError):
    """RabbitMQ closed a channel over a message of more than `limit_bytes`, its `max_message_size`."""

    def __init__(self, address: Address, *, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(
            f"A message of {size_bytes:,} bytes is too large for RabbitMQ at {address}, which takes {limit_bytes:,}.",
            remedy="Store large data in a file and send its path, or raise max_message_size in rabbitmq.conf.",
        )
        self.limit_bytes = limit_bytes


def broker_error(error: BaseException, address: Address, *, was_open: bool = False) -> BrokerError:
    """Map an error of pika, or of the socket below it; `was_open`: the connection was open and is lost."""
    causes = _causes(error)
    fault = None if was_open else tls_fault(repr(causes), str(address))
    if fault is not None:
        return BrokerUnreachableError(fault[0], remedy=fault[1])
    odd = None if was_open else handshake_error(causes, address)
    if odd is not None:
        return odd
    for cause in causes:
        found = _login_error(cause, address) or _channel_error(cause, address) or _other_error(cause, address)
        if found is not None:
            return found
    if was_open:
        return _lost(error, address)
    return BrokerUnreachableError(
        f"Cannot reach RabbitMQ at {address} ({plain_reason(error)}).",
        remedy="Start RabbitMQ there, or a private node on this machine with `schedy up`; or set SCHEDY_BROKER_URL"
        " to where it runs.",
    )


def channel_error(refusal: pika_errors.ChannelClosed, address: Address, *, action: str = "do this") -> BrokerError:
    """Map the end of a channel, with which RabbitMQ refuses an operation; `action` completes "User ... may not"."""
    text = refusal.reply_text.rstrip(".")
    if refusal.reply_code == ACCESS_REFUSED:
        return PermissionDeniedError(
            f"User {address.user!r} of the broker may not {action} ({text}).",
            remedy=permission_remedy(address.user),
        )
    if refusal.reply_code == NOT_FOUND:
        return TopologyMissingError(
            f"An exchange or queue of Schedy is missing on the broker ({text}).",
            remedy=MISSING_REMEDY,
        )
    if refusal.reply_code == _PRECONDITION_FAILED and "inequivalent" in text:
        return TopologyMismatchError(
            f"An exchange or queue exists with properties that Schedy cannot use ({text}).",
            remedy="Delete it, then run `schedy broker setup`.",
        )
    sizes = _SIZES.search(text)
    if refusal.reply_code == _PRECONDITION_FAILED and sizes is not None:
        return MessageSizeError(address, size_bytes=int(sizes[1]), limit_bytes=int(sizes[2]))
    return BrokerError(
        f"RabbitMQ at {address} closed a channel ({refusal.reply_code} {text}).", remedy="See RabbitMQ's log."
    )


def permission_remedy(user: str) -> str:
    """Return what to do about a missing permission: not to give a worker the permissions of others."""
    duties = "; ".join(f"{name} may {duty}" for name, duty in _DUTIES.items())
    other = f"Use the broker URL of a user who may: {duties}"
    if user not in _DUTIES:
        return f"{other}. `schedy broker setup --management-url URL` creates them (docs/cluster.md, Who may do what)."
    return f"{other}. If {user} cannot do its own part, an administrator repairs its permissions: {_setup_of(user)}."


def _setup_of(user: str) -> str:
    """Return how an administrator sets up one of Schedy's users again, and with it its permissions."""
    variable = f"{user.replace('-', '_').upper()}_PASSWORD"
    return f"`schedy broker setup --url URL --management-url URL`, with its password in {variable}"


def blocked_error(address: Address, reason: str) -> BrokerError:
    """Return the error about an alarm of RabbitMQ, under which it reads no more from a connection that publishes."""
    return BrokerError(
        f"RabbitMQ at {address} takes no messages now: it is {reason}.",
        remedy="Make room there; the management UI says on which node, and so does `rabbitmq-diagnostics alarms`.",
    )


def plain_reason(error: BaseException) -> str:
    """Return the system's words, or RabbitMQ's, without pika's and Python's around them."""
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        if "Transport indicated EOF" in str(cause):
            return "it closed the connection"
        if isinstance(cause, pika_errors.ConnectionClosed | pika_errors.ChannelClosed):
            return str(cause.reply_text)
    reply = _QUOTED_REPLY.search(str(error))
    if reply is not None:
        return reply[2]
    quoted = _QUOTED_ERROR.search(str(error))
    return quoted[1].partition(" (_ssl.c")[0] if quoted else str(error) or type(error).__name__


def _login_error(error: BaseException, address: Address) -> BrokerError | None:
    code = getattr(error, "reply_code", None) if isinstance(error, pika_errors.ConnectionClosedByBroker) else None
    if isinstance(error, _LOGIN_ERRORS) or code == ACCESS_REFUSED:
        remedy = "Check user and password in SCHEDY_BROKER_URL (special characters as %XX)."
        if address.user == "guest":
            remedy = _GUEST_REMEDY
        return AuthenticationError(f"RabbitMQ at {address} refused the login of user {address.user!r}.", remedy=remedy)
    if isinstance(error, pika_errors.ProbableAccessDeniedError) or code == _NOT_ALLOWED:
        return _vhost_error(plain_reason(error), address)
    return None


def _vhost_error(reason: str, address: Address) -> BrokerError:
    if "limit" in reason:
        return BrokerUnreachableError(
            f"RabbitMQ at {address} takes no more connections of user {address.user!r} in vhost {address.vhost!r}"
            f" ({reason}).",
            remedy="End some, or raise the limit, in the management UI (Admin > Limits) or by rabbitmqctl"
            " set_vhost_limits and set_user_limits.",
        )
    if "is down" in reason:
        return BrokerUnreachableError(
            f"The vhost {address.vhost!r} of RabbitMQ at {address} is down ({reason}).",
            remedy="See RabbitMQ's log, and start it again, in the management UI (Admin > Virtual Hosts) or by"
            " rabbitmqctl restart_vhost.",
        )
    if "not found" in reason:
        return AuthenticationError(
            f"RabbitMQ at {address} has no vhost {address.vhost!r}.",
            remedy="Correct the end of SCHEDY_BROKER_URL (%2F is the vhost /), or create the vhost, in the"
            f" management UI (Admin > Virtual Hosts) or by rabbitmqctl add_vhost {address.vhost}",
        )
    return AuthenticationError(
        f"User {address.user!r} may not use vhost {address.vhost!r} of RabbitMQ at {address} ({reason}).",
        remedy=f"Correct the end of SCHEDY_BROKER_URL (%2F is the vhost /), or {_vhost_grant(address)}.",
    )


def _vhost_grant(address: Address) -> str:
    """Return how an administrator lets a user into a vhost."""
    if address.user in _DUTIES:
        return f"let an administrator grant the user its permissions there: {_setup_of(address.user)}"
    return (
        "grant the user permissions there, in the management UI (Admin > Users) or by rabbitmqctl set_permissions"
        " (docs/cluster.md, Who may do what)"
    )


def _channel_error(error: BaseException, address: Address) -> BrokerError | None:
    if isinstance(error, pika_errors.ChannelClosed):
        return channel_error(error, address)
    if isinstance(error, pika_errors.UnroutableError):
        return TopologyMissingError(f"RabbitMQ at {address} has no queue for a message.", remedy=MISSING_REMEDY)
    if isinstance(error, pika_errors.NackError):
        return BrokerError(f"A queue of RabbitMQ at {address} did not take a message.", remedy="Run `schedy doctor`.")
    if isinstance(error, pika_errors.AMQPChannelError):
        return BrokerError(
            f"A channel to RabbitMQ at {address} cannot be used ({plain_reason(error)}).", remedy="See RabbitMQ's log."
        )
    return None


def _other_error(error: BaseException, address: Address) -> BrokerError | None:
    if isinstance(error, pika_errors.ConnectionBlockedTimeout):
        return blocked_error(address, "short of memory or disk")
    if isinstance(error, pika_errors.IncompatibleProtocolError) and address.tls:
        return BrokerUnreachableError(
            f"The server at {address} closed the TLS connection at once ({plain_reason(error)}).",
            remedy="If it is RabbitMQ, it may require a client certificate (SCHEDY_BROKER_CERT_FILE): see its log.",
        )
    if isinstance(error, socket.gaierror):
        return BrokerUnreachableError(
            f"Cannot reach RabbitMQ at {address}: the host name is unknown ({plain_reason(error)}).",
            remedy="Check the host in SCHEDY_BROKER_URL.",
        )
    return None


def _lost(error: BaseException, address: Address) -> BrokerError:
    kind = BrokerFaultError if getattr(error, "reply_code", None) == _INTERNAL_ERROR else BrokerUnreachableError
    return kind(
        f"The connection to RabbitMQ at {address} was lost ({plain_reason(error)}).", remedy="See RabbitMQ's log."
    )


def _causes(error: BaseException) -> list[BaseException]:
    """Return the error and those it wraps, pika's connector errors included."""
    found = [error]
    for item in found:
        inner = [item.__cause__, getattr(item, "exception", None), *getattr(item, "exceptions", ()), *item.args]
        found.extend(cause for cause in inner if isinstance(cause, BaseException) and cause not in found)
        if len(found) > 50:
            break
    return found
