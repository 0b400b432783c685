"""Answers to workers and clients: sent at once, or once the tickets are published that an answer speaks of."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from schedy.amqp.channel import Channel, Incoming, Outgoing
from schedy.amqp.connection import Connection
from schedy.errors import BrokerError
from schedy.wire import names
from schedy.wire.answers import Refusal
from schedy.wire.base import Answer
from schedy.wire.codec import encode
from schedy_store.service.inbox import Inbox

_log = logging.getLogger(__name__)

_WAIT_FOR_TICKETS_SECONDS = 4.0
_REPLY_PREFIX = names.REPLY_QUEUE + "."
_LARGEST_REPLY_BYTES = 15_000_000
"""RabbitMQ 4 takes 16 MiB."""


def reply_message(incoming: Incoming, answer: Answer) -> Outgoing | None:
    """Return the answer as a message to the sender, or None if the sender wants no answer.

    Answers go to RabbitMQ's direct reply queues only. One that is too large for a message becomes a refusal.
    """
    address = incoming.reply_to or ""
    if not address.startswith(_REPLY_PREFIX):
        return None
    body = encode(answer)
    if len(body) > _LARGEST_REPLY_BYTES:
        answer = Refusal(code="invalid", reason="The answer is too large for a message. Ask for less, with --limit.")
        body = encode(answer)
    return Outgoing("", address, body, answer.kind, incoming.correlation_id or "", mandatory=False)


@dataclass(slots=True, eq=False)
class _HeldReply:
    """An answer that is sent, once, when no job is left whose ticket it waits for."""

    send: Callable[[], None]
    waiting_for: set[int]
    _sent: bool = False

    def published(self, jobs: Iterable[int]) -> None:
        self.waiting_for.difference_update(jobs)
        if not self.waiting_for and not self._sent:
            self._sent = True
            self.send()


class Replies:
    """Sends answers over a channel of their own. Lives in the I/O thread."""

    def __init__(self, connection: Connection, inbox: Inbox) -> None:
        self._connection = connection
        self._inbox = inbox
        self._channel: Channel | None = None
        self._held: dict[int, _HeldReply] = {}
        """Answers that wait, by the jobs whose tickets they wait for."""

    def open(self) -> None:
        """Open the channel, now and each time that it closes."""
        self._connection.assert_io_thread()
        self._connection.open_channel(self._opened, self._closed)

    def lost(self) -> None:
        """Forget the channel, and the answers that wait: who waits for them asks again."""
        self._connection.assert_io_thread()
        self._channel = None
        self._held.clear()

    def send(self, reply: Outgoing) -> None:
        self._connection.assert_io_thread()
        if self._channel is not None:
            self._channel.publish(reply)

    def hold(self, jobs: set[int], send: Callable[[], None]) -> None:
        """Call `send` once the tickets of these jobs are published.

        A ticket that is not published soon (a full window, an experiment paused meanwhile) is not waited for: the
        jobs are stored.
        """
        self._connection.assert_io_thread()
        held = _HeldReply(send, jobs)

        def _give_up() -> None:
            for job in held.waiting_for:
                self._held.pop(job, None)
            held.published(list(held.waiting_for))

        self._held.update(dict.fromkeys(jobs, held))
        self._connection.later(_WAIT_FOR_TICKETS_SECONDS, _give_up)
        held.published(self._inbox.confirmed_of(jobs))

    def ticket_published(self, job: int) -> None:
        """Send what waits for this job's ticket alone."""
        self._connection.assert_io_thread()
        held = self._held.pop(job, None)
        if held is not None:
            held.published([job])

    def _opened(self, channel: Channel) -> None:
        self._channel = channel

    def _closed(self, _channel: Channel, error: BrokerError) -> None:
        """Go on after an unusable reply address: its sender gets no answer, the others do."""
        _log.warning("Answers could not be sent: %s", error)
        self._channel = None
        self.open()
