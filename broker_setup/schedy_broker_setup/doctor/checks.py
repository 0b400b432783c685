"""What `schedy doctor` can find out about the broker, and how to mend it."""

from collections.abc import Iterator

from pika.adapters.blocking_connection import BlockingConnection
from pika.exceptions import AMQPChannelError

from schedy.settings import NO_TLS_FILES, TlsFiles, split_urls
from schedy.wire import names
from schedy.wire.topology import EXCHANGES, QUEUES
from schedy_broker_setup.connecting import Address, address_behind, addresses_of, open_connection, version_of
from schedy_broker_setup.doctor.check import Check, Status
from schedy_broker_setup.doctor.lost_queues import is_lost
from schedy_broker_setup.doctor.rights import check_rights
from schedy_broker_setup.errors import BadUrlError, BrokerSetupError
from schedy_broker_setup.inspection import Presence, QueueState, look_at_exchange, look_at_queue

OLDEST_VERSION = (3, 10)
FIRST_WITH_QUEUE_TIMEOUT = (3, 12)

MANY_REPORTS = 10_000
"""So many waiting reports are minutes of work for the results service."""


def broker_checks(urls: str, *, tls: TlsFiles = NO_TLS_FILES) -> list[Check]:
    """Look at everything on the broker that this user can see; changes nothing, and a fault is no exception.

    Blocks for ten seconds or so where the broker does not answer. What these rights do not show is UNKNOWN,
    not FAILED. What follows from a fault is left out: without a connection that is the only check. Of several
    URLs the first that answers is looked at; the others are only asked whether they answer.
    """
    if len(split_urls(urls)) == 1:
        return _checks_of(urls, tls)
    nodes = {url: _node_check(url, tls) for url in split_urls(urls)}
    answering = [url for url, check in nodes.items() if check.outcome is Status.OK]
    return [*_checks_of(answering[0] if answering else urls, tls), *nodes.values()]


def _node_check(url: str, tls: TlsFiles) -> Check:
    """Whether one node of several answers: Schedy works while another does."""
    try:
        name = f"broker at {addresses_of(url)[0]}"
        with open_connection(url, purpose="doctor", tls=tls):
            return Check(name=name, outcome=Status.OK, detail="Answers.")
    except BadUrlError as error:
        return Check(name="broker URL", outcome=Status.WARNING, detail=error.what, remedy=error.remedy)
    except BrokerSetupError as error:
        return Check(name=name, outcome=Status.WARNING, detail=error.what, remedy=error.remedy)


def _checks_of(urls: str, tls: TlsFiles) -> list[Check]:
    checks: list[Check] = []
    try:
        with open_connection(urls, purpose="doctor", tls=tls) as connection:
            address = address_behind(connection)
            checks.append(_connected(address))
            checks.extend(_all_checks(connection, address))
            checks.extend(_lost_queues(connection, urls, tls))
    except BrokerSetupError as error:
        checks.append(Check(name="broker", outcome=Status.FAILED, detail=error.what, remedy=error.remedy))
    except AMQPChannelError as error:
        checks.append(
            Check(
                name="broker",
                outcome=Status.FAILED,
                detail=f"The broker answered in a way that Schedy does not know ({error}).",
                remedy="Look at the broker's log.",
            )
        )
    return checks


def _all_checks(connection: BlockingConnection, address: Address) -> Iterator[Check]:
    yield check_version(version_of(connection))
    exchanges = {exchange.name: look_at_exchange(connection, exchange.name) for exchange in EXCHANGES}
    queues = {queue.name: look_at_queue(connection, queue.name) for queue in QUEUES}
    yield from (_present(f"exchange {name}", sight) for name, sight in exchanges.items())
    yield from (_present(f"queue {name}", sight) for name, sight in queues.items())
    if queues[names.REPORTS_QUEUE].presence is not Presence.MISSING:
        yield _service(queues[names.REPORTS_QUEUE])
        yield _backlog(queues[names.REPORTS_QUEUE])
    if queues[names.DEAD_QUEUE].presence is not Presence.MISSING:
        yield _dead_letters(queues[names.DEAD_QUEUE])
    if exchanges[names.INBOX_EXCHANGE].presence is not Presence.MISSING:
        yield check_rights(connection, address)


def _lost_queues(connection: BlockingConnection, urls: str, tls: TlsFiles) -> Iterator[Check]:
    for queue in QUEUES:
        sight = look_at_queue(connection, queue.name)
        looks_idle = sight.presence is Presence.THERE and not sight.messages and not sight.consumers
        if looks_idle and is_lost(urls, queue.name, tls=tls):
            yield Check(
                name=f"lost queue {queue.name}",
                outcome=Status.FAILED,
                detail=f"RabbitMQ knows {queue.name}, but it neither takes nor gives messages. So it is when the node"
                " was killed right after the queue was made.",
                remedy="Restart RabbitMQ. If it stays so, what was in the queue is gone; in a fresh installation that"
                f" is nothing. Delete it (rabbitmqctl delete_queue {queue.name}) and run `schedy broker setup`.",
            )


def _connected(address: Address) -> Check:
    return Check(
        name="broker",
        outcome=Status.OK,
        detail=f"Connected to {address}, vhost {address.vhost}, user {address.user}, "
        f"{'with' if address.tls else 'without'} TLS.",
    )


def check_version(version: str) -> Check:
    """Judge a RabbitMQ version such as 3.10.8."""
    number = _number(version)
    name = "broker version"
    if not number:
        return Check(
            name=name,
            outcome=Status.UNKNOWN,
            detail=f"The broker calls its version {version!r}.",
            remedy="Schedy needs RabbitMQ 3.10 or later; is this another AMQP broker?",
        )
    if number < OLDEST_VERSION:
        return Check(
            name=name,
            outcome=Status.FAILED,
            detail=f"RabbitMQ {version} is too old: its quorum queues lack what Schedy relies on.",
            remedy="Upgrade RabbitMQ to 3.10 or later.",
        )
    if number < FIRST_WITH_QUEUE_TIMEOUT:
        return Check(
            name=name,
            outcome=Status.WARNING,
            detail=f"RabbitMQ {version} has one consumer_timeout for all queues, 30 minutes unless set.",
            remedy="Schedy does not need it raised: a worker acknowledges its ticket after 20 minutes, and "
            "the job goes on for days. Raise it in rabbitmq.conf only if you set those 20 minutes longer.",
        )
    return Check(name=name, outcome=Status.OK, detail=f"RabbitMQ {version}.")


def _number(version: str) -> tuple[int, ...]:
    words = version.split(".")[:2]
    return tuple(int(word) for word in words) if all(word.isdecimal() for word in words) else ()


def _present(what: str, sight: QueueState) -> Check:
    match sight.presence:
        case Presence.THERE:
            return Check(name=what, outcome=Status.OK, detail="There.")
        case Presence.MISSING:
            return Check(
                name=what,
                outcome=Status.FAILED,
                detail=f"Not usable ({sight.said}).",
                remedy="Run `schedy broker setup`; if it finds nothing missing, look at the broker's log.",
            )
        case Presence.HIDDEN:
            return _unknown(what, sight)


def _unknown(what: str, sight: QueueState) -> Check:
    return Check(
        name=what,
        outcome=Status.UNKNOWN,
        detail=f"Not to be seen with this user's rights ({sight.said}).",
        remedy="Run `schedy doctor` with the broker URL of the service user or of an administrator.",
    )


def _service(reports: QueueState) -> Check:
    name = "results service"
    if reports.presence is Presence.HIDDEN:
        return _unknown(name, reports)
    if reports.consumers == 0:
        return Check(
            name=name,
            outcome=Status.FAILED,
            detail="No results service is running: jobs go on, but none starts and nothing new is stored.",
            remedy="Run `schedy serve` (`schedy up` does), on a machine that reaches the store.",
        )
    return Check(name=name, outcome=Status.OK, detail="An instance is active.")  # waiting ones are not counted


def _backlog(reports: QueueState) -> Check:
    name = "waiting reports"
    if reports.presence is Presence.HIDDEN:
        return _unknown(name, reports)
    detail = f"Messages in {names.REPORTS_QUEUE}: {reports.messages}."
    if reports.messages < MANY_REPORTS:
        return Check(name=name, outcome=Status.OK, detail=detail)
    return Check(
        name=name,
        outcome=Status.WARNING,
        detail=f"{detail} The results service is behind.",
        remedy="Look at its log, and at the load of the store's database. Nothing is lost meanwhile.",
    )


def _dead_letters(dead: QueueState) -> Check:
    name = "dead letters"
    if dead.presence is Presence.HIDDEN:
        return _unknown(name, dead)
    if dead.messages == 0:
        return Check(name=name, outcome=Status.OK, detail="None.")
    return Check(
        name=name,
        outcome=Status.WARNING,
        detail=f"Messages that could not be handled, in queue {names.DEAD_QUEUE}: {dead.messages}.",
        remedy="`schedy dead` lists them with their reasons. Once the cause is mended: `schedy dead replay --all`; "
        "what nobody needs: `schedy dead drop`.",
    )
