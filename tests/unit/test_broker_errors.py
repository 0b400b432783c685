"""The map of pika's errors: every error that pika can raise is one of ours, with the broker's address in it."""

import inspect
import socket
from collections.abc import Iterator

import pika
import pytest
from pika import exceptions as pika_errors
from pika.adapters.utils.connection_workflow import AMQPConnectionWorkflowFailed, AMQPConnectorSocketConnectError

from schedy.amqp.errors import MessageSizeError, broker_error
from schedy.amqp.parameters import Address, address_of, parameters_of
from schedy.errors import (
    AuthenticationError,
    BrokerError,
    BrokerFaultError,
    BrokerUnreachableError,
    PermissionDeniedError,
    SettingsError,
    TopologyMismatchError,
    TopologyMissingError,
)
from schedy_broker_setup.permissions import Role

SECRET = "s3cret"
ADDRESS = address_of(parameters_of(f"amqp://ada:{SECRET}@head1:5673/lab"))

UNREACHABLE = {
    pika_errors.AMQPError,
    pika_errors.AMQPConnectionError,
    pika_errors.AMQPHeartbeatTimeout,
    pika_errors.ConnectionClosed,
    pika_errors.ConnectionClosedByBroker,
    pika_errors.ConnectionClosedByClient,
    pika_errors.ConnectionOpenAborted,
    pika_errors.ConnectionWrongStateError,
    pika_errors.IncompatibleProtocolError,
    pika_errors.NoFreeChannels,
    pika_errors.StreamLostError,
    pika_errors.ProtocolSyntaxError,
    pika_errors.ProtocolVersionMismatch,
    pika_errors.InvalidFrameError,
    pika_errors.UnexpectedFrameError,
    pika_errors.BodyTooLongError,
}
LOGIN = {
    pika_errors.AuthenticationError,
    pika_errors.ProbableAuthenticationError,
    pika_errors.ProbableAccessDeniedError,
}
OTHER = {
    pika_errors.ConnectionBlockedTimeout,
    pika_errors.AMQPChannelError,
    pika_errors.ChannelClosed,
    pika_errors.ChannelClosedByBroker,
    pika_errors.ChannelClosedByClient,
    pika_errors.ChannelWrongStateError,
    pika_errors.ConsumerCancelled,
    pika_errors.NackError,
    pika_errors.UnroutableError,
}
MISUSE = {
    pika_errors.ChannelError,
    pika_errors.DuplicateConsumerTag,
    pika_errors.DuplicateGetOkCallback,
    pika_errors.InvalidChannelNumber,
    pika_errors.InvalidFieldTypeException,
    pika_errors.MethodNotImplemented,
    pika_errors.ReentrancyError,
    pika_errors.ShortStringTooLong,
    pika_errors.UnsupportedAMQPFieldException,
}
"""Raised to callers that use pika wrongly, whatever the broker does: those are faults of ours."""


def _made(kind: type[BaseException]) -> BaseException:
    if issubclass(kind, pika_errors.ConnectionClosed | pika_errors.ChannelClosed):
        return kind(320, "CONNECTION_FORCED - bye")
    if issubclass(kind, pika_errors.NackError | pika_errors.UnroutableError):
        return kind([])
    if kind in {pika_errors.BodyTooLongError, pika_errors.ProtocolVersionMismatch}:
        return kind(2, 1)
    return kind("the reason")


def _every_error_of_pika() -> Iterator[type[BaseException]]:
    for _name, kind in inspect.getmembers(pika_errors, inspect.isclass):
        if issubclass(kind, BaseException):
            yield kind


def test_no_error_of_pika_is_forgotten() -> None:
    assert set(_every_error_of_pika()) == UNREACHABLE | LOGIN | OTHER | MISUSE


@pytest.mark.parametrize("was_open", [False, True])
@pytest.mark.parametrize(
    ("kinds", "expected"),
    [(UNREACHABLE, BrokerUnreachableError), (LOGIN, AuthenticationError)],
    ids=["unreachable", "login"],
)
def test_errors_of_the_connection(kinds: set[type[BaseException]], expected: type[BrokerError], was_open: bool) -> None:
    for kind in kinds:
        error = broker_error(_made(kind), ADDRESS, was_open=was_open)
        assert type(error) is expected, kind
        assert "head1:5673" in error.what
        assert error.remedy
        assert SECRET not in str(error)


@pytest.mark.parametrize(
    ("error", "expected", "words"),
    [
        (pika_errors.ConnectionBlockedTimeout(), BrokerError, "takes no messages now: it is short of memory or disk."),
        (pika_errors.NackError([]), BrokerError, "did not take a message"),
        (pika_errors.UnroutableError([]), TopologyMissingError, "has no queue for a message"),
        (
            pika_errors.ChannelClosedByBroker(403, "ACCESS_REFUSED"),
            PermissionDeniedError,
            "'ada' of the broker may not",
        ),
        (pika_errors.ChannelClosedByBroker(404, "NOT_FOUND"), TopologyMissingError, "missing on the broker"),
        (pika_errors.ChannelClosedByBroker(406, "inequivalent arg"), TopologyMismatchError, "properties"),
        (
            pika_errors.ChannelClosedByBroker(
                406, "PRECONDITION_FAILED - message size 603776 is larger than configured max size 200000"
            ),
            MessageSizeError,
            "A message of 603,776 bytes is too large for RabbitMQ at head1:5673, which takes 200,000.",
        ),
        (
            pika_errors.ChannelClosedByBroker(406, "message size 603776000 is larger than max size 536870912"),
            MessageSizeError,
            "A message of 603,776,000 bytes is too large",
        ),
        (pika_errors.ChannelClosedByBroker(406, "timed out"), BrokerError, "closed a channel (406 timed out)."),
        (pika_errors.ChannelClosedByClient(200, "bye"), BrokerError, "closed a channel"),
        (pika_errors.ChannelWrongStateError("closed"), BrokerError, "cannot be used (closed)"),
        (pika_errors.ConsumerCancelled("gone"), BrokerError, "cannot be used (gone)"),
        (pika_errors.AMQPChannelError("odd"), BrokerError, "cannot be used (odd)"),
        (pika_errors.ConnectionClosedByBroker(541, "INTERNAL_ERROR"), BrokerFaultError, "was lost (INTERNAL_ERROR)"),
        (pika_errors.ConnectionClosedByBroker(403, "ACCESS_REFUSED"), AuthenticationError, "refused the login of user"),
        (pika_errors.ConnectionClosedByBroker(530, "vhost lab not found"), AuthenticationError, "has no vhost 'lab'"),
        (
            pika_errors.ConnectionClosedByBroker(530, "access to vhost 'lab' refused: connection limit (3) is reached"),
            BrokerUnreachableError,
            "takes no more connections of user 'ada' in vhost 'lab'",
        ),
        (
            pika_errors.ConnectionClosedByBroker(530, "access to vhost 'lab' refused: vhost 'lab' is down"),
            BrokerUnreachableError,
            "The vhost 'lab' of RabbitMQ at head1:5673 is down",
        ),
        (pika_errors.ConnectionClosedByBroker(530, "refused"), AuthenticationError, "may not use vhost 'lab'"),
        (
            pika_errors.ProbableAccessDeniedError("ConnectionClosedByBroker: (530) \"NOT_ALLOWED - no 'x'\""),
            AuthenticationError,
            "(NOT_ALLOWED - no 'x').",
        ),
    ],
)
def test_errors_that_say_more(error: Exception, expected: type[BrokerError], words: str) -> None:
    found = broker_error(error, ADDRESS, was_open=True)
    assert type(found) is expected
    assert words in found.what
    assert found.remedy
    assert str(found) == f"{found.what} {found.remedy}"


def test_the_cause_in_what_pika_wraps_around_it() -> None:
    attempt = AMQPConnectorSocketConnectError(socket.gaierror(-2, "Name or service not known"))
    wrapped = pika_errors.AMQPConnectionError(AMQPConnectionWorkflowFailed([attempt]))
    assert "head1:5673: the host name is unknown (Name or service not known)" in broker_error(wrapped, ADDRESS).what
    refused = pika_errors.AMQPConnectionError(ConnectionRefusedError(111, "Connection refused"))
    assert "Cannot reach RabbitMQ at head1:5673 (Connection refused)." in broker_error(refused, ADDRESS).what
    untrusted = pika_errors.AMQPConnectionError(
        "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed"
    )
    assert "The certificate of RabbitMQ at head1:5673 is not trusted" in broker_error(untrusted, ADDRESS).what


def test_what_may_be_shown_of_a_url() -> None:
    assert Address(host="head1", port=5673, vhost="lab", user="ada", tls=False) == ADDRESS
    assert address_of(parameters_of("amqps://h")) == Address(host="h", port=5671, vhost="/", user="guest", tls=True)
    assert address_of(pika.ConnectionParameters(host="h", virtual_host="a b")).vhost == "a b"


def test_a_parameter_that_pika_refuses() -> None:
    with pytest.raises(SettingsError, match=r"The broker URL cannot be used: .*heartbeat.*") as caught:
        parameters_of(f"amqp://ada:{SECRET}@h/?heartbeat=often")
    assert SECRET not in str(caught.value)


def refused(user: str) -> str:
    refusal = pika_errors.ChannelClosedByBroker(403, "ACCESS_REFUSED - access to topic 'push' refused")
    return str(broker_error(refusal, Address(host="h", port=5672, vhost="/", user=user, tls=False)))


def test_a_worker_is_not_told_to_get_the_permissions_of_others() -> None:
    """They are withheld on purpose: the remedy is another user's URL."""
    for role in Role:
        text = refused(role.user_name)
        assert "Use the broker URL of a user who may: schedy-worker may take and report jobs; schedy-pusher may" in text
        assert (
            f"`schedy broker setup --url URL --management-url URL`, with its password in {role.password_variable}"
            in text
        )
        assert "grant" not in text
    assert "`schedy broker setup --management-url URL` creates them" in refused("ada")


def test_guest_is_explained_to_who_never_heard_of_it() -> None:
    error = broker_error(
        pika_errors.ProbableAuthenticationError(),
        Address(host="127.0.0.1", port=5672, vhost="/", user="guest", tls=False),
    )
    assert "Without a configured URL, Schedy uses guest" in str(error)
    assert "Set SCHEDY_BROKER_URL" in str(error)
    assert "schedy up" in str(error)


@pytest.mark.parametrize(
    ("end", "vhost"),
    [
        ("", "/"),
        ("/", "/"),
        ("//", "/"),
        ("/%2F", "/"),
        ("/lab", "lab"),
        ("/a/b", "a/b"),
        ("/a%20b?heartbeat=5", "a b"),
    ],
)
def test_the_vhost_at_the_end_of_a_url(end: str, vhost: str) -> None:
    assert address_of(parameters_of(f"amqp://h{end}")).vhost == vhost
