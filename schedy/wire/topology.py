"""The exchanges and queues of Schedy as plain data, with the arguments that every declaration must repeat.

No I/O here: `broker_setup` declares the fixed objects, the results service the jobs queue of an experiment. A
broker refuses a second declaration with other arguments, so every declaration takes them from here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from schedy.wire import names

Argument = str | int | bool

DELIVERY_LIMIT = 1_000_000_000
"""Returns of a message after which RabbitMQ drops it; 20 by default in RabbitMQ 4. Never -1: before 4.0 that drops it
at the first return."""

ONE_YEAR_MS = 31_536_000_000
"""Longer than any job holds a ticket. RabbitMQ 3.10 and 3.11 ignore it, 3.12 and later obey."""

REQUEST_TTL_MS = 10_000
"""Time after which an unanswered read expires: no client waits longer for its answer."""


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """A durable exchange."""

    name: str
    kind: Literal["topic", "direct", "fanout"]


@dataclass(frozen=True, kw_only=True)
class Queue:
    """A durable queue."""

    name: str
    arguments: Mapping[str, Argument]


@dataclass(frozen=True, kw_only=True)
class Binding:
    """A binding of a queue to an exchange."""

    exchange: str
    queue: str
    routing_key: str


def _quorum(**more: Argument) -> Mapping[str, Argument]:
    arguments: dict[str, Argument] = {
        "x-queue-type": "quorum",
        "x-delivery-limit": DELIVERY_LIMIT,
        "x-consumer-timeout": ONE_YEAR_MS,
        "x-overflow": "reject-publish",
    }
    arguments |= {f"x-{word.replace('_', '-')}": value for word, value in more.items()}
    return MappingProxyType(arguments)


def _never_losing(**more: Argument) -> Mapping[str, Argument]:
    """Return the arguments of a queue whose dead letters leave it only once the dead letter queue has them."""
    return _quorum(dead_letter_exchange=names.DEAD_EXCHANGE, dead_letter_strategy="at-least-once", **more)


INBOX = Exchange(name=names.INBOX_EXCHANGE, kind="topic")

EXCHANGES = (
    INBOX,
    Exchange(name=names.JOBS_EXCHANGE, kind="direct"),
    Exchange(name=names.DEAD_EXCHANGE, kind="fanout"),
)

REPORTS = Queue(name=names.REPORTS_QUEUE, arguments=_never_losing(single_active_consumer=True))
REQUESTS = Queue(name=names.REQUESTS_QUEUE, arguments=_quorum(message_ttl=REQUEST_TTL_MS))
"""Without a dead letter exchange: expired reads are dropped."""
DEAD = Queue(name=names.DEAD_QUEUE, arguments=_quorum())

QUEUES = (DEAD, REPORTS, REQUESTS)
"""The fixed queues, the dead letter queue first: the others dead-letter into it."""

BINDINGS = (
    Binding(exchange=names.DEAD_EXCHANGE, queue=names.DEAD_QUEUE, routing_key=""),
    *(
        Binding(exchange=names.INBOX_EXCHANGE, queue=names.REPORTS_QUEUE, routing_key=key)
        for key in names.REPORTS_BINDINGS
    ),
    *(
        Binding(exchange=names.INBOX_EXCHANGE, queue=names.REQUESTS_QUEUE, routing_key=key)
        for key in names.REQUESTS_BINDINGS
    ),
)


def store_exchange(broker_id: str) -> Exchange:
    """Return the exchange that names the broker of a store; the results service declares it."""
    return Exchange(name=names.STORE_EXCHANGE_PREFIX + broker_id, kind="fanout")


def jobs_queue(experiment_name: str) -> Queue:
    """Return the queue with the tickets of an experiment; the results service declares it."""
    return Queue(name=names.jobs_queue(experiment_name), arguments=_never_losing())


def jobs_binding(experiment_name: str) -> Binding:
    """Return the binding that routes the tickets of an experiment to its queue."""
    return Binding(
        exchange=names.JOBS_EXCHANGE,
        queue=names.jobs_queue(experiment_name),
        routing_key=experiment_name,
    )
