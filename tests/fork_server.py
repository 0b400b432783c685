"""`schedy` as processes that begin at once: forked from one that has imported everything.

`python -m schedy_cli.main` imports for half a second, and the tests run hundreds of commands. A forked command differs
in nothing else: it has its own pid, streams, environment and exit code. Tests of imports, of terminals, of TLS and of
`schedy up` start the interpreter as users do.
"""

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import pkgutil
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple, NoReturn

import coverage

import schedy_cli.commands
import schedy_cli.main

_LONGEST_REQUEST = 200_000


class _Request(NamedTuple):
    """What a process is to be; its streams come as file descriptors."""

    arguments: list[str]
    environment: dict[str, str]
    folder: str


class Forked:
    """A running command, with the methods of subprocess.Popen that tests use. Not thread-safe."""

    def __init__(self, arguments: Sequence[str], status: socket.socket, *, output: Path) -> None:
        self.args = ["schedy", *arguments]
        self.returncode: int | None = None
        self._status = status
        self._output = output
        self.pid = int(status.recv(16))

    def poll(self) -> int | None:
        try:
            return self.wait(0.0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            self._status.settimeout(timeout)
            try:
                self.returncode = int(self._status.recv(16))
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0) from None
            self._status.close()
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, None]:
        """Wait for the end; return the output."""
        self.wait(timeout)
        return self._output.read_text(), None

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def start(arguments: Sequence[str], environment: Mapping[str, str], *, output: Path) -> Forked:
    """Start a command; its output and its errors are appended to the file `output`."""
    with Path(os.devnull).open("rb") as nothing, output.open("ab") as stream:
        return Forked(arguments, _forked(arguments, environment, [nothing, stream, stream]), output=output)


def run(
    arguments: Sequence[str], environment: Mapping[str, str], *, typed: str = "", timeout: float = 60.0
) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end."""
    with tempfile.TemporaryDirectory(prefix="schedy-command-") as folder:
        given, output, errors = (Path(folder) / name for name in ("input", "output", "errors"))
        given.write_text(typed)
        with given.open("rb") as reading, output.open("wb") as writing, errors.open("wb") as complaining:
            status = _forked(arguments, environment, [reading, writing, complaining])
        command = Forked(arguments, status, output=output)
        try:
            code = command.wait(timeout)
        except BaseException:
            command.kill()
            raise
        return subprocess.CompletedProcess(command.args, code, output.read_text(), errors.read_text())


def _forked(arguments: Sequence[str], environment: Mapping[str, str], streams: Sequence[IO[bytes]]) -> socket.socket:
    """Let the server fork; return the socket that brings the pid and, later, the exit code."""
    request = _Request(list(arguments), dict(environment), str(Path.cwd()))
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        descriptors = [*(stream.fileno() for stream in streams), theirs.fileno()]
        socket.send_fds(_server(), [json.dumps(request).encode()], descriptors)
    return ours


@functools.cache
def _server() -> socket.socket:
    """Start the server of this process; it ends with us."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        command = [sys.executable, "-u", "-m", __name__, str(theirs.fileno())]
        root = Path(__file__).parents[1]
        server = subprocess.Popen(command, cwd=root, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()])

    def _end() -> None:
        ours.close()
        server.wait(20)

    atexit.register(_end)
    return ours


def _serve(requests: socket.socket) -> None:
    """Fork a process for each request, until the other end is closed. One thread only, so that fork is safe."""
    selector = selectors.DefaultSelector()
    selector.register(requests, selectors.EVENT_READ)
    while True:
        for key, _events in selector.select():
            if key.fileobj is not requests:
                _report_end(selector, key)
                continue
            data, descriptors, _flags, _address = socket.recv_fds(requests, _LONGEST_REQUEST, 4)
            if not data:
                return
            pid = os.fork()
            if pid == 0:
                requests.close()
                _become(_Request(*json.loads(data)), descriptors)
            *streams, status = descriptors
            for stream in streams:
                os.close(stream)
            os.write(status, str(pid).encode())
            selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, status))


def _report_end(selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
    pid, status = key.data
    selector.unregister(key.fd)
    os.close(key.fd)
    _pid, end = os.waitpid(pid, 0)
    with contextlib.suppress(BrokenPipeError):  # nobody waits for it
        os.write(status, str(os.waitstatus_to_exitcode(end)).encode())
    os.close(status)


def _become(request: _Request, descriptors: list[int]) -> None:
    """Be a command from here on, and leave by its exit code."""
    for number, descriptor in enumerate(descriptors[:3]):
        os.dup2(descriptor, number)
    for descriptor in descriptors:
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(request.environment)
    os.chdir(request.folder)
    sys.path[1:1] = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.argv = [schedy_cli.main.__file__, *request.arguments]
    try:
        schedy_cli.main.main(request.arguments)
    except SystemExit as end:
        _leave(end.code if isinstance(end.code, int) else 1)
    except BaseException:
        traceback.print_exc()
        _leave(1)


def _leave(code: int) -> NoReturn:
    """End as the interpreter does, but free no objects: that would copy most of the memory that we share."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        code = 120
    os._exit(code)


def _import_commands() -> None:
    commands = pkgutil.iter_modules(schedy_cli.commands.__path__, "schedy_cli.commands.")
    for name in [*(module.name for module in commands), "schedy_store.service.loop"]:
        importlib.import_module(name)
    gc.freeze()  # the collector of a forked process then leaves these pages shared
    measuring = coverage.Coverage.current()
    if measuring is not None:
        measuring.save()  # once here; not by each process that is forked


if __name__ == "__main__":
    _import_commands()
    _serve(socket.socket(fileno=int(sys.argv[1])))
