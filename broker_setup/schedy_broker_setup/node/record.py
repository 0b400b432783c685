"""Who the processes of a private node are, and how any process ends them, not only their starter."""

import contextlib
import json
import signal
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from schedy_broker_setup.node.files import NodeFolder, erlang_environment, find_erlang_program
from schedy_broker_setup.node.processes import Process, boot_id, wait_until_ended
from schedy_broker_setup.node.settings import NodeError

_KILL_SECONDS = 10.0


@dataclass(frozen=True)
class NodeRecord:
    """Small and JSON-able. Process ids alone would not do: pids are used again."""

    data_dir: str
    name: str
    epmd_port: int
    boot_id: str
    server: Process
    epmd: Process

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Raises ValueError if the text is not a record."""
        try:
            fields = json.loads(text)
            server, epmd = Process(**fields.pop("server")), Process(**fields.pop("epmd"))
            return cls(server=server, epmd=epmd, **fields)
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"not the record of a node: {error}") from error

    def running(self) -> list[Process]:
        """The server, its helpers and epmd, as far as they run. Empty on another machine or boot."""
        if self.boot_id != boot_id():
            return []
        return [process for process in (self.server, *self.server.descendants(), self.epmd) if process.is_running()]


def recorded_node(data_dir: Path) -> NodeRecord | None:
    """The node that was last started on this data and not stopped in order; it need not run any more."""
    try:
        return NodeRecord.from_json(NodeFolder(data_dir).record.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None


def stop_recorded(record: NodeRecord, *, timeout_seconds: float = 30.0) -> None:
    """End a node that any process started: in order, by force after the time. Idempotent.

    Never signals a process that merely got the pid of one of the node's; a record of another boot or machine
    has nothing to end. Raises NodeError if some of the node cannot be ended.
    """
    processes = record.running()
    try:
        if processes and record.server.is_running():
            _detach_statistics(record)
            record.server.send(signal.SIGTERM)
            wait_until_ended([p for p in processes if p != record.epmd], timeout_seconds=timeout_seconds)
        kill_all(processes)
    except PermissionError as error:
        raise NodeError(
            f"The node in {record.data_dir} (pid {record.server.pid}) belongs to another user: stop it as that user."
        ) from error
    NodeFolder(Path(record.data_dir)).record.unlink(missing_ok=True)


def _detach_statistics(record: NodeRecord) -> None:
    """Spare the server a wait of 5 s. It can do without this.

    While it stops, RabbitMQ's management plugin (seen in 3.10) asks the very process that waits for it, until
    that times out. Without its event handler it does not ask.
    """
    program = find_erlang_program("erl_call")
    if program is None:
        return
    command = [str(program), "-timeout", "3", "-n", record.name]
    call = "gen_event delete_handler [rabbit_event,rabbit_mgmt_db_handler,[]]"
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(
            [*command, "-a", call],
            env=erlang_environment(Path(record.data_dir), epmd_port=record.epmd_port),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=5,
            check=False,
        )


def kill_all(processes: list[Process]) -> None:
    """SIGKILL, and wait until they have ended. Raises NodeError if one does not."""
    for process in processes:
        process.send(signal.SIGKILL)
    left = wait_until_ended(processes, timeout_seconds=_KILL_SECONDS)
    if left:
        pids = ", ".join(str(process.pid) for process in left)
        raise NodeError(f"These processes of the node do not end: {pids}. See what holds them with `ps`.")
