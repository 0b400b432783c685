"""Reports that wait for the pruner: none waits for one that is slow."""

import time
from typing import cast

from schedy.amqp.channel import Channel, Incoming
from schedy.wire.answers import ReportAnswer
from schedy_store.search.wire import PruneAnswer
from schedy_store.service.searches.held_reports import HeldReports


def incoming(tag: int) -> Incoming:
    return Incoming(cast("Channel", None), tag, b"", "report.curve", None, None, None)


def test_a_slow_pruner_keeps_no_report() -> None:
    held, now = HeldReports(), time.monotonic()
    held.hold(1, incoming(1), ReportAnswer(accepted=True))
    assert held.release_due(now + 1.0) == []
    [reply] = held.release_due(now + 60.0)
    assert (reply.incoming.tag, isinstance(reply.answer, ReportAnswer) and reply.answer.prune) == (1, False)
    assert held.release(PruneAnswer(question=1, job_pk=1, token="t", prune=True, state=None)) == []


def test_a_verdict_goes_to_its_own_report() -> None:
    held = HeldReports()
    for question in (1, 2):
        held.hold(question, incoming(question), ReportAnswer(accepted=True))
    [reply] = held.release(PruneAnswer(question=2, job_pk=1, token="t", prune=True, state=None))
    assert (reply.incoming.tag, isinstance(reply.answer, ReportAnswer) and reply.answer.prune) == (2, True)
