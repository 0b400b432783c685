"""The record of a private node's processes, with which any process can stop them, not only their parent."""

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
    """The processes of a node, to be stored as JSON. Pids alone would not identify them: they are reused."""

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
        """Read a record. Raises ValueError if the text is none."""
        try:
            fields = json.loads(text)
            server, epmd = Process(**fields.pop("server")), Process(**fields.pop("epmd"))
            return cls(server=server, epmd=epmd, **fields)
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"not the record of a node: {error}") from error

    def running(self) -> list[Process]:
        """Return those of the server, its helpers and epmd that run. Empty on another machine or boot."""
        if self.boot_id != boot_id():
            return []
        return [process for process in (self.server, *self.server.descendants(), self.epmd) if process.is_running()]


def recorded_node(data_dir: Path) -> NodeRecord | None:
    """Return the node that was last started on this data and not stopped; it need not run any more."""
    try:
        return NodeRecord.from_json(NodeFolder(data_dir).record.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None


def stop_recorded(record: NodeRecord, *, timeout_seconds: float = 30.0) -> None:
    """Stop a node that any process started: SIGTERM, after the timeout SIGKILL. Idempotent.

    Never signals an unrelated process that reuses a pid of the node; for a record of another boot or machine it does
    nothing. Raises NodeError if a process of the node cannot be stopped.
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
    """Spare the server a wait of 5 s; it stops without this, too.

    While the server stops, RabbitMQ's management plugin (seen in 3.10) calls the very process that waits for it, until
    the call times out. Without its event handler it does not call.
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
    """Send SIGKILL, and wait until the processes have ended. Raises NodeError if one does not."""
    for process in processes:
        process.send(signal.SIGKILL)
    left = wait_until_ended(processes, timeout_seconds=_KILL_SECONDS)
    if left:
        pids = ", ".join(str(process.pid) for process in left)
        raise NodeError(f"These processes of the node do not end: {pids}. Look at their state with `ps`.")
