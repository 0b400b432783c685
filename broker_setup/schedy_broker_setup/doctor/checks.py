"""The checks of the broker, each with its remedy."""

from collections.abc import Iterator

from pika.adapters.blocking_connection import BlockingConnection

from schedy.amqp.errors import MISSING_REMEDY
from schedy.amqp.parameters import Address
from schedy.errors import BrokerError, SettingsError
from schedy.tls import NO_TLS_FILES, TlsFiles
from schedy.urls import split_urls
from schedy.wire import names
from schedy.wire.topology import EXCHANGES, QUEUES
from schedy_broker_setup.connecting import address_behind, addresses_of, open_connection, version_of
from schedy_broker_setup.doctor.check import Check, Status
from schedy_broker_setup.doctor.lost_queues import is_lost
from schedy_broker_setup.doctor.publishing import check_publishing
from schedy_broker_setup.inspection import ObjectState, Presence, QueueState, exchange_state, queue_state

OLDEST_VERSION = (3, 10)
FIRST_WITH_QUEUE_TIMEOUT = (3, 12)

MANY_REPORTS = 10_000
"""A backlog that takes the results service minutes."""


def broker_checks(urls: str, *, tls: TlsFiles = NO_TLS_FILES) -> list[Check]:
    """Check everything on the broker that this user can see; changes nothing, and a fault is no exception.

    Blocks for about ten seconds if the broker does not answer. What is hidden from this user is UNKNOWN, not FAILED.
    Consequences of a fault are left out: without a connection that is the only check. Of several URLs the first that
    answers is checked in full, the others only for an answer.
    """
    if len(split_urls(urls)) == 1:
        return _checks_of(urls, tls)
    nodes = {url: _node_check(url, tls) for url in split_urls(urls)}
    answering = [url for url, check in nodes.items() if check.status is Status.OK]
    return [*_checks_of(answering[0] if answering else urls, tls), *nodes.values()]


def _node_check(url: str, tls: TlsFiles) -> Check:
    """Check whether one of several nodes answers; no failure if not, since Schedy works while another does."""
    try:
        name = f"broker at {addresses_of(url)[0]}"
        with open_connection(url, purpose="doctor", tls=tls):
            return Check(name=name, status=Status.OK, detail="Answers.")
    except SettingsError as error:
        return Check(name="broker URL", status=Status.WARNING, detail=str(error))
    except BrokerError as error:
        return Check(name=name, status=Status.WARNING, detail=error.what, remedy=error.remedy)


def _checks_of(urls: str, tls: TlsFiles) -> list[Check]:
    checks: list[Check] = []
    try:
        with open_connection(urls, purpose="doctor", tls=tls) as connection:
            address = address_behind(connection)
            checks.append(_connected(address))
            checks.extend(_all_checks(connection, address))
            checks.extend(_lost_queues(connection, urls, tls))
    except SettingsError as error:
        checks.append(Check(name="broker URL", status=Status.FAILED, detail=str(error)))
    except BrokerError as error:
        checks.append(Check(name="broker", status=Status.FAILED, detail=error.what, remedy=error.remedy))
    return checks


def _all_checks(connection: BlockingConnection, address: Address) -> Iterator[Check]:
    yield check_version(version_of(connection))
    exchanges = {exchange.name: exchange_state(connection, exchange.name) for exchange in EXCHANGES}
    queues = {queue.name: queue_state(connection, queue.name) for queue in QUEUES}
    yield from (_presence(f"exchange {name}", state) for name, state in exchanges.items())
    yield from (_presence(f"queue {name}", state) for name, state in queues.items())
    if queues[names.REPORTS_QUEUE].presence is not Presence.MISSING:
        yield _service(queues[names.REPORTS_QUEUE])
        yield _backlog(queues[names.REPORTS_QUEUE])
    if queues[names.DEAD_QUEUE].presence is not Presence.MISSING:
        yield _dead_letters(queues[names.DEAD_QUEUE])
    if exchanges[names.INBOX_EXCHANGE].presence is not Presence.MISSING:
        yield check_publishing(connection, address)


def _lost_queues(connection: BlockingConnection, urls: str, tls: TlsFiles) -> Iterator[Check]:
    for queue in QUEUES:
        state = queue_state(connection, queue.name)
        looks_idle = state.presence is Presence.THERE and not state.messages and not state.consumers
        if looks_idle and is_lost(urls, queue.name, tls=tls):
            yield Check(
                name=f"lost queue {queue.name}",
                status=Status.FAILED,
                detail=f"RabbitMQ lists {queue.name}, but the queue neither takes nor delivers messages. This happens"
                " when a node is killed right after the queue was declared.",
                remedy="Restart RabbitMQ. If that does not help, the queue and its messages are lost (in a new"
                f" installation there are none): delete it, in the management UI or by rabbitmqctl delete_queue"
                f" {queue.name}, and run `schedy broker setup`.",
            )


def _connected(address: Address) -> Check:
    return Check(
        name="broker",
        status=Status.OK,
        detail=f"Connected to {address}, vhost {address.vhost}, user {address.user}, "
        f"{'with' if address.tls else 'without'} TLS.",
    )


def check_version(version: str) -> Check:
    """Check a RabbitMQ version such as 3.10.8."""
    number = _number(version)
    name = "broker version"
    if not number:
        return Check(
            name=name,
            status=Status.UNKNOWN,
            detail=f"The broker reports the version {version!r}.",
            remedy="Schedy needs RabbitMQ 3.10 or later; is this another AMQP broker?",
        )
    if number < OLDEST_VERSION:
        return Check(
            name=name,
            status=Status.FAILED,
            detail=f"RabbitMQ {version} is too old: its quorum queues lack features that Schedy needs.",
            remedy="Upgrade RabbitMQ to 3.10 or later.",
        )
    if number < FIRST_WITH_QUEUE_TIMEOUT:
        return Check(
            name=name,
            status=Status.WARNING,
            detail=f"RabbitMQ {version} has one consumer_timeout for all queues, 30 minutes by default.",
            remedy="Schedy works with the default: a worker acknowledges its ticket after 20 minutes, and the job goes"
            " on for days. Raise consumer_timeout in rabbitmq.conf only if you raise ticket_hold_seconds.",
        )
    return Check(name=name, status=Status.OK, detail=f"RabbitMQ {version}.")


def _number(version: str) -> tuple[int, ...]:
    words = version.split(".")[:2]
    return tuple(int(word) for word in words) if all(word.isdecimal() for word in words) else ()


def _presence(name: str, state: ObjectState) -> Check:
    match state.presence:
        case Presence.THERE:
            return Check(name=name, status=Status.OK, detail="Exists.")
        case Presence.MISSING:
            return Check(
                name=name,
                status=Status.FAILED,
                detail=f"Missing or down ({state.refusal}).",
                remedy=f"{MISSING_REMEDY} If that does not help, see RabbitMQ's log.",
            )
        case Presence.HIDDEN:
            return _hidden(name, state)


def _hidden(name: str, state: ObjectState) -> Check:
    return Check(
        name=name,
        status=Status.UNKNOWN,
        detail=f"Hidden from this user ({state.refusal}).",
        remedy="Run `schedy doctor` with the broker URL of the service user or of an administrator.",
    )


def _service(reports: QueueState) -> Check:
    name = "results service"
    if reports.presence is Presence.HIDDEN:
        return _hidden(name, reports)
    if reports.consumers == 0:
        return Check(
            name=name,
            status=Status.FAILED,
            detail="No results service takes reports: running jobs go on, but no job starts and nothing new is stored.",
            remedy="Run `schedy serve` (or `schedy up`) on a machine that reaches the store. If one runs, its log says"
            " what it waits for: the database, or room on its disk.",
        )
    return Check(name=name, status=Status.OK, detail="An instance is active.")  # waiting ones are not counted


def _backlog(reports: QueueState) -> Check:
    name = "waiting reports"
    if reports.presence is Presence.HIDDEN:
        return _hidden(name, reports)
    detail = f"Messages in {names.REPORTS_QUEUE}: {reports.messages}."
    if reports.messages < MANY_REPORTS:
        return Check(name=name, status=Status.OK, detail=detail)
    return Check(
        name=name,
        status=Status.WARNING,
        detail=f"{detail} The results service is behind.",
        remedy="See its log, and the load of the database. No report is lost.",
    )


def _dead_letters(dead: QueueState) -> Check:
    name = "dead letters"
    if dead.presence is Presence.HIDDEN:
        return _hidden(name, dead)
    if dead.messages == 0:
        return Check(name=name, status=Status.OK, detail="None.")
    return Check(
        name=name,
        status=Status.WARNING,
        detail=f"Messages that could not be processed, in queue {names.DEAD_QUEUE}: {dead.messages}.",
        remedy="`schedy dead` lists them with their reasons. `schedy dead replay --all` replays them once the cause is"
        " fixed; `schedy dead drop` deletes those that are not needed.",
    )
