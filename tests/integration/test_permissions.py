"""What each of Schedy's users may and may not do, asked of a real broker."""

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner
from pika import BasicProperties
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import ChannelClosedByBroker

from schedy.errors import AuthenticationError, ManagementError, PermissionDeniedError, SettingsError
from schedy.wire import names
from schedy.wire.topology import BINDINGS, EXCHANGES, QUEUES, jobs_binding, jobs_queue
from schedy_broker_setup.connecting import open_connection
from schedy_broker_setup.dead_letters import dead_letters
from schedy_broker_setup.declaring import bind, declare_queue, setup
from schedy_broker_setup.definitions_file import definitions
from schedy_broker_setup.management import Management
from schedy_broker_setup.permissions import Permissions, Role, User, is_hash_of, password_hash, users_from
from schedy_broker_setup.users import create_users
from schedy_cli.commands.broker import broker_command
from tests.conftest import Node
from tests.support import wait_until

TICKETS = names.jobs_queue("Tuning")
PASSWORD = "a:p@ss/wörd"
PASSWORD_IN_URL = "a%3Ap%40ss%2Fw%C3%B6rd"


@dataclass(frozen=True)
class Cluster:
    """A vhost with the topology, one experiment's queue and the three users, under names of their own."""

    admin_url: str
    vhost: str
    users: dict[Role, User]

    def url(self, role: Role) -> str:
        host = self.admin_url.split("@", 1)[1]
        return f"amqp://{self.users[role].name}:{PASSWORD_IN_URL}@{host}"


@pytest.fixture
def management(node: Node) -> Management:
    return Management(node.management_url)


@pytest.fixture
def users(management: Management) -> Iterator[dict[Role, User]]:
    mark = uuid.uuid4().hex[:8]
    users = {role: User(name=f"{role.value}-{mark}", role=role, password=PASSWORD) for role in Role}
    yield users
    for user in users.values():
        management.delete_user(user.name)


@pytest.fixture
def cluster(vhost_url: str, management: Management, users: dict[Role, User]) -> Cluster:
    vhost = vhost_url.rsplit("/", 1)[1]
    create_users(management, users.values(), vhost=vhost)
    setup(vhost_url)
    with open_connection(vhost_url, purpose="test") as connection:
        declare_queue(connection, jobs_queue("Tuning"))
        bind(connection, jobs_binding("Tuning"))
    return Cluster(admin_url=vhost_url, vhost=vhost, users=users)


def _send(channel: BlockingChannel, exchange: str, key: str) -> None:
    channel.confirm_delivery()
    channel.basic_publish("" if exchange == "default" else exchange, key, b"")


def _consume(channel: BlockingChannel, queue: str) -> None:
    channel.basic_consume(queue, lambda *_: None, auto_ack=queue == names.REPLY_QUEUE)


VERBS: dict[str, Callable[..., object]] = {
    "declare": partial(BlockingChannel.queue_declare, durable=True),
    "declare-own": lambda channel: channel.queue_declare("", exclusive=True),
    "declare-exchange": BlockingChannel.exchange_declare,
    "delete": BlockingChannel.queue_delete,
    "delete-exchange": BlockingChannel.exchange_delete,
    "bind": BlockingChannel.queue_bind,
    "unbind": BlockingChannel.queue_unbind,
    "bind-exchange": BlockingChannel.exchange_bind,
    "get": BlockingChannel.basic_get,
    "purge": BlockingChannel.queue_purge,
    "consume": _consume,
    "send": _send,
}


def _do(channel: BlockingChannel, action: str) -> None:
    verb, *words = action.split()
    VERBS[verb](channel, *words)


FIXED_QUEUES = [queue.name for queue in QUEUES]
EVERYONE_MAY = [f"consume {names.REPLY_QUEUE}"]
NO_CLIENT_MAY = [
    "declare other",
    "declare schedy.jobs.Mine",
    "declare-own",
    "declare-exchange other",
    "declare-exchange schedy.other",
    *(f"delete {queue}" for queue in (*FIXED_QUEUES, TICKETS)),
    *(f"delete-exchange {exchange.name}" for exchange in EXCHANGES),
    f"bind {TICKETS} {names.INBOX_EXCHANGE} report.#",
    f"bind {TICKETS} {names.JOBS_EXCHANGE} Other",
    f"bind {names.REPORTS_QUEUE} {names.JOBS_EXCHANGE} Tuning",
    f"unbind {TICKETS} {names.JOBS_EXCHANGE} Tuning",
    f"unbind {names.REPORTS_QUEUE} {names.INBOX_EXCHANGE} report.#",
    f"bind-exchange {names.INBOX_EXCHANGE} {names.JOBS_EXCHANGE} x",
    *(f"{verb} {queue}" for verb in ("get", "consume", "purge") for queue in FIXED_QUEUES),
    f"send {names.JOBS_EXCHANGE} Tuning",
    f"send {names.DEAD_EXCHANGE} x",
    *(f"send default {queue}" for queue in (*FIXED_QUEUES, TICKETS)),
    "send default amq.rabbitmq.reply-to.another",
    *(f"send {exchange} report.claim" for exchange in ("amq.topic", "amq.direct", "amq.fanout", "amq.headers")),
    *(f"send {names.INBOX_EXCHANGE} {key}" for key in ("service.tick", "other", "report", "reportx.claim")),
    f"send {names.INBOX_EXCHANGE} x.report.claim",
]
MAY = {
    Role.WORKER: [
        f"send {names.INBOX_EXCHANGE} report.claim",
        f"send {names.INBOX_EXCHANGE} request.experiment",
        f"get {TICKETS}",
        f"consume {TICKETS}",
        f"purge {TICKETS}",
    ],
    Role.PUSHER: [
        f"send {names.INBOX_EXCHANGE} change.push",
        f"send {names.INBOX_EXCHANGE} request.experiment",
    ],
    Role.SERVICE: [
        "declare schedy.jobs.Mine",
        "delete schedy.jobs.Mine",
        f"purge {TICKETS}",
        f"bind {TICKETS} {names.JOBS_EXCHANGE} Tuning",
        *(f"bind {each.queue} {each.exchange} {each.routing_key or 'x'}" for each in BINDINGS),
        f"consume {names.REPORTS_QUEUE}",
        f"consume {names.REQUESTS_QUEUE}",
        f"get {names.DEAD_QUEUE}",
        f"send {names.JOBS_EXCHANGE} Tuning",
        f"send {names.DEAD_EXCHANGE} x",
        f"send {names.INBOX_EXCHANGE} service.tick",
        "send default amq.rabbitmq.reply-to.gone",
    ],
}
MAY_NOT = {
    Role.WORKER: [*NO_CLIENT_MAY, f"send {names.INBOX_EXCHANGE} change.push"],
    Role.PUSHER: [
        *NO_CLIENT_MAY,
        f"send {names.INBOX_EXCHANGE} report.claim",
        f"get {TICKETS}",
        f"consume {TICKETS}",
        f"purge {TICKETS}",
    ],
    Role.SERVICE: [
        "declare other",
        "declare-exchange other",
        "send amq.topic report.claim",
        f"send {names.INBOX_EXCHANGE} report.claim",
        f"send {names.INBOX_EXCHANGE} change.push",
        f"bind {TICKETS} {names.INBOX_EXCHANGE} #",
    ],
}


@pytest.mark.parametrize("role", Role)
def test_a_user_may_do_its_work(cluster: Cluster, role: Role) -> None:
    with open_connection(cluster.url(role), purpose="test") as connection:
        for action in EVERYONE_MAY + MAY[role]:
            _do(connection.channel(), action)


@pytest.mark.parametrize("role", Role)
def test_a_user_may_do_nothing_else(cluster: Cluster, role: Role) -> None:
    with open_connection(cluster.url(role), purpose="test") as connection:
        for action in MAY_NOT[role]:
            with pytest.raises(ChannelClosedByBroker, match="ACCESS_REFUSED") as caught:
                _do(connection.channel(), action)
            assert caught.value.reply_code == 403, action


@pytest.mark.parametrize("role", Role)
def test_nobody_signs_with_the_name_of_another(cluster: Cluster, role: Role) -> None:
    key = {Role.WORKER: "report.claim", Role.PUSHER: "change.push", Role.SERVICE: "service.tick"}[role]
    own = cluster.users[role].name
    with open_connection(cluster.url(role), purpose="test") as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.basic_publish(names.INBOX_EXCHANGE, key, b"", BasicProperties(user_id=own))
        for other in (*(user.name for user in cluster.users.values() if user.name != own), "nobody"):
            channel = connection.channel()
            channel.confirm_delivery()
            with pytest.raises(ChannelClosedByBroker, match=f"user_id property set to '{other}'") as caught:
                channel.basic_publish(names.INBOX_EXCHANGE, key, b"", BasicProperties(user_id=other))
            assert caught.value.reply_code == 406


def test_a_ticket_that_a_worker_refuses_is_among_the_dead_letters(cluster: Cluster) -> None:
    """All that a worker can put anywhere but in the inbox, and what docs/cluster.md says it still can do."""
    with open_connection(cluster.url(Role.SERVICE), purpose="test") as connection:
        _send(connection.channel(), names.JOBS_EXCHANGE, "Tuning")
    with open_connection(cluster.url(Role.WORKER), purpose="test") as connection:
        channel = connection.channel()
        method, _, _ = channel.basic_get(TICKETS)
        assert method is not None
        channel.basic_reject(method.delivery_tag or 0, requeue=False)
    letters = wait_until(lambda: dead_letters(cluster.url(Role.SERVICE)), what="the dead letter")
    assert [letter.reason for letter in letters] == [f"rejected from {TICKETS}"]


def test_a_worker_cannot_smuggle_a_change_past_its_permissions_with_a_second_routing_key(cluster: Cluster) -> None:
    """RabbitMQ 3.10 does not check the keys in a CC header, but what arrives has the key that was checked."""
    smuggled = BasicProperties(headers={"CC": ["change.push", "service.tick"]})
    with open_connection(cluster.url(Role.WORKER), purpose="test") as connection:
        with suppress(ChannelClosedByBroker):  # RabbitMQ 4.3 refuses it
            channel = connection.channel()
            channel.confirm_delivery()
            channel.basic_publish(names.INBOX_EXCHANGE, "report.claim", b"", smuggled)
        _send(connection.channel(), names.INBOX_EXCHANGE, "report.last")
    arrived: list[str | None] = []
    with open_connection(cluster.url(Role.SERVICE), purpose="test") as connection:
        for method, _, _ in connection.channel().consume(names.REPORTS_QUEUE):
            assert method is not None
            arrived.append(method.routing_key)
            if method.routing_key == "report.last":
                break
    assert arrived in (["report.claim", "report.last"], ["report.last"])


@pytest.mark.parametrize("role", [Role.WORKER, Role.PUSHER])
def test_a_client_gets_the_answer_of_the_service(cluster: Cluster, role: Role) -> None:
    with (
        open_connection(cluster.url(role), purpose="client") as asking,
        open_connection(cluster.url(Role.SERVICE), purpose="service") as answering,
    ):
        client, service = asking.channel(), answering.channel()
        answers = client.consume(names.REPLY_QUEUE, auto_ack=True, inactivity_timeout=10)
        next(client.consume(names.REPLY_QUEUE, auto_ack=True, inactivity_timeout=0.01))
        question = BasicProperties(reply_to=names.REPLY_QUEUE)
        client.basic_publish(names.INBOX_EXCHANGE, "request.experiment", b"?", question)

        method, properties, _ = next(service.consume(names.REQUESTS_QUEUE))
        assert method is not None
        assert properties is not None
        service.basic_publish("", properties.reply_to or "", b"!")

        assert next(answers)[2] == b"!"


def test_the_service_user_sets_up_what_a_worker_user_cannot(cluster: Cluster) -> None:
    with open_connection(cluster.admin_url, purpose="test") as connection:
        channel = connection.channel()
        for queue in QUEUES:
            channel.queue_delete(queue.name)
        for exchange in EXCHANGES:
            if exchange.name != names.INBOX_EXCHANGE:
                channel.exchange_delete(exchange.name)

    with pytest.raises(PermissionDeniedError, match=r"may not declare the exchange schedy\.inbox"):
        setup(cluster.url(Role.WORKER))
    assert len(setup(cluster.url(Role.SERVICE))) == len(QUEUES) + len(EXCHANGES) - 1


def test_users_are_made_once_and_only_differences_are_mended(
    vhost_url: str, management: Management, users: dict[Role, User]
) -> None:
    vhost = vhost_url.rsplit("/", 1)[1]
    worker = users[Role.WORKER]
    everything = Permissions(configure=".*", write=".*", read=".*")

    first = create_users(management, [worker], vhost=vhost)
    assert first == [
        f"created exchange {names.INBOX_EXCHANGE}",
        f"created user {worker.name}",
        f"set the permissions of user {worker.name} in vhost {vhost}: worker",
    ]
    assert create_users(management, [worker], vhost=vhost) == []
    assert management.put_permissions(vhost, worker.name, everything)
    assert create_users(management, [worker], vhost=vhost) == [first[2]]
    changed = User(name=worker.name, role=Role.WORKER, password="another")
    assert create_users(management, [changed], vhost=vhost) == [f"changed user {worker.name}"]


def test_deleting_a_user_is_told_once(management: Management, users: dict[Role, User]) -> None:
    name = users[Role.PUSHER].name
    management.put_user(name, password=PASSWORD)
    assert name in management.users()
    assert management.delete_user(name)
    assert not management.delete_user(name)


def test_definitions_are_all_that_setup_makes(vhost_url: str, management: Management, users: dict[Role, User]) -> None:
    vhost = vhost_url.rsplit("/", 1)[1]
    management.import_definitions(definitions(users.values(), vhost=vhost))

    assert create_users(management, users.values(), vhost=vhost) == []
    assert setup(vhost_url) == []
    with open_connection(vhost_url, purpose="test") as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for key in ("report.claim", "change.push", "request.experiment", "service.tick"):
            channel.basic_publish(names.INBOX_EXCHANGE, key, b"", mandatory=True)


def test_definitions_hold_no_password_and_no_guest(users: dict[Role, User]) -> None:
    document = definitions(users.values())

    assert PASSWORD not in str(document)
    assert [user["name"] for user in document["users"]] == [user.name for user in users.values()]
    assert all(is_hash_of(PASSWORD, user["password_hash"]) for user in document["users"])


def test_a_password_hash_is_salted_and_knows_its_password() -> None:
    assert password_hash("secret") != password_hash("secret")
    assert is_hash_of("secret", password_hash("secret"))
    assert not is_hash_of("other", password_hash("secret"))
    # RabbitMQ's own example: https://www.rabbitmq.com/docs/passwords
    assert password_hash("test12", salt=bytes.fromhex("908DC60A")) == (
        "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR"
    )


def test_users_come_from_the_environment_and_do_not_show_their_passwords() -> None:
    users = users_from({"SCHEDY_WORKER_PASSWORD": PASSWORD, "SCHEDY_PUSHER_PASSWORD": ""})
    assert [(user.name, user.role) for user in users] == [("schedy-worker", Role.WORKER)]
    assert PASSWORD not in repr(users)


def test_management_errors_name_the_remedy_and_no_password(node: Node) -> None:
    address = node.management_url.rsplit("@", 1)[1]
    with pytest.raises(ManagementError, match=r"status 401.*Check user and password") as refused:
        Management(f"http://nobody:{PASSWORD_IN_URL}@{address}").version()
    with pytest.raises(ManagementError, match="rabbitmq-plugins enable rabbitmq_management") as absent:
        Management(f"http://nobody:{PASSWORD_IN_URL}@127.0.0.1:1").version()
    with pytest.raises(SettingsError, match="Set it to http://USER") as bad:
        Management(f"http://nobody:{PASSWORD}@127.0.0.1:1")
    for error in (refused, absent, bad):
        assert PASSWORD not in str(error.value)
        assert PASSWORD_IN_URL not in str(error.value)


def test_the_command_makes_users_and_topology_and_says_so(node: Node, vhost_url: str) -> None:
    environment = {"SCHEDY_BROKER_URL": vhost_url, "SCHEDY_MANAGEMENT_URL": node.management_url}
    passwords = {role.password_variable: PASSWORD for role in Role}

    first = CliRunner().invoke(broker_command, ["setup"], env=environment | passwords)
    again = CliRunner().invoke(broker_command, ["setup"], env=environment | passwords)
    without = CliRunner().invoke(broker_command, ["setup"], env=environment | dict.fromkeys(passwords, ""))

    assert first.exit_code == 0, first.output
    assert f"created queue {names.REPORTS_QUEUE}" in first.output
    assert "the permissions of user schedy-worker" in first.output
    assert again.output == "Nothing to do: everything exists.\n"
    assert without.exit_code == 2
    assert "SCHEDY_SERVICE_PASSWORD" in without.output
    assert PASSWORD not in first.output + again.output + without.output


def test_the_command_says_what_it_did_before_it_failed(node: Node, vhost_url: str) -> None:
    options = ["--url", vhost_url.replace("@", "-wrong@"), "--management-url", node.management_url]

    failed = CliRunner().invoke(broker_command, ["setup", *options], env={"SCHEDY_PUSHER_PASSWORD": PASSWORD})

    assert failed.exit_code == 1
    assert f"created exchange {names.INBOX_EXCHANGE}" in failed.output
    assert "refused the login" in failed.output


def test_definitions_go_to_a_file_for_the_owner_only(tmp_path: Path) -> None:
    target = tmp_path / "definitions.json"
    target.touch(mode=0o644)

    written = CliRunner().invoke(
        broker_command, ["definitions", "-o", str(target)], env={"SCHEDY_WORKER_PASSWORD": PASSWORD}
    )
    printed = CliRunner().invoke(broker_command, ["definitions", "--vhost", "lab"])

    assert written.exit_code == printed.exit_code == 0
    assert target.stat().st_mode & 0o777 == 0o600
    assert [user["name"] for user in json.loads(target.read_text())["users"]] == ["schedy-worker"]
    assert json.loads(printed.output)["vhosts"] == [{"name": "lab"}]


def test_a_user_without_permissions_in_the_vhost_is_told_so(cluster: Cluster, management: Management) -> None:
    management.put_vhost(f"{cluster.vhost}-b")
    try:
        with (
            pytest.raises(AuthenticationError, match="may not use vhost"),
            open_connection(f"{cluster.url(Role.WORKER)}-b", purpose="test"),
        ):
            raise AssertionError("connected")
    finally:
        management.delete_vhost(f"{cluster.vhost}-b")
