"""The data folder of `schedy up`: held by one at a time, and cleared of what a killed one has left running."""

import contextlib
import fcntl
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from schedy.errors import SchedyError
from schedy.settings import Settings
from schedy_broker_setup.node.node import recorded_node, stop_recorded
from schedy_broker_setup.node.processes import wait_until_ended
from schedy_cli.up.run_record import RunRecord
from schedy_store.schema.engine import network_file_system

_SERVICE_STOP_SECONDS = 20.0


class AlreadyUpError(SchedyError):
    """Another `schedy up` runs with the same data folder."""

    def __init__(self) -> None:
        super().__init__("Schedy is already up.")


@contextlib.contextmanager
def exclusive(settings: Settings) -> Iterator[None]:
    """Hold the data folder for one `schedy up`, and stop what a killed one has left running.

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
            raise AlreadyUpError from None
        stop_leftovers(settings)
        yield


def _check_owner(data_dir: Path) -> None:
    """Raise SchedyError where others may write: they could replace our files with their own."""
    found = data_dir.stat()
    if found.st_uid != os.getuid():
        raise SchedyError(f"The folder {data_dir} belongs to another user. Choose one of your own: --data-dir DIR.")
    if found.st_mode & 0o022:
        raise SchedyError(
            f"Others may write to the folder {data_dir}. Forbid it (chmod go-w), or choose another: --data-dir DIR."
        )


def stop_leftovers(settings: Settings) -> None:
    """Stop the pages, the service and the node of a `schedy up` that is gone, and remove its record."""
    record = RunRecord.load(settings.run_file)
    recorded = [] if record is None else [record.pages, record.service]
    children = [child for child in recorded if child is not None and child.is_running()]
    for child in children:
        child.send(signal.SIGTERM)
    for left in wait_until_ended(children, timeout_seconds=_SERVICE_STOP_SECONDS):
        left.send(signal.SIGKILL)
    node = recorded_node(settings.data_dir / "broker")
    if node is not None:
        stop_recorded(node)
    settings.run_file.unlink(missing_ok=True)
