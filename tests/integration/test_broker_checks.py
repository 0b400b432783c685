"""What `schedy doctor` says about a real broker, and about one that is not there."""

import socket
import ssl
import subprocess
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from pika import BasicProperties

from schedy.errors import PermissionDeniedError, SettingsError, TopologyMissingError
from schedy.wire import names
from schedy.wire.topology import EXCHANGES, QUEUES
from schedy_broker_setup.connecting import addresses_of, open_connection
from schedy_broker_setup.dead_letters import DeadLetter, dead_letters
from schedy_broker_setup.declaring import setup
from schedy_broker_setup.doctor.check import Check, Status
from schedy_broker_setup.doctor.checks import broker_checks, check_version
from schedy_broker_setup.management import Management
from schedy_broker_setup.permissions import NOTHING, Permissions, Role, User
from schedy_broker_setup.users import create_users
from tests.conftest import Node, OwnNode
from tests.node_control import forget_queue, suspend_queue

PASSWORD = "not-to-be-shown"


def _by_name(checks: list[Check]) -> dict[str, Check]:
    assert len({check.name for check in checks}) == len(checks)
    return {check.name: check for check in checks}


def _only(checks: list[Check]) -> Check:
    assert len(checks) == 1
    assert PASSWORD not in str(checks)
    return checks[0]


@pytest.fixture
def user_url(node: Node, vhost_url: str) -> Iterator[str]:
    """URL of a user without permissions in the vhost; the topology is there."""
    management = Management(node.management_url)
    setup(vhost_url)
    name = f"user-{uuid.uuid4().hex[:8]}"
    management.put_user(name, password=PASSWORD)
    vhost = vhost_url.rsplit("/", 1)[1]
    management.put_permissions(vhost, name, Permissions(configure=NOTHING, write=NOTHING, read=NOTHING))
    yield f"amqp://{name}:{PASSWORD}@{vhost_url.split('@', 1)[1]}"
    management.delete_user(name)


@pytest.fixture
def free_port() -> Iterator[int]:
    """A port that nobody listens on, held so that nobody will."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def test_a_broker_that_was_set_up_passes_but_for_the_service(vhost_url: str) -> None:
    setup(vhost_url)

    checks = _by_name(broker_checks(vhost_url))

    assert [name for name, check in checks.items() if check.status is Status.FAILED] == ["results service"]
    assert "schedy serve" in checks["results service"].remedy
    objects = [f"exchange {each.name}" for each in EXCHANGES] + [f"queue {each.name}" for each in QUEUES]
    assert all(checks[name].status is Status.OK for name in objects)
    assert checks["dead letters"].status is Status.OK
    assert "reports, changes, requests, service messages" in checks["permissions"].detail


def test_the_checks_send_nothing(vhost_url: str) -> None:
    setup(vhost_url)
    broker_checks(vhost_url)
    with open_connection(vhost_url, purpose="test") as connection:
        channel = connection.channel()
        assert [channel.queue_declare(queue.name, passive=True).method.message_count for queue in QUEUES] == [0] * len(
            QUEUES
        )


def test_a_consumer_of_reports_is_the_service(vhost_url: str) -> None:
    setup(vhost_url)
    with open_connection(vhost_url, purpose="serve") as connection:
        connection.channel().basic_consume(names.REPORTS_QUEUE, lambda *_: None)
        check = _by_name(broker_checks(vhost_url))["results service"]
    assert check.status is Status.OK


def test_an_empty_vhost_needs_setup(vhost_url: str) -> None:
    checks = broker_checks(vhost_url)

    failed = [check for check in checks if check.status is Status.FAILED]
    assert len(failed) == len(EXCHANGES) + len(QUEUES)
    assert all("schedy broker setup" in check.remedy for check in failed)


def test_waiting_reports_are_counted(vhost_url: str) -> None:
    setup(vhost_url)
    with open_connection(vhost_url, purpose="test") as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for _ in range(3):
            channel.basic_publish(names.INBOX_EXCHANGE, "report.finish", b"", mandatory=True)

    assert "schedy.reports: 3" in _by_name(broker_checks(vhost_url))["waiting reports"].detail


def test_dead_letters_are_a_warning_and_can_be_looked_at_again_and_again(vhost_url: str) -> None:
    setup(vhost_url)
    with open_connection(vhost_url, purpose="test") as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        headers = {names.DEAD_REASON_HEADER: "not JSON", names.DEAD_SOURCE_HEADER: "report.finish"}
        properties = BasicProperties(headers=headers, type="finish", message_id="fVKGjg")
        channel.basic_publish(names.DEAD_EXCHANGE, "", b"\xff" * 300, properties, mandatory=True)
        channel.basic_publish(names.DEAD_EXCHANGE, "", b"second", mandatory=True)

    check = _by_name(broker_checks(vhost_url))["dead letters"]
    assert check.status is Status.WARNING
    assert "schedy.dead: 2" in check.detail
    first = DeadLetter(
        number=1,
        reason="not JSON",
        routing_key="report.finish",
        exchange=names.INBOX_EXCHANGE,
        kind="finish",
        message_id="fVKGjg",
        user="",
        at=None,
        body="\N{REPLACEMENT CHARACTER}" * 200,
        content=b"\xff" * 300,
    )
    assert dead_letters(vhost_url, limit=1) == [first]
    assert [letter.body for letter in dead_letters(vhost_url)] == [first.body, "second"]


def test_dead_letters_need_permissions_and_a_queue(vhost_url: str, user_url: str) -> None:
    with pytest.raises(PermissionDeniedError, match=r"may not read schedy\.dead"):
        dead_letters(user_url)
    with open_connection(vhost_url, purpose="test") as connection:
        connection.channel().queue_delete(names.DEAD_QUEUE)
    with pytest.raises(TopologyMissingError, match="schedy broker setup"):
        dead_letters(vhost_url)


def test_a_user_without_permissions_is_told_so_and_what_it_cannot_see_is_not_failed(user_url: str) -> None:
    checks = _by_name(broker_checks(user_url))

    assert checks["permissions"].status is Status.FAILED
    assert "may publish nothing" in checks["permissions"].detail
    seen = {check.status for name, check in checks.items() if name.startswith(("exchange", "queue"))}
    assert seen <= {Status.OK, Status.UNKNOWN}
    assert PASSWORD not in str(checks)


@pytest.mark.parametrize("queue", [names.REPORTS_QUEUE, names.DEAD_QUEUE])
@pytest.mark.parametrize("fault", ["gone", "silent"])
def test_a_queue_that_the_broker_has_lost_is_told_with_the_remedy(
    breakable_node: OwnNode, breakable_url: str, queue: str, fault: str
) -> None:
    setup(breakable_url)
    assert not [check.name for check in broker_checks(breakable_url) if check.name.startswith("lost")]
    if fault == "gone":
        forget_queue(breakable_node, breakable_url, queue)
    else:
        suspend_queue(breakable_node, breakable_url, queue)
    checks = _by_name(broker_checks(breakable_url))
    lost = [name for name in checks if name.startswith("lost")]
    assert lost == [f"lost queue {queue}"]
    assert checks[lost[0]].status is Status.FAILED
    assert f"rabbitmqctl delete_queue {queue}" in checks[lost[0]].remedy


@pytest.mark.parametrize("role", Role)
def test_the_permissions_of_a_role_are_recognised(node: Node, vhost_url: str, role: Role) -> None:
    setup(vhost_url)
    management = Management(node.management_url)
    user = User(name=f"{role.value}-{uuid.uuid4().hex[:8]}", role=role, password=PASSWORD)
    create_users(management, [user], vhost=vhost_url.rsplit("/", 1)[1])
    try:
        url = f"amqp://{user.name}:{PASSWORD}@{vhost_url.split('@', 1)[1]}"
        check = _by_name(broker_checks(url))["permissions"]
    finally:
        management.delete_user(user.name)
    assert check.status is Status.OK
    assert f"the role {role.value}" in check.detail


def test_nobody_listens(free_port: int) -> None:
    check = _only(broker_checks(f"amqp://user:{PASSWORD}@127.0.0.1:{free_port}/%2F"))
    assert check.status is Status.FAILED
    assert f"127.0.0.1:{free_port}" in check.detail
    assert "Start RabbitMQ" in check.remedy


def test_the_password_is_wrong(vhost_url: str) -> None:
    host = vhost_url.split("@", 1)[1]
    check = _only(broker_checks(f"amqp://guest:{PASSWORD}@{host}"))
    assert "refused the login of user 'guest'" in check.detail
    assert "whom this broker does not let in" in check.remedy


def test_the_vhost_is_missing(vhost_url: str) -> None:
    check = _only(broker_checks(f"{vhost_url}-missing"))
    assert "has no vhost" in check.detail
    assert "rabbitmqctl add_vhost" in check.remedy


def test_tls_is_asked_of_the_plain_port(vhost_url: str) -> None:
    check = _only(broker_checks(vhost_url.replace("amqp://", "amqps://")))
    assert "No TLS connection" in check.detail
    assert "write amqp://" in check.remedy


def test_the_port_is_another_services(node: Node) -> None:
    port = node.management_url.rsplit(":", 1)[1]
    check = _only(broker_checks(f"amqp://user:{PASSWORD}@127.0.0.1:{port}/%2F"))
    assert "does not speak plain AMQP" in check.detail


def test_the_host_is_unknown() -> None:
    check = _only(broker_checks(f"amqp://user:{PASSWORD}@no-such-host.invalid/%2F"))
    assert "no-such-host.invalid:5672: the host name is unknown" in check.detail


def test_the_certificate_is_not_trusted(tmp_path: Path) -> None:
    with _TlsServer(tmp_path) as port:
        check = _only(broker_checks(f"amqps://user:{PASSWORD}@localhost:{port}/%2F"))
    assert "is not trusted" in check.detail
    assert "SCHEDY_BROKER_CA_FILE" in check.remedy


@pytest.mark.parametrize(
    "url",
    [
        f"http://user:{PASSWORD}@host/",
        f"amqp://user:{PASSWORD}@host:port/",
        f"amqp://user:{PASSWORD}/@host/",
        f"amqp://user:1?{PASSWORD}@host/",
        f"amqp:///{PASSWORD}",
        "",
    ],
)
def test_a_url_that_cannot_be_read_is_not_repeated(url: str) -> None:
    with pytest.raises(SettingsError, match="Set SCHEDY_BROKER_URL to amqp://USER"):
        addresses_of(url)
    assert "cannot be used" in _only(broker_checks(url)).detail


@pytest.mark.parametrize(
    ("version", "status"),
    [
        ("3.9.29", Status.FAILED),
        ("3.10.8", Status.WARNING),
        ("3.11.28", Status.WARNING),
        ("3.12.0", Status.OK),
        ("4.4.1", Status.OK),
        ("4.5.0-rc.1", Status.OK),
        ("", Status.UNKNOWN),
        ("LavinMQ", Status.UNKNOWN),
    ],
)
def test_versions(version: str, status: Status) -> None:
    check = check_version(version)
    assert check.status is status
    assert (check.remedy == "") == (status is Status.OK)


class _TlsServer:
    """Shakes hands with one client, with a certificate that nobody signed."""

    def __init__(self, folder: Path) -> None:
        command = "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -keyout key.pem -out cert.pem"
        subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> int:
        self._thread.start()
        return int(self._listener.getsockname()[1])

    def __exit__(self, *_: object) -> None:
        self._thread.join(timeout=10)
        self._listener.close()

    def _serve(self) -> None:
        client, _ = self._listener.accept()
        with client, pytest.raises(ssl.SSLError), self._context.wrap_socket(client, server_side=True):
            pass
