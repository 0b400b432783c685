"""Sending out the effects of a committed batch: queues, answers, questions to search processes, tickets."""

import logging
from collections.abc import Callable
from functools import partial

from schedy.amqp.channel import Incoming
from schedy.wire.answers import ExperimentChangedAnswer, ReportAnswer
from schedy.wire.base import Answer
from schedy_store.service.applying import AppliedBatch, AppliedMessage
from schedy_store.service.broker.link import Link
from schedy_store.service.searches.searches import Searches

_log = logging.getLogger(__name__)


class AfterCommit:
    """Sends out the effects of committed batches. Lives in the service thread."""

    def __init__(self, link: Link, searches: Searches) -> None:
        self._link = link
        self._searches = searches

    def send_out(self, batch: AppliedBatch) -> None:
        """Send out everything, in an order in which an answer is true when it arrives:

        1. Changes to queues, then the answer that follows from them.
        2. Questions to the search processes, and answers to workers that have waited for a job.
        3. Tickets: after the answers that wait for them have been registered.
        """
        for applied in batch.messages:
            self._send_one(applied)
        self._searches.send(self._reply_once_queued)
        self._link.publish_tickets(batch.tickets)

    def _send_one(self, applied: AppliedMessage) -> None:
        """Answer when the last change to a queue is done and the tickets that are awaited are published."""
        for line in applied.effects.log:
            _log.info("%s", line)
        reply = self._reply(applied)
        queues = applied.effects.queues
        last = len(queues) - 1
        for place, (change, experiment) in enumerate(queues):
            is_answered_then = place == last and not applied.awaited
            self._link.change_queue(change, experiment, reply if is_answered_then else _nothing)
        if applied.awaited:
            self._link.reply_after(applied.awaited, reply)
        elif not queues:
            reply()

    def _reply_once_queued(self, incoming: Incoming, answer: Answer) -> None:
        """Send a held answer; one to a new search once its queue is there, which may take longer than the check."""
        reply = partial(self._link.reply, incoming, answer)
        if isinstance(answer, ExperimentChangedAnswer) and answer.experiment.status == "RUNNING":
            self._link.change_queue("wanted", answer.experiment.name, reply)
        else:
            reply()

    def _reply(self, applied: AppliedMessage) -> Callable[[], None]:
        """Return what sends the answer; an answer to a curve, or to a new search, comes from its process."""
        incoming, answer, effects = applied.incoming, applied.effects.answer, applied.effects
        if incoming is None or answer is None:
            return _nothing
        is_held = False
        if effects.pruning is not None and isinstance(answer, ReportAnswer):
            is_held = self._searches.ask_pruner(incoming, answer, effects.pruning)
        elif effects.checking is not None:
            is_held = self._searches.ask_check(incoming, answer, effects.checking)
        return _nothing if is_held else partial(self._link.reply, incoming, answer)


def _nothing() -> None:
    """Do nothing: no answer follows."""
