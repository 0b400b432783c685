"""The ports of the private node, kept in the data folder: workers that wait for the broker find it again."""

import json
import socket
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from schedy_broker_setup.node.node import free_port

_FILE = "broker-ports.json"
_AMQP_PORT = 5672
_MANAGEMENT_PORT = 15672


@dataclass(frozen=True)
class Ports:
    """The ports of one start of the node."""

    amqp: int
    management: int
    notes: tuple[str, ...] = field(default=(), compare=False)
    """What the user should know about them."""

    @classmethod
    def choose(cls, data_dir: Path, *, amqp: int | None = None) -> Self:
        """Return the ports of the last start if they are free; `amqp` is used whether it is free or not."""
        kept = kept_ports(data_dir)
        if amqp is None and kept is not None and not _is_free(kept.amqp):
            new = _free(_AMQP_PORT)
            notes: tuple[str, ...] = (_moved(kept.amqp, new),)
        else:
            new, notes = amqp or (kept.amqp if kept is not None else _free(_AMQP_PORT)), ()
        wanted = _MANAGEMENT_PORT if kept is None else kept.management
        return cls(amqp=new, management=_free(wanted), notes=notes)

    def save(self, data_dir: Path) -> None:
        """Keep the ports for the next start."""
        ports = {name: value for name, value in asdict(self).items() if name != "notes"}
        (data_dir / _FILE).write_text(json.dumps(ports))


def kept_ports(data_dir: Path) -> Ports | None:
    """Return the ports of the last start of the private node; None if there was none in this data folder."""
    try:
        return Ports(**json.loads((data_dir / _FILE).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _moved(old: int, new: int) -> str:
    return (
        f"Port {old}, which the private broker had before, is taken: it has port {new} now. Workers that wait for it at"
        f" port {old} do not find it. To go back, free the port (`ss -ltnp 'sport = :{old}'` shows what uses it), then"
        f" `schedy down` and `schedy up --port {old}`."
    )


def _free(preferred: int) -> int:
    """Return the preferred port if it is free, else any free one."""
    return preferred if _is_free(preferred) else free_port()


def _is_free(port: int) -> bool:
    for host in ("0.0.0.0", "127.0.0.1"):  # noqa: S104 - probed, not served
        with socket.socket(socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                return False
    return True
