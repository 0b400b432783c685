"""What the results service makes of a delivery."""

import base64
from typing import cast

import pytest

from schedy.amqp.channel import Channel, Incoming
from schedy.wire.base import Sendable, Worker
from schedy.wire.bundles import bundle_body
from schedy.wire.codec import encode, routing_key
from schedy.wire.reports import Claim, Finish
from schedy.wire.service import Replay
from schedy_store.service.decoding import decode_deliveries

UID, TOKEN = "e" * 32, "a" * 32
CLAIM = Claim(
    experiment_uid=UID, job_id="Xa82_1", token="b" * 32, worker=Worker(host="h", pid=1, program="p", uid="f" * 32)
)
FINISH = Finish(
    experiment_uid=UID, job_id="fVKGjg", token=TOKEN, sequence=1, status="DONE", results={}, quality=0.0, then=CLAIM
)
REPLAY = Replay(routing_key="report.finish", body=base64.b64encode(encode(FINISH)).decode(), user="worker")


def decoded(message: Sendable, *, reply_to: str | None) -> Sendable:
    channel = cast("Channel", None)
    delivered = Incoming(channel, 1, encode(message), routing_key(message), reply_to, "c" * 32, "service")
    (read,) = decode_deliveries([delivered], bury=lambda _incoming, reason: pytest.fail(reason))
    return read.message


def test_a_claim_that_came_with_an_end_counts_only_while_its_worker_waits_for_the_answer() -> None:
    assert decoded(FINISH, reply_to="amq.rabbitmq.reply-to.x") == FINISH
    assert decoded(FINISH, reply_to=None) == FINISH.alone()
    assert decoded(REPLAY, reply_to="amq.rabbitmq.reply-to.x") == FINISH.alone()


def bundle(*parts: tuple[str | None, bytes]) -> Incoming:
    channel = cast("Channel", None)
    return Incoming(channel, 7, bundle_body(parts), "report.bundle", "amq.rabbitmq.reply-to.x", "c" * 32, "worker")


def test_a_bundle_is_taken_apart_into_reports_as_they_would_have_come_alone() -> None:
    parts = bundle(("d" * 32, encode(CLAIM)), (None, encode(FINISH)))
    claim, finish = decode_deliveries([parts], bury=lambda _incoming, reason: pytest.fail(reason))
    assert (claim.message, finish.message) == (CLAIM, FINISH.alone())
    assert (claim.incoming.correlation_id, claim.incoming.reply_to) == ("d" * 32, "amq.rabbitmq.reply-to.x")
    assert finish.incoming.reply_to is None
    for each in (claim.incoming, finish.incoming):
        assert (each.tag, each.user, each.from_bundle) == (7, "worker", True)


def test_what_cannot_be_read_of_a_bundle_is_buried_alone_and_as_it_would_have_come() -> None:
    buried: list[tuple[Incoming, str]] = []
    push = b'{"schema_version":1,"kind":"delete_job","request_id":"' + b"a" * 32 + b'"}'
    inner = bundle_body([(None, encode(CLAIM))])
    parts = bundle(("d" * 32, push), ("e" * 32, encode(CLAIM)), (None, inner), (None, b'{"kind":5}'))
    (claim,) = decode_deliveries([parts], bury=lambda incoming, reason: buried.append((incoming, reason)))
    assert claim.message == CLAIM
    assert [(incoming.routing_key, incoming.body) for incoming, _reason in buried] == [
        ("report.delete_job", push),
        ("report.bundle", inner),
        ("report.bundle", b'{"kind":5}'),
    ]
    assert [reason for _incoming, reason in buried][:2] == [
        "not a known message: the kind is 'delete_job'",
        "not a known message: the kind is 'bundle'",
    ]
