"""The private RabbitMQ node, with the real server, real signals and real ports."""

import contextlib
import dataclasses
import ipaddress
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel

from schedy_broker_setup.node.files import find_server
from schedy_broker_setup.node.node import (
    NodeError,
    NodeRecord,
    NodeSettings,
    PrivateNode,
    free_port,
    recorded_node,
    stop_recorded,
)
from schedy_broker_setup.node.processes import Process

QUEUE = "kept"
READY_SECONDS = 90.0

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def settings(tmp_path: Path) -> NodeSettings:
    return settings_below(tmp_path)


def settings_below(folder: Path) -> NodeSettings:
    """A folder with a blank and a letter beyond ASCII: both are usual in home folders."""
    return NodeSettings(
        data_dir=folder / "schedy dätä",
        amqp_port=free_port(),
        management_port=free_port(),
        user="tester",
        password="not-a-secret",
    )


@pytest.fixture
def node(settings: NodeSettings) -> Iterator[PrivateNode]:
    """A node of the test's own, ready. Whatever the test leaves running is ended."""
    with ready_node(settings) as node:
        yield node


@pytest.fixture(scope="module")
def shared_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateNode]:
    """One ready node for the tests that only look at it: a start takes 5 s."""
    with ready_node(settings_below(tmp_path_factory.mktemp("shared"))) as node:
        yield node


@contextlib.contextmanager
def ready_node(settings: NodeSettings) -> Iterator[PrivateNode]:
    node = PrivateNode(settings)
    node.start()
    try:
        node.wait_ready(READY_SECONDS)
        yield node
    finally:
        node.kill()


def wait_for(condition: Callable[[], bool], *, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition was not met in time"
        time.sleep(0.02)


def open_connection(settings: NodeSettings) -> pika.BlockingConnection:
    return pika.BlockingConnection(
        pika.ConnectionParameters(
            "127.0.0.1",
            settings.amqp_port,
            credentials=pika.PlainCredentials(settings.user, settings.password),
        )
    )


def declare(channel: BlockingChannel) -> None:
    channel.queue_declare(QUEUE, durable=True, arguments={"x-queue-type": "quorum"})


def publish_kept_message(settings: NodeSettings) -> None:
    with open_connection(settings) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        declare(channel)
        channel.basic_publish("", QUEUE, b"still here", pika.BasicProperties(delivery_mode=2), mandatory=True)


def wait_until_queue_is_on_disk(settings: NodeSettings) -> None:
    """RabbitMQ 3.10 writes a new quorum queue's name to disk up to a second after it said that it exists.

    Killed before, the queue is there after the restart, but without a leader: every use of it times out.
    """
    names = next((settings.data_dir / "mnesia").glob("*/quorum/*/names.dets"))

    def closed_with_queue() -> bool:
        content = names.read_bytes()
        return QUEUE.encode() in content and content[8:12] != b"\0\0\0\0"  # the mark of a closed file

    wait_for(closed_with_queue)


def kept_message(settings: NodeSettings) -> bytes | None:
    with open_connection(settings) as connection:
        channel = connection.channel()
        declare(channel)
        _, _, body = channel.basic_get(QUEUE)
        return body


def listening_addresses(pids: list[int]) -> list[tuple[str, int]]:
    """All TCP sockets on which these processes listen, as the kernel has them."""
    inodes = set()
    for link in (link for pid in pids for link in Path(f"/proc/{pid}/fd").iterdir()):
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            inodes.add(str(link.readlink()).removeprefix("socket:[").removesuffix("]"))
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text(encoding="ascii").splitlines()[1:]:
            _, local, _, state, *rest = line.split()
            if state == "0A" and rest[5] in inodes:
                address, port = local.split(":")
                found.append((kernel_address(address), int(port, 16)))
    return found


def kernel_address(text: str) -> str:
    """/proc/net has addresses as 32-bit words in the byte order of the machine."""
    words = [int(text[start : start + 8], 16).to_bytes(4, sys.byteorder) for start in range(0, len(text), 8)]
    return str(ipaddress.ip_address(b"".join(words)))


def test_listens_on_loopback_only(shared_node: PrivateNode) -> None:
    settings = shared_node.settings
    addresses = listening_addresses(shared_node.pids())

    assert {settings.amqp_port, settings.management_port} <= {port for _, port in addresses}
    assert len({port for _, port in addresses}) == 4, "AMQP, management, distribution and epmd"
    assert [host for host, _ in addresses if not ipaddress.ip_address(host).is_loopback] == []


def test_listens_where_it_is_told_for_amqp_alone(settings: NodeSettings) -> None:
    node = PrivateNode(dataclasses.replace(settings, amqp_hosts=("127.0.0.1", "0.0.0.0")))  # noqa: S104
    node.start()
    try:
        node.wait_ready(READY_SECONDS)
        addresses = listening_addresses(node.pids())
    finally:
        node.stop()

    open_to_all = [port for host, port in addresses if not ipaddress.ip_address(host).is_loopback]
    assert open_to_all == [settings.amqp_port]


def test_uses_a_name_service_of_its_own(shared_node: PrivateNode) -> None:
    record = shared_node.record()
    environment = Path(f"/proc/{record.server.pid}/environ").read_bytes().split(b"\0")

    assert record.epmd_port in {port for _, port in listening_addresses([record.epmd.pid])}
    assert f"ERL_EPMD_PORT={record.epmd_port}".encode() in environment


def test_files_are_readable_by_their_owner_alone(shared_node: PrivateNode) -> None:
    settings = shared_node.settings
    assert stat.S_IMODE(settings.data_dir.stat().st_mode) == 0o700
    assert stat.S_IMODE((settings.data_dir / ".erlang.cookie").stat().st_mode) == 0o400
    wide = [path for path in settings.data_dir.rglob("*") if path.stat().st_mode & 0o077]
    assert wide == []
    assert "not-a-secret" not in repr(settings)


def test_has_no_guest_and_accepts_long_jobs(shared_node: PrivateNode) -> None:
    settings = shared_node.settings
    guest = pika.ConnectionParameters(
        "127.0.0.1", settings.amqp_port, credentials=pika.PlainCredentials("guest", "guest")
    )
    with pytest.raises(pika.exceptions.ProbableAuthenticationError):
        pika.BlockingConnection(guest)

    assert "consumer_timeout = 31536000000" in (settings.data_dir / "rabbitmq.conf").read_text("utf-8")


def test_stop_leaves_no_process_and_keeps_the_data(node: PrivateNode, settings: NodeSettings) -> None:
    publish_kept_message(settings)
    processes = node.record().running()
    assert len(processes) >= 3, "the server, at least one helper, epmd"

    node.stop()

    assert [process for process in processes if process.is_running()] == []
    assert node.pids() == []
    assert recorded_node(settings.data_dir) is None
    node.stop()  # a second time does nothing

    node.start()
    node.wait_ready(READY_SECONDS)
    assert kept_message(settings) == b"still here"


def test_starts_again_on_the_same_data_after_kill(node: PrivateNode, settings: NodeSettings) -> None:
    publish_kept_message(settings)
    wait_until_queue_is_on_disk(settings)
    processes = node.record().running()

    node.kill()

    assert [process for process in processes if process.is_running()] == []
    node.start()
    node.wait_ready(READY_SECONDS)
    assert kept_message(settings) == b"still here"


def test_another_object_takes_over_after_a_crash_of_the_server(node: PrivateNode, settings: NodeSettings) -> None:
    """The server dies alone; its epmd and node.json stay behind, as after a kill -9 of all by hand."""
    first = node.record()
    os.kill(first.server.pid, signal.SIGKILL)
    wait_for(lambda: not first.server.is_running() and not node.is_running())
    assert first.epmd.is_running()

    successor = PrivateNode(settings)
    wait_for(lambda: start_if_unlocked(successor))
    try:
        assert not first.epmd.is_running()
        successor.wait_ready(READY_SECONDS)
    finally:
        successor.stop()


def start_if_unlocked(node: PrivateNode) -> bool:
    """A helper of a killed server holds the lock for some milliseconds more."""
    try:
        node.start()
    except NodeError as error:
        if "already runs" not in str(error):
            raise
        return False
    return True


def test_a_second_node_on_the_same_data_is_refused(shared_node: PrivateNode) -> None:
    other = dataclasses.replace(shared_node.settings, amqp_port=free_port(), management_port=free_port())

    with pytest.raises(NodeError, match=f"already runs .* \\(pid {shared_node.record().server.pid}\\)"):
        PrivateNode(other).start()

    assert shared_node.is_running()


def test_a_wrong_password_for_existing_data_is_named(node: PrivateNode, settings: NodeSettings) -> None:
    node.stop()
    stranger = PrivateNode(dataclasses.replace(settings, password="another"))
    stranger.start()
    try:
        with pytest.raises(NodeError, match="refuses the user tester: its data"):
            stranger.wait_ready(READY_SECONDS)
    finally:
        stranger.kill()


STARTER = """
import sys
from pathlib import Path
from schedy_broker_setup.node.node import NodeSettings, PrivateNode

settings = NodeSettings(
    data_dir=Path(sys.argv[1]), amqp_port=int(sys.argv[2]), management_port=int(sys.argv[3]),
    user="tester", password="not-a-secret",
)
node = PrivateNode(settings)
node.start()
node.wait_ready(90)
print(node.record().to_json(), flush=True)
sys.stdin.read()
"""


def test_another_process_stops_a_node_whose_starter_was_killed(settings: NodeSettings) -> None:
    ports = (str(settings.amqp_port), str(settings.management_port))
    with subprocess.Popen(
        [sys.executable, "-c", STARTER, str(settings.data_dir), *ports],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as starter:
        assert starter.stdout is not None
        printed = starter.stdout.readline()
        record = NodeRecord.from_json(printed.decode())
        starter.kill()
        assert starter.stdout.read() == b"", "the node prints nothing to its starter's output"

    assert record == recorded_node(settings.data_dir)
    processes = record.running()
    assert record.server in processes

    stop_recorded(record)

    assert [process for process in processes if process.is_running()] == []
    assert recorded_node(settings.data_dir) is None
    stop_recorded(record)  # a second time does nothing


def test_ctrl_c_in_the_terminal_does_not_reach_the_node(shared_node: PrivateNode) -> None:
    """A terminal signals its foreground process group, and hangs up on its session."""
    for process in shared_node.record().running():
        assert os.getsid(process.pid) != os.getsid(0)
        assert os.getpgid(process.pid) != os.getpgid(0)


def test_never_signals_a_process_that_got_the_pid(tmp_path: Path) -> None:
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE) as stranger:
        found = Process.find(stranger.pid)
        assert found is not None
        mistaken = dataclasses.replace(found, start_ticks=found.start_ticks - 1)
        record = this_boots_record(tmp_path, server=mistaken, epmd=mistaken)

        stop_recorded(record)

        assert record.running() == []
        assert stranger.poll() is None
        assert found.is_running()


def test_never_signals_a_process_of_another_boot(tmp_path: Path) -> None:
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE) as stranger:
        found = Process.find(stranger.pid)
        assert found is not None
        record = this_boots_record(tmp_path, server=found, epmd=found)

        stop_recorded(dataclasses.replace(record, boot_id="another"))

        assert stranger.poll() is None


def this_boots_record(data_dir: Path, *, server: Process, epmd: Process) -> NodeRecord:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return NodeRecord(
        data_dir=str(data_dir), name="schedy@localhost", epmd_port=1, boot_id=boot, server=server, epmd=epmd
    )


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"server": 1}', '{"server": {}, "epmd": {}}'])
def test_a_damaged_record_counts_as_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "node.json").write_text(text, encoding="utf-8")

    assert recorded_node(tmp_path) is None


def test_a_record_survives_json(tmp_path: Path) -> None:
    me = Process.find(os.getpid())
    assert me is not None
    record = this_boots_record(tmp_path, server=me, epmd=me)

    assert NodeRecord.from_json(record.to_json()) == record
    assert json.loads(record.to_json())["server"]["pid"] == os.getpid()


@pytest.mark.parametrize("which", ["amqp_port", "management_port"])
def test_a_taken_port_is_named(settings: NodeSettings, which: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        node = PrivateNode(dataclasses.replace(settings, **{which: port}))

        with pytest.raises(NodeError, match=f"cannot listen on port {port} of 127.0.0.1"):
            node.start()

    assert node.pids() == []


def test_an_address_of_another_machine_is_named(settings: NodeSettings) -> None:
    node = PrivateNode(dataclasses.replace(settings, amqp_hosts=("127.0.0.1", "192.0.2.1")))

    with pytest.raises(NodeError, match=r"of 192\.0\.2\.1: Cannot assign"):
        node.start()


def test_a_server_that_ends_early_shows_its_log(settings: NodeSettings) -> None:
    node = PrivateNode(dataclasses.replace(settings, extra_config={"no_such_setting": "1"}))
    node.start()

    with pytest.raises(NodeError, match=r"(?s)ended while it was starting.*log is in .*no_such_setting"):
        node.wait_ready(READY_SECONDS)

    assert node.pids() == []


def test_a_server_that_is_not_ready_in_time_still_runs(settings: NodeSettings) -> None:
    node = PrivateNode(settings)
    node.start()
    try:
        with pytest.raises(NodeError, match="not ready within 0 s"):
            node.wait_ready(0)
        assert node.is_running()
    finally:
        node.stop(timeout_seconds=1.0)  # a server that is just starting may not hear SIGTERM
    assert node.pids() == []


def test_a_missing_rabbitmq_names_the_package_and_docker(tmp_path: Path) -> None:
    with pytest.raises(NodeError, match=r"apt-get install rabbitmq-server.*docker run -d"):
        find_server(packaged=tmp_path / "none", search_path=str(tmp_path))


def test_finds_a_server_on_the_path(tmp_path: Path) -> None:
    program = tmp_path / "rabbitmq-server"
    program.touch(mode=0o755)

    assert find_server(packaged=tmp_path / "none", search_path=str(tmp_path)) == program


def test_a_missing_program_is_named(settings: NodeSettings, tmp_path: Path) -> None:
    with pytest.raises(NodeError, match=r"no program .*nowhere"):
        PrivateNode(dataclasses.replace(settings, server_program=tmp_path / "nowhere")).start()


def test_a_folder_that_cannot_be_made_is_named(settings: NodeSettings, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(NodeError, match=r"data folder .* cannot be used"):
        PrivateNode(dataclasses.replace(settings, data_dir=tmp_path / "file" / "data")).start()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"password": "has # sign"}, "password"),
        ({"user": ""}, "user"),
        ({"name": "schedy@elsewhere"}, "schedy@localhost"),
        ({"amqp_hosts": ()}, "at least one address"),
        ({"amqp_hosts": ("localhost",)}, "not an IP address"),
        ({"amqp_port": 5, "management_port": 5}, "two ports"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: NodeSettings, change: dict[str, object], message: str) -> None:
    with pytest.raises(NodeError, match=message):
        dataclasses.replace(settings, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("hosts", "local"),
    [
        (("192.0.2.1", "127.0.0.1"), "127.0.0.1"),
        (("192.0.2.1",), "192.0.2.1"),
        (("0.0.0.0",), "127.0.0.1"),  # noqa: S104
        (("::",), "::1"),
    ],
)
def test_knows_how_to_reach_itself(settings: NodeSettings, hosts: tuple[str, ...], local: str) -> None:
    assert dataclasses.replace(settings, amqp_hosts=hosts).local_host == local


def test_a_node_that_was_never_started_can_be_stopped(settings: NodeSettings) -> None:
    node = PrivateNode(settings)

    node.stop()
    node.kill()

    assert node.pids() == []
    with pytest.raises(NodeError, match="call start"):
        node.record()
