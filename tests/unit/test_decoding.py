"""What the results service makes of a delivery."""

import base64
from typing import cast

import pytest

from schedy.amqp.channel import Channel, Incoming
from schedy.wire.base import Sendable, Worker
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
