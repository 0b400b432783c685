"""The work of `schedy up`: a broker, the topology, the store and the results service on this machine."""

import contextlib
import fcntl
import ipaddress
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType

from schedy.errors import BrokerError, SchedyError, ServiceUnavailableError
from schedy.settings import DEFAULT_BROKER_URL, Settings
from schedy.wire import names
from schedy.wire.requests import GetExperiments
from schedy.worker.session import Session
from schedy_broker_setup.connecting import address_behind, addresses_of, open_connection
from schedy_broker_setup.inspection import queue_state
from schedy_broker_setup.management import Management
from schedy_broker_setup.node.node import NodeError, NodeSettings, PrivateNode, free_port, recorded_node, stop_recorded
from schedy_broker_setup.node.processes import Process, wait_until_ended
from schedy_broker_setup.permissions import Role, User
from schedy_broker_setup.topology import setup
from schedy_broker_setup.users import create_users
from schedy_cli.up.run_record import RunRecord
from schedy_store.schema.engine import Store, network_file_system

_AMQP_PORT = 5672
_MANAGEMENT_PORT = 15672
_NODE_SECONDS = 120.0
_SERVICE_SECONDS = 60.0
_SERVICE_STOP_SECONDS = 20.0
_WATCH_SECONDS = 0.5
_RESTART_PAUSE_SECONDS = 2.0
_ADMIN = "schedy"


class _Asked(Exception):
    """Someone asked to stop."""


class AlreadyUpError(SchedyError):
    """Another `schedy up` runs with the same data folder."""


@dataclass(frozen=True)
class Secrets:
    """The private broker's passwords, kept with its data."""

    admin: str = field(default_factory=lambda: secrets.token_urlsafe(18))
    worker: str = field(default_factory=lambda: secrets.token_urlsafe(18))
    pusher: str = field(default_factory=lambda: secrets.token_urlsafe(18))

    @classmethod
    def of(cls, data_dir: Path) -> "Secrets":
        """Return the passwords of a data folder, made with its first broker."""
        path = data_dir / "broker-passwords.json"
        try:
            return cls(**json.loads(path.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            made = cls()
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                json.dump(vars(made), file)
            return made


class Supervisor:
    """Starts the parts in order, watches them, and ends what it has started in the reverse order."""

    def __init__(self, settings: Settings, *, private: bool, listen: str | None, say: Callable[[str], None]) -> None:
        self._settings = settings
        self._private = private or listen is not None
        self._listen = listen
        self._say = say
        self._node: PrivateNode | None = None
        self._service: subprocess.Popen[bytes] | None = None
        self._record: RunRecord | None = None
        self._asked = False

    def run(self, announce: Callable[[RunRecord], None]) -> None:
        """Start everything, call `announce`, and watch until SIGINT or SIGTERM; then stop everything.

        Raises SchedyError if a part cannot be started; nothing is left running then.
        """
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask_to_stop)
        try:
            self._start()
            if self._record is not None:
                announce(self._record)
            self._watch()
        except _Asked:
            self._say("Stopping ...")
        finally:
            self._stop()

    def _ask_to_stop(self, _number: int, _frame: FrameType | None) -> None:
        """Only take note: an exception here could come between the start of a process and the note of it."""
        self._asked = True

    def _go_on(self) -> None:
        """Raise if someone has asked to stop."""
        if self._asked:
            raise _Asked

    def _start(self) -> None:
        me = Process.find(os.getpid())
        if me is None:
            raise SchedyError("/proc is not readable here; `schedy up` needs it. Run `schedy serve` instead.")
        store_url = self._settings.effective_store_url
        record = RunRecord(supervisor=me, broker_url=self._settings.broker_url, store_url=store_url)
        if self._private or not self._broker_answers():
            record = self._start_node(record)
        self._save(record)
        setup(record.broker_url, tls=self._settings.broker_tls)
        with contextlib.closing(Store.open(store_url)) as store:
            store.migrate(from_older=False)
        self._start_service()
        self._wait_for_service()
        assert self._record is not None  # noqa: S101 - saved above
        self._save(replace(self._record, ready=True))

    def _broker_answers(self) -> bool:
        """Whether to use the broker at the configured URL. Raises BrokerError if that is a remote one."""
        url = self._settings.broker_url
        try:
            with open_connection(url, purpose="up", tls=self._settings.broker_tls) as connection:
                if queue_state(connection, names.REPORTS_QUEUE).consumers:
                    raise SchedyError(
                        f"A results service serves the broker at {address_behind(connection)} already, perhaps with"
                        " another store. Use that one, stop it, or start a broker of your own: schedy up --private."
                    )
                self._say(f"Using the broker that answers at {address_behind(connection)}.")
                return True
        except BrokerError:
            if url != DEFAULT_BROKER_URL and not all(_is_local(address.host) for address in addresses_of(url)):
                raise
            return False

    def _start_node(self, record: RunRecord) -> RunRecord:
        data_dir = self._settings.data_dir / "broker"
        passwords = Secrets.of(self._settings.data_dir)
        settings = NodeSettings(
            data_dir=data_dir,
            amqp_port=_free(_AMQP_PORT),
            management_port=_free(_MANAGEMENT_PORT),
            user=_ADMIN,
            password=passwords.admin,
            amqp_hosts=("127.0.0.1",) if self._listen is None else ("127.0.0.1", self._listen),
        )
        self._say("Starting a private RabbitMQ node ...")
        self._node = PrivateNode(settings)
        self._node.start()
        self._wait_for_node(self._node)
        own = f"{_ADMIN}:{passwords.admin}@"
        management_url = f"http://{own}127.0.0.1:{settings.management_port}"
        record = replace(
            record,
            broker_url=f"amqp://{own}{settings.local_host}:{settings.amqp_port}/%2F",
            management_url=management_url,
        )
        if self._listen is None:
            return record
        return replace(record, worker_urls=self._open_to_cluster(management_url, settings.amqp_port, passwords))

    def _wait_for_node(self, node: PrivateNode) -> None:
        deadline = time.monotonic() + _NODE_SECONDS
        while True:
            self._go_on()
            try:
                node.wait_ready(1.0)
                return
            except NodeError:
                if not node.is_running() or time.monotonic() > deadline:
                    raise

    def _open_to_cluster(self, management_url: str, port: int, passwords: Secrets) -> list[str]:
        """Make the users of a cluster, with least privilege; return their URLs: worker, pusher."""
        users = [
            User(name=Role.WORKER.user_name, role=Role.WORKER, password=passwords.worker),
            User(name=Role.PUSHER.user_name, role=Role.PUSHER, password=passwords.pusher),
        ]
        create_users(Management(management_url), users, vhost="/")
        address = ipaddress.ip_address(str(self._listen))
        host = socket.gethostname() if address.is_unspecified else str(address)
        host = f"[{host}]" if ":" in host else host
        return [f"amqp://{user.name}:{user.password}@{host}:{port}/%2F" for user in users]

    def _start_service(self) -> None:
        record = self._record
        assert record is not None  # noqa: S101 - saved before
        log = self._settings.data_dir / "service.log"
        environment = {
            **os.environ,
            "SCHEDY_BROKER_URL": record.broker_url,
            "SCHEDY_STORE_URL": record.store_url,
            "SCHEDY_DATA_DIR": str(self._settings.data_dir),
        }
        with log.open("ab") as output:
            log.chmod(0o600)
            self._service = subprocess.Popen(
                [sys.executable, "-m", "schedy_cli.main", "serve"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._save(replace(record, service=Process.find(self._service.pid)))
        self._go_on()

    def _wait_for_service(self) -> None:
        record = self._record
        assert record is not None  # noqa: S101 - saved before
        session = Session(
            self._settings.model_copy(update={"broker_url": record.broker_url, "claim_retry_seconds": 0.5}), role="up"
        )
        deadline = time.monotonic() + _SERVICE_SECONDS
        try:
            while True:
                self._go_on()
                with contextlib.suppress(ServiceUnavailableError):
                    session.read(GetExperiments(limit=1), patience_seconds=1.0)
                    return
                if self._service is not None and self._service.poll() is not None:
                    raise SchedyError(f"The results service ended while it was starting: {self._last_log_line()}")
                if time.monotonic() > deadline:
                    raise SchedyError(f"The results service does not answer. Its log: {self._log_path()}")
        finally:
            session.close()

    def _log_path(self) -> Path:
        return self._settings.data_dir / "service.log"

    def _last_log_line(self) -> str:
        lines = self._log_path().read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing."

    def _watch(self) -> None:
        """Start again what ends by itself."""
        while True:
            time.sleep(_WATCH_SECONDS)
            self._go_on()
            if self._node is not None and not self._node.is_running():
                self._say("The RabbitMQ node has ended; starting it again.")
                time.sleep(_RESTART_PAUSE_SECONDS)
                self._node.start()
                self._wait_for_node(self._node)
            if self._service is not None and self._service.poll() is not None:
                self._say(f"The results service has ended ({self._last_log_line()}); starting it again.")
                time.sleep(_RESTART_PAUSE_SECONDS)
                self._start_service()

    def _stop(self) -> None:
        if self._service is not None:
            self._service.terminate()
            try:
                self._service.wait(_SERVICE_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._service.kill()
                self._service.wait()
        if self._node is not None:
            self._node.stop()
        if self._record is not None:
            self._settings.run_file.unlink(missing_ok=True)

    def _save(self, record: RunRecord) -> None:
        self._record = record
        record.save(self._settings.run_file)


@contextlib.contextmanager
def exclusive(settings: Settings) -> Iterator[None]:
    """Hold the data folder for one `schedy up`, and end what a killed one has left.

    Raises AlreadyUpError, and SchedyError if the folder cannot be used.
    """
    data_dir = settings.data_dir
    kind = network_file_system(data_dir)
    if kind is not None:
        raise SchedyError(
            f"{data_dir} is on a network file system ({kind}), where neither the store nor the broker is safe."
            " Choose a local folder: schedy --data-dir DIR up."
        )
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_owner(data_dir)
        lock = os.fdopen(os.open(data_dir / "up.lock", os.O_RDWR | os.O_CREAT, 0o600), "w")
    except OSError as error:
        raise SchedyError(
            f"The folder {data_dir} cannot be used: {error.strerror}. Choose another: --data-dir DIR."
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyUpError("Schedy is up already with this data folder.") from None
        end_remains(settings)
        yield


def _check_owner(data_dir: Path) -> None:
    """Where others may write, they could put their own files in the place of ours."""
    found = data_dir.stat()
    if found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise SchedyError(
            f"The folder {data_dir} belongs to another user, or others may write to it. Choose a folder of your own:"
            " --data-dir DIR."
        )


def end_remains(settings: Settings) -> bool:
    """End what a `schedy up` that is gone has left running; return whether there was something."""
    record = RunRecord.load(settings.run_file)
    found = False
    if record is not None and record.service is not None and record.service.is_running():
        found = True
        record.service.send(signal.SIGTERM)
        for left in wait_until_ended([record.service], timeout_seconds=_SERVICE_STOP_SECONDS):
            left.send(signal.SIGKILL)
    node = recorded_node(settings.data_dir / "broker")
    if node is not None:
        found = found or bool(node.running())
        stop_recorded(node)
    settings.run_file.unlink(missing_ok=True)
    return found


def _free(preferred: int) -> int:
    """The usual port if nobody has it, else any free one."""
    for family, host in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET, "127.0.0.1")):  # noqa: S104 - probed, not served
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, preferred))
            except OSError:
                return free_port()
    return preferred


def _is_local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
