"""A private RabbitMQ node: without root, with everything in one data folder.

The server and its name service (epmd) run in sessions of their own, so that a Ctrl-C in the terminal does not
reach them, and outlive their parent if that is killed: `node.json` in the data folder identifies them, and
`stop_recorded` stops them from any process.
"""

import base64
import contextlib
import fcntl
import http.client
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pika
from pika.exceptions import AMQPError

from schedy.amqp.errors import broker_error
from schedy.amqp.parameters import address_of
from schedy.errors import AuthenticationError
from schedy_broker_setup.node.files import (
    NodeFolder,
    erlang_environment,
    find_erlang_program,
    find_server,
    write_private,
)
from schedy_broker_setup.node.processes import Process, boot_id
from schedy_broker_setup.node.record import NodeRecord, kill_all, recorded_node, stop_recorded
from schedy_broker_setup.node.settings import NodeError, NodeSettings, check_ports_free, free_port

__all__ = [
    "NodeError",
    "NodeRecord",
    "NodeSettings",
    "PrivateNode",
    "free_port",
    "recorded_node",
    "stop_recorded",
]

_PROBE_SECONDS = 5.0
_EPMD_START_SECONDS = 5.0
_KILL_SECONDS = 10.0
_NOT_OURS = Process(-1, -1)
"""Stands for an epmd that others stop: for this node, it never runs."""


class PrivateNode:
    """Starts, watches and stops one node. Not thread safe. The data stay when the node ends."""

    def __init__(self, settings: NodeSettings) -> None:
        self._settings = settings
        self._folder = NodeFolder(settings.data_dir)
        self._record: NodeRecord | None = None
        self._children: list[subprocess.Popen[bytes]] = []

    @property
    def settings(self) -> NodeSettings:
        return self._settings

    def start(self) -> None:
        """Start the server; returns at once, `wait_ready` waits for it.

        Raises NodeError if RabbitMQ is not installed, a port is taken, or a node runs on the same data.
        """
        server = self._settings.server_program or find_server()
        if not server.is_file():
            raise NodeError(f"There is no program {server}. Leave server_program out: Schedy finds rabbitmq-server.")
        self._folder.create()
        with _locked(self._folder) as lock:
            self._end_remains()
            check_ports_free(self._settings)
            self._folder.write_settings(self._settings)
            try:
                self._spawn(server, lock=lock)
            except BaseException:
                self._end_children()
                raise

    def wait_ready(self, timeout_seconds: float = 120.0) -> None:
        """Block until AMQP accepts the login and the management API answers.

        Raises NodeError if the server ends (nothing of the node runs then) or is not ready in time (it still
        runs then).
        """
        deadline = time.monotonic() + timeout_seconds
        while not self._is_ready():
            if not self.is_running():
                self.kill()
                raise NodeError(f"RabbitMQ ended while it was starting. {self._log_excerpt()}")
            if time.monotonic() > deadline:
                raise NodeError(f"RabbitMQ was not ready within {timeout_seconds:.0f} s. {self._log_excerpt()}")
            time.sleep(0.05)

    def is_running(self) -> bool:
        return self._record is not None and self._record.server.is_running()

    def stop(self, timeout_seconds: float = 30.0) -> None:
        """Stop the node: SIGTERM, after the timeout SIGKILL. Does nothing if it does not run."""
        if self._record is not None:
            stop_recorded(self._record, timeout_seconds=timeout_seconds)
        self._end_children()

    def kill(self) -> None:
        """Kill the node, as a crash would. `start` works again on the same data."""
        if self._record is not None:
            kill_all(self._record.running())
        self._end_children()

    def pids(self) -> list[int]:
        """Return the pids of the server, its helpers and epmd; empty if none runs."""
        return [process.pid for process in self._record.running()] if self._record else []

    def record(self) -> NodeRecord:
        """Return the record of the processes. Raises NodeError before the first start."""
        if self._record is None:
            raise NodeError("The node was not started yet: call start() first.")
        return self._record

    def _spawn(self, server: Path, *, lock: int) -> None:
        epmd, epmd_port = self._spawn_epmd()
        environment = self._folder.environment(self._settings, epmd_port=epmd_port, dist_port=free_port())
        # The server inherits the lock: the data stay locked while it runs, even if this process is killed.
        self._record = NodeRecord(
            data_dir=str(self._folder.path),
            name=self._settings.name,
            epmd_port=epmd_port,
            boot_id=boot_id(),
            server=self._spawn_child([str(server)], environment, pass_fds=(lock,)),
            epmd=epmd,
        )
        write_private(self._folder.record, self._record.to_json())

    def _spawn_epmd(self) -> tuple[Process, int]:
        """Start an epmd on a free port. Erlang would start one that nobody stops, on all interfaces."""
        if self._settings.epmd_port is not None:
            return _NOT_OURS, self._settings.epmd_port
        program = find_erlang_program("epmd")
        if program is None:
            raise NodeError("Erlang's epmd was not found. Put Erlang's bin folder on PATH.")
        deadline = time.monotonic() + _EPMD_START_SECONDS
        while time.monotonic() < deadline:
            port = free_port()
            epmd = self._spawn_child([str(program)], erlang_environment(self._folder.path, epmd_port=port))
            while epmd.is_running() and time.monotonic() < deadline:
                if _is_epmd(port) and epmd.is_running():
                    return epmd, port
                time.sleep(0.01)
        raise NodeError(f"Erlang's epmd ({program}) did not start. {self._log_excerpt()}")

    def _spawn_child(
        self, command: list[str], environment: dict[str, str], *, pass_fds: tuple[int, ...] = ()
    ) -> Process:
        self._folder.console.touch(mode=0o600)
        with self._folder.console.open("ab") as console:
            child = subprocess.Popen(
                command,
                env=environment,
                cwd=self._folder.path,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
                umask=0o077,
                pass_fds=pass_fds,
            )
        self._children.append(child)
        # A child that has ended already is a zombie until it is reaped: its Process never runs again.
        return Process.find(child.pid) or Process(child.pid, -1)

    def _end_remains(self) -> None:
        """Remove the epmd and the old output that a crash of the server, or of its parents, leaves behind."""
        self._end_children()
        record = recorded_node(self._folder.path)
        if record is not None:
            kill_all(record.running())
        self._folder.console.unlink(missing_ok=True)

    def _end_children(self) -> None:
        for child in self._children:
            child.kill()
            child.wait(_KILL_SECONDS)
        self._children.clear()

    def _is_ready(self) -> bool:
        host, port = self._settings.local_host, self._settings.amqp_port
        return _accepts(host, port) and self._login_works() and self._management_answers()

    def _login_works(self) -> bool:
        parameters = pika.ConnectionParameters(
            host=self._settings.local_host,
            port=self._settings.amqp_port,
            credentials=pika.PlainCredentials(self._settings.user, self._settings.password),
            socket_timeout=_PROBE_SECONDS,
            stack_timeout=_PROBE_SECONDS,
            blocked_connection_timeout=_PROBE_SECONDS,
        )
        try:
            pika.BlockingConnection(parameters).close()
        except (AMQPError, OSError) as error:
            if not isinstance(broker_error(error, address_of(parameters)), AuthenticationError):
                return False
            raise NodeError(
                f"The node refuses the user {self._settings.user}: its data in {self._folder.path} were created "
                "with another user or password. Start it with those, or with an empty data folder."
            ) from error
        return True

    def _management_answers(self) -> bool:
        login = f"{self._settings.user}:{self._settings.password}".encode()
        headers = {"Authorization": f"Basic {base64.b64encode(login).decode()}"}
        connection = http.client.HTTPConnection("127.0.0.1", self._settings.management_port, timeout=_PROBE_SECONDS)
        with contextlib.closing(connection):
            try:
                connection.request("GET", "/api/whoami", headers=headers)
                return connection.getresponse().status == http.HTTPStatus.OK
            except (OSError, http.client.HTTPException):
                return False

    def _log_excerpt(self) -> str:
        return f"Its log is in {self._folder.logs} and ends with:\n{self._folder.last_log_lines()}"


@contextlib.contextmanager
def _locked(folder: NodeFolder) -> Iterator[int]:
    """Hold the lock of the data; yield its file descriptor. Raises NodeError if a node holds it."""
    descriptor = os.open(folder.lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            record = recorded_node(folder.path)
            pid = f" (pid {record.server.pid})" if record is not None and record.server.is_running() else ""
            raise NodeError(
                f"A node already runs on the data in {folder.path}{pid}. "
                "Stop it first with `schedy down`, or choose another data folder."
            ) from error
        yield descriptor
    finally:
        os.close(descriptor)


def _is_epmd(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=_PROBE_SECONDS) as connection:
            connection.sendall(b"\0\1n")  # which names are registered? It answers with its own port first.
            return connection.recv(4) == port.to_bytes(4, "big")
    except OSError:
        return False


def _accepts(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=_PROBE_SECONDS):
            return True
    except OSError:
        return False
