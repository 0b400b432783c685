"""`schedy up --detach`: the same command in the background."""

import re
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import click

from schedy.errors import SchedyError
from schedy.python_process import module_command
from schedy.settings import Settings
from schedy_cli.printing.messages import print_message
from schedy_cli.up.lock import AlreadyUpError
from schedy_cli.up.run_record import RunRecord

_READY_SECONDS = 200.0
_POLL_SECONDS = 0.1


def start_in_background(arguments: Sequence[str], settings: Settings) -> RunRecord:
    """Run `schedy` with the arguments in the background; return its record once everything is ready.

    Raises AlreadyUpError, and SchedyError if it fails or is not ready in time.
    """
    record = RunRecord.load(settings.run_file)
    if record is not None and record.is_up and record.ready:
        raise AlreadyUpError
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = settings.data_dir / "up.log"
    with log.open("wb") as output:
        log.chmod(0o600)
        child = subprocess.Popen(
            module_command("schedy_cli.main", *arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=output,
            start_new_session=True,
        )
    try:
        return _wait_until_ready(child, settings, log)
    except KeyboardInterrupt:
        child.terminate()
        child.wait()
        print_message("\nInterrupted. What had started was stopped again; the data stays.")
        raise click.exceptions.Exit(130) from None


def _wait_until_ready(child: "subprocess.Popen[bytes]", settings: Settings, log: Path) -> RunRecord:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        record = RunRecord.load(settings.run_file)
        if record is not None and record.ready and record.supervisor.pid == child.pid:
            return record
        if child.poll() is not None:
            raise _failure(log)
        time.sleep(_POLL_SECONDS)
    child.terminate()
    raise SchedyError(f"Schedy was not ready within {_READY_SECONDS:.0f} s. See {log}.")


def _failure(log: Path) -> SchedyError:
    """Return the error that ended `schedy up`: the end of its log, from the last error on."""
    text = log.read_text(errors="replace").strip()
    if str(AlreadyUpError()) in text.splitlines():
        return AlreadyUpError()
    *_, last = re.split(r"^Error: ", text, flags=re.MULTILINE)
    return SchedyError(last or f"`schedy up` ended at once. See {log}.")
