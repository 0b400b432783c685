"""The ports of the private node, kept in the data folder: workers that wait for the broker find it again."""

import json
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from schedy.errors import SchedyError
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

    reservations: tuple[socket.socket, ...] = field(default=(), compare=False, repr=False)
    """Keep others that run `schedy up` on this machine away from the ports, until they are closed."""

    @classmethod
    def choose(cls, data_dir: Path, *, amqp: int | None = None) -> Self:
        """Return the ports of the last start if they are free; `amqp` is used whether it is free or not.

        Raises SchedyError if another `schedy up` has `amqp`.
        """
        kept = kept_ports(data_dir)
        first = amqp or (_AMQP_PORT if kept is None else kept.amqp)
        new, reservation = _asked_for(first) if amqp is not None else reserved_free(first)
        is_moved = kept is not None and amqp is None and new != kept.amqp
        management, other = reserved_free(_MANAGEMENT_PORT if kept is None else kept.management)
        return cls(
            amqp=new,
            management=management,
            notes=(_moved(first, new),) if is_moved else (),
            reservations=(reservation, other),
        )

    def close(self) -> None:
        """Let others have the ports."""
        for reservation in self.reservations:
            reservation.close()

    def save(self, data_dir: Path) -> None:
        """Keep the ports for the next start."""
        (data_dir / _FILE).write_text(json.dumps({"amqp": self.amqp, "management": self.management}))


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


def _asked_for(port: int) -> tuple[int, socket.socket]:
    reservation = _reserved(port)
    if reservation is None:
        raise SchedyError(f"Port {port} belongs to another `schedy up` on this machine. Choose another: --port PORT.")
    return port, reservation


def reserved_free(preferred: int) -> tuple[int, socket.socket]:
    """Return the preferred port if it is free, else any free one; with its reservation."""
    port = preferred
    while True:
        reservation = _reserved(port)
        if reservation is not None:
            if _is_free(port):
                return port, reservation
            reservation.close()
        port = free_port()


def _reserved(port: int) -> socket.socket | None:
    """Reserve a port among those who run `schedy up` on this machine; None if another has it.

    The port itself cannot be held for the node, which is to bind it. So a name of Linux's abstract namespace stands
    for it, which goes with the process.
    """
    reservation = socket.socket(socket.AF_UNIX)
    try:
        reservation.bind(f"\0schedy-up-port-{port}")
    except OSError:
        reservation.close()
        return None
    return reservation


def _is_free(port: int) -> bool:
    for host in ("0.0.0.0", "127.0.0.1"):  # noqa: S104 - probed, not served
        with socket.socket(socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                return False
    return True
