"""Answers to workers and clients: sent at once, or once the tickets are published that an answer speaks of."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from schedy.amqp.channel import Channel, Incoming, Outgoing
from schedy.amqp.connection import Connection
from schedy.amqp.errors import MessageSizeError
from schedy.errors import BrokerError
from schedy.wire import names
from schedy.wire.answers import ClaimAnswer, Refusal
from schedy.wire.base import Answer
from schedy.wire.bundles import answer_bundle_body
from schedy.wire.codec import encode
from schedy_store.service.inbox import Inbox

_log = logging.getLogger(__name__)

_WAIT_FOR_TICKETS_SECONDS = 4.0
_REPLY_PREFIX = names.REPLY_QUEUE + "."
_LARGEST_REPLY_BYTES = 15_000_000
"""Less than the 16 MiB that RabbitMQ 4 takes by default; `Replies` learns of a lower limit by being refused."""
_LARGE_REPLY_BYTES = 60_000
"""Larger ones have a channel of their own: RabbitMQ closes a channel over a message that is too large for it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, and the message that has it."""

    outgoing: Outgoing
    answer: Answer
    in_bundle: bool = False
    """True if it may share a message with others to the same asker."""


def reply_message(incoming: Incoming, answer: Answer) -> Reply | None:
    """Return the answer as a message to the sender, or None if the sender wants no answer.

    Answers go to RabbitMQ's direct reply queues only.
    """
    address = incoming.reply_to or ""
    if not address.startswith(_REPLY_PREFIX):
        return None
    correlation_id = incoming.correlation_id or ""
    outgoing = Outgoing("", address, encode(answer), answer.kind, correlation_id, mandatory=False)
    return Reply(outgoing, answer, incoming.from_bundle)


def fitting(reply: Reply, limit_bytes: int) -> Reply:
    """Return the reply, or in place of one over the limit a claim's answer without `previous_results`, or a refusal."""
    if len(reply.outgoing.body) <= limit_bytes:
        return reply
    answer = reply.answer
    _log.warning(
        "An answer (%s) of %d bytes is too large for a message of the broker, which takes %d.",
        answer.kind,
        len(reply.outgoing.body),
        limit_bytes,
    )
    if isinstance(answer, ClaimAnswer) and answer.job is not None and answer.job.previous_results:
        job = answer.job.model_copy(update={"previous_results": {}})
        return fitting(_with_answer(reply, answer.model_copy(update={"job": job})), limit_bytes)
    return _with_answer(reply, Refusal(code="invalid", reason=_TOO_LARGE))


_TOO_LARGE = (
    "The answer is too large for a message of the broker. Ask for less, with --limit, or raise max_message_size in"
    " rabbitmq.conf."
)


def _with_answer(reply: Reply, answer: Answer) -> Reply:
    return Reply(replace(reply.outgoing, body=encode(answer), kind=answer.kind), answer)


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
    """Sends answers over channels of their own, one for large ones. Lives in the I/O thread."""

    def __init__(self, connection: Connection, inbox: Inbox) -> None:
        self._connection = connection
        self._inbox = inbox
        self._channel: Channel | None = None
        self._large_channel: Channel | None = None
        self._large: dict[str, Reply] = {}
        """Large answers that the broker has not confirmed yet, by correlation id."""
        self._together: dict[str, list[Outgoing]] = {}
        """Answers that leave at the end of this turn of the loop, by the address of their asker."""
        self._limit_bytes = _LARGEST_REPLY_BYTES
        self._held: dict[int, _HeldReply] = {}
        """Answers that wait, by the jobs whose tickets they wait for."""

    def open(self) -> None:
        """Open the channels, now and each time that one closes."""
        self._connection.assert_io_thread()
        self._connection.open_channel(self._opened, self._closed)
        self._connection.open_channel(self._large_opened, self._large_closed)

    def lost(self) -> None:
        """Forget the channels, and the answers that wait: who waits for them asks again."""
        self._connection.assert_io_thread()
        self._channel = self._large_channel = None
        self._large.clear()
        self._held.clear()

    def send(self, reply: Reply) -> None:
        self._connection.assert_io_thread()
        reply = fitting(reply, self._limit_bytes)
        if len(reply.outgoing.body) > _LARGE_REPLY_BYTES:
            self._large[reply.outgoing.correlation_id] = reply
            self._send_large(reply)
        elif reply.in_bundle:
            if not self._together:
                self._connection.run(self._send_together)
            self._together.setdefault(reply.outgoing.routing_key, []).append(reply.outgoing)
        elif self._channel is not None:
            self._channel.publish(reply.outgoing)

    def _send_together(self) -> None:
        together, self._together = self._together, {}
        for address, answers in together.items():
            size = 0
            bundle: list[Outgoing] = []
            for answer in answers:
                size += len(answer.body)
                if bundle and size > _LARGE_REPLY_BYTES:
                    self._publish(address, bundle)
                    size, bundle = len(answer.body), []
                bundle.append(answer)
            self._publish(address, bundle)

    def _publish(self, address: str, answers: list[Outgoing]) -> None:
        if self._channel is None:
            return
        if len(answers) == 1:
            self._channel.publish(answers[0])
            return
        body = answer_bundle_body((answer.correlation_id, answer.body) for answer in answers)
        self._channel.publish(Outgoing("", address, body, "answer_bundle", names.ANSWER_BUNDLE_ID, mandatory=False))

    def _send_large(self, reply: Reply) -> None:
        if self._large_channel is not None:
            self._large_channel.publish(reply.outgoing, lambda _outcome: self._confirmed(reply))

    def _confirmed(self, reply: Reply) -> None:
        self._large.pop(reply.outgoing.correlation_id, None)

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
        self._learn_limit(error)
        self._channel = None
        self._connection.open_channel(self._opened, self._closed)

    def _large_opened(self, channel: Channel) -> None:
        def _ready() -> None:
            self._large_channel = channel
            for reply in list(self._large.values()):
                self._send_large(reply)

        channel.confirm(_ready)

    def _large_closed(self, _channel: Channel, error: BrokerError) -> None:
        """Send again what was not confirmed, and a refusal in place of what is too large."""
        self._large_channel = None
        waiting, self._large = self._large, {}
        self._learn_limit(error)
        if isinstance(error, MessageSizeError):
            for reply in waiting.values():
                self.send(reply)
        else:
            _log.warning("Answers could not be sent: %s", error)
        self._connection.open_channel(self._large_opened, self._large_closed)

    def _learn_limit(self, error: BrokerError) -> None:
        if isinstance(error, MessageSizeError):
            self._limit_bytes = min(self._limit_bytes, error.limit_bytes)
