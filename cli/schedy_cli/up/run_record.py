"""The record of a running `schedy up`, for other processes: a file that only its owner may read."""

import json
import os
import socket
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from schedy.settings import read_run_file
from schedy_broker_setup.node.processes import Process, boot_id


@dataclass(frozen=True)
class RunRecord:
    """URLs and processes. Other commands on this host use `broker_url` and `store_url` as settings."""

    supervisor: Process
    broker_url: str
    store_url: str
    management_url: str | None = None
    worker_urls: list[str] = field(default_factory=list)
    """The broker URLs of a worker and a pusher on other machines, with `--listen`."""
    listen: str | None = None
    """The IP address on which other machines reach the broker."""
    notes: list[str] = field(default_factory=list)
    """What the user should know about the choice of the broker."""
    service: Process | None = None
    pages: Process | None = None
    pages_port: int | None = None
    """The port of the web pages; None if they are not installed."""
    ready: bool = False
    host: str = field(default_factory=socket.gethostname)
    boot: str = field(default_factory=boot_id)

    @property
    def is_up(self) -> bool:
        """True while the `schedy up` that wrote this runs."""
        return self.boot == boot_id() and self.supervisor.is_running()

    @property
    def has_own_broker(self) -> bool:
        """True if the broker is the private node, whose passwords Schedy has made; others are not to be shown."""
        return self.management_url is not None

    def save(self, path: Path) -> None:
        """Write the file at once or not at all, readable only by its owner."""
        draft = path.with_suffix(".new")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(asdict(self), file)
        draft.replace(path)

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """Return the record of this host; None if there is none, or it cannot be read."""
        fields: dict[str, Any] = read_run_file(path)
        try:
            supervisor = Process(**fields.pop("supervisor"))
            service, pages = (_process(fields.pop(name, None)) for name in ("service", "pages"))
            return cls(supervisor=supervisor, service=service, pages=pages, **fields)
        except (KeyError, TypeError):
            return None


def _process(fields: dict[str, Any] | None) -> Process | None:
    return Process(**fields) if fields else None
