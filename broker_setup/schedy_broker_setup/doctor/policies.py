"""The policies that the broker's owner has set on Schedy's queues, and what they do to them.

Numbers of a policy hold beside those of a queue's own arguments: RabbitMQ takes the smaller one. Other keys hold only
where the queue has no argument of its own.
"""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from urllib.parse import urlsplit

from schedy.errors import ManagementError
from schedy.tls import NO_TLS_FILES, TlsFiles
from schedy.urls import split_urls
from schedy.wire import names
from schedy.wire.topology import DELIVERY_LIMIT, ONE_YEAR_MS
from schedy_broker_setup.doctor.check import Check, Status
from schedy_broker_setup.management import Management, QueuePolicy

MANAGEMENT_PORT = 15672
_PATIENCE_SECONDS = 3.0
_JOBS = names.JOBS_QUEUE_PREFIX

_DOES: Mapping[tuple[str, str], tuple[Status, str]] = MappingProxyType(
    {
        ("expires", names.REPORTS_QUEUE): (
            Status.FAILED,
            "{queue} is deleted, with the reports and pushes in it, when no results service runs for {seconds:g} s.",
        ),
        ("expires", names.DEAD_QUEUE): (
            Status.FAILED,
            "{queue} is deleted, with the dead letters in it, every {seconds:g} s: nobody consumes it.",
        ),
        ("expires", names.REQUESTS_QUEUE): (Status.WARNING, "{queue} is deleted when no results service runs."),
        ("expires", _JOBS): (
            Status.WARNING,
            "The queue of an experiment without workers is deleted after {seconds:g} s; its tickets are published again"
            " later.",
        ),
        ("message-ttl", names.REPORTS_QUEUE): (
            Status.FAILED,
            "Reports and pushes that wait for {seconds:g} s become dead letters, and are not stored.",
        ),
        ("message-ttl", names.DEAD_QUEUE): (Status.WARNING, "Dead letters are lost after {seconds:g} s."),
        ("message-ttl", _JOBS): (
            Status.FAILED,
            "Tickets of jobs that wait for {seconds:g} s become dead letters: workers hear that no job is left,"
            " until they are published again.",
        ),
        ("max-length", names.REPORTS_QUEUE): (
            Status.WARNING,
            "Reports and pushes wait at their senders while {queue} has {value:,} messages.",
        ),
        ("max-length-bytes", names.REPORTS_QUEUE): (
            Status.WARNING,
            "Reports and pushes wait at their senders while {queue} has {value:,} bytes.",
        ),
        ("max-length", names.DEAD_QUEUE): (
            Status.WARNING,
            "Messages that cannot be processed stay in their queues once {queue} has {value:,}.",
        ),
        ("max-length-bytes", names.DEAD_QUEUE): (
            Status.WARNING,
            "Messages that cannot be processed stay in their queues once {queue} has {value:,} bytes.",
        ),
        ("delivery-limit", names.REPORTS_QUEUE): (
            Status.FAILED,
            "Reports become dead letters once the results service has lost its connection {value:,} times over them.",
        ),
        ("delivery-limit", _JOBS): (
            Status.WARNING,
            "Tickets become dead letters once they were given back {value:,} times.",
        ),
        ("consumer-timeout", names.REPORTS_QUEUE): (
            Status.WARNING,
            "The results service loses its channel when it stores a batch for longer than {seconds:g} s.",
        ),
        ("consumer-timeout", _JOBS): (
            Status.WARNING,
            "Workers lose their channels when they hold a ticket for more than {seconds:g} s; ticket_hold_seconds must"
            " be less.",
        ),
    }
)
"""By key of a policy and queue (or the prefix of the jobs queues)."""

_HARMLESS_FROM: Mapping[str, float] = MappingProxyType(
    {"delivery-limit": DELIVERY_LIMIT, "consumer-timeout": ONE_YEAR_MS, "expires": ONE_YEAR_MS}
)
"""Values from which on a policy changes nothing."""


def policy_checks(queues: Iterable[QueuePolicy]) -> Iterator[Check]:
    """Say what the policies on Schedy's queues do; one check for each policy, and one if there is none."""
    effects: dict[str, dict[str, Status]] = {}
    for queue in queues:
        if queue.policy and queue.name.startswith("schedy."):
            found = effects.setdefault(queue.policy, {})
            found |= {text: status for status, text in _effects(queue)}
    if not effects:
        yield Check(name="policies", status=Status.OK, detail="None on Schedy's queues.")
    for policy, found in sorted(effects.items()):
        yield _check(policy, found)


def _check(policy: str, found: Mapping[str, Status]) -> Check:
    name = f"policy {policy}"
    if not found:
        return Check(name=name, status=Status.OK, detail="Holds for queues of Schedy, and does no harm.")
    status = Status.FAILED if Status.FAILED in found.values() else Status.WARNING
    return Check(
        name=name,
        status=status,
        detail=" ".join(found),
        remedy="Set the pattern of the policy so that it leaves out the queues that begin with schedy., or take these"
        " keys out of it (docs/cluster.md, Policies).",
    )


def _effects(queue: QueuePolicy) -> Iterator[tuple[Status, str]]:
    kind = _JOBS if queue.name.startswith(_JOBS) else queue.name
    for key, value in queue.definition.items():
        effect = _DOES.get((key, kind))
        if effect is None or not isinstance(value, int) or value >= _HARMLESS_FROM.get(key, float("inf")):
            continue
        yield effect[0], effect[1].format(queue=queue.name, value=value, seconds=value / 1000)


def check_policies(management_url: str, *, vhost: str, tls: TlsFiles = NO_TLS_FILES) -> list[Check]:
    """Ask the management API for the policies on Schedy's queues; UNKNOWN if it does not tell.

    Raises SettingsError for a URL that cannot be used.
    """
    management = Management(management_url, timeout_s=_PATIENCE_SECONDS, tls=tls)
    try:
        return list(policy_checks(management.queue_policies(vhost)))
    except ManagementError as error:
        return [
            Check(
                name="policies",
                status=Status.UNKNOWN,
                detail=f"Hidden from here: {error.what}",
                remedy="To check them, set SCHEDY_MANAGEMENT_URL to http://USER:PASSWORD@HOST:15672, of a user with the"
                " tag `monitoring`.",
            )
        ]


def management_url_beside(broker_url: str) -> str | None:
    """Return where the management API usually is, for the user of a broker URL; None for a broker with TLS.

    The password of that one is not sent without TLS.
    """
    parts = urlsplit(split_urls(broker_url)[0])
    if parts.scheme != "amqp":
        return None
    login, at, host = parts.netloc.rpartition("@")
    host = host if host.startswith("[") and host.endswith("]") else host.rpartition(":")[0] or host
    return f"http://{login}{at}{host or '127.0.0.1'}:{MANAGEMENT_PORT}"
