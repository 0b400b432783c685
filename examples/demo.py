"""The main job, shown: ``make demo``.

Starts a private RabbitMQ, the store and the results service in a temporary folder, then does what the README does, with
the real commands and the same worker, and stops what it started.
"""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

SCHEDY = Path(sys.executable).parent / "schedy"
WORKER = Path(__file__).parent / "worker.py"
PATIENCE_SECONDS = 90.0


def main() -> int:
    """Run the demo; return its exit code: 0 if the job is DONE with result 5."""
    with tempfile.TemporaryDirectory(prefix="schedy-demo-") as folder:
        environment = {**os.environ, "SCHEDY_DATA_DIR": folder, "PYTHONUNBUFFERED": "1"}
        borrowed = "SCHEDY_BROKER_URL" in environment
        try:
            started = show(environment, "up", "--detach", *([] if borrowed else ["--private"]))
            output = walk(environment)
        except KeyboardInterrupt:
            say("Interrupted.")
            return 130
        finally:
            show(environment, "down")
    if "Status: DONE" not in output or "\n - result: 5\n" not in output:
        say("The job did not end as it should. Please report this with the output above.")
        return 1
    say("Done: the job is DONE, and its result is 5.")
    pages = next((line for line in started.splitlines() if "Dashboard" in line and "http" in line), "")
    if pages:
        say(f"While it ran, its web pages were at {pages.split()[1].partition('?')[0]}")
    say(f"To start it all again, and keep it:  {shlex.quote(str(SCHEDY))} up")
    return 0


def walk(environment: dict[str, str]) -> str:
    """Do what the README does; return the last output."""
    name = "MinimizeManual"
    show(environment, "add", name, "manual")
    with worker(environment, name):
        pushed = show(environment, "push", name, "-p", "x", "1", "y", "2")
        job_id = pushed.removeprefix("Id: ").split()[0]
        wait_until_final(environment, name, job_id)
        show(environment, "list", "-l", name)
        return show(environment, "show", name, job_id)


@contextlib.contextmanager
def worker(environment: dict[str, str], experiment: str) -> Iterator[None]:
    """Run the worker script in the background until the block ends."""
    print(f"\n$ python {WORKER.name} {experiment} &", flush=True)
    process = subprocess.Popen([sys.executable, str(WORKER), experiment], env=environment)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def wait_until_final(environment: dict[str, str], name: str, job_id: str) -> None:
    """Ask for the job until it is no longer QUEUED or RUNNING."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        shown = subprocess.run(
            [SCHEDY, "show", name, job_id], env=environment, capture_output=True, text=True, check=False
        )
        if "Status: QUEUED" not in shown.stdout and "Status: RUNNING" not in shown.stdout:
            return
        time.sleep(0.3)


def show(environment: dict[str, str], *arguments: str) -> str:
    """Run a command as a user would type it, show it with its output, and return the output."""
    print(f"\n$ schedy {shlex.join(arguments)}", flush=True)
    done = subprocess.run([SCHEDY, *arguments], env=environment, stdout=subprocess.PIPE, text=True, check=False)
    print(done.stdout, end="", flush=True)
    if done.returncode:
        raise SystemExit(done.returncode)
    return done.stdout


def say(text: str) -> None:
    print(f"\n# {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
