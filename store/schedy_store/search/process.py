"""The service's end of a search process: starts it, sends it questions, and hands over its answers."""

import contextlib
import os
import queue
import subprocess
import threading
from collections.abc import Callable

from schedy.python_process import module_command
from schedy_store.search.output import log_output
from schedy_store.search.wire import ProcessEnded, Question, SearchAnswer, read_answer, write_line

_END_SECONDS = 2.0


class SearchProcess:
    """A search process: the first question starts it, and so does the first one after it has ended.

    Methods are called in one thread, the service's, and none waits for an answer. `on_answer` is called in another.
    """

    def __init__(self, store_url: str, *, name: str, on_answer: Callable[[SearchAnswer], None]) -> None:
        self._store_url = store_url
        self._name = name
        self._on_answer = on_answer
        self._child: _Child | None = None

    def ask(self, question: Question) -> None:
        """Send a question."""
        if self._child is None or self._child.has_ended.is_set():
            self._child = _Child(name=self._name, on_answer=self._on_answer)
            self._child.lines.put(self._store_url + "\n")
        self._child.lines.put(write_line(question))

    def kill(self) -> None:
        """Kill the process, whatever it does; its end arrives as `ProcessEnded`."""
        if self._child is not None:
            self._child.process.kill()

    def end(self) -> None:
        """End the process; nothing more arrives from it."""
        child, self._child = self._child, None
        if child is not None:
            child.abandon()


class _Child:
    """One run of the process, with a thread for each of its pipes.

    `_read`, `_write` and `_log` run in these threads, everything else in the service's; two events and a queue connect
    them.
    """

    def __init__(self, *, name: str, on_answer: Callable[[SearchAnswer], None]) -> None:
        self._name = name
        self._on_answer = on_answer
        self._is_abandoned = threading.Event()
        self.has_ended = threading.Event()
        self.lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        """Lines to write; None is the last."""
        self.process = subprocess.Popen(
            module_command("schedy_store.search.runner"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        threading.Thread(target=self._log, name="schedy-search-log", daemon=True).start()
        threading.Thread(target=self._write, name="schedy-search-out", daemon=True).start()
        threading.Thread(target=self._read, name="schedy-search-in", daemon=True).start()

    def abandon(self) -> None:
        """End the process and wait until it has ended."""
        self._is_abandoned.set()
        self.lines.put(None)
        self.process.terminate()
        try:
            self.process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _read(self) -> None:
        """Hand over answers until the process ends, then its end."""
        assert self.process.stdout is not None  # noqa: S101 - it is a pipe
        with contextlib.suppress(ValueError, OSError), self.process.stdout:
            for line in self.process.stdout:
                if not self._is_abandoned.is_set():
                    self._on_answer(read_answer(line))
        code = self.process.wait()
        self.has_ended.set()
        self.lines.put(None)
        if not self._is_abandoned.is_set():
            how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
            self._on_answer(ProcessEnded(process=self._name, reason=f"The search process {how}."))

    def _log(self) -> None:
        assert self.process.stderr is not None  # noqa: S101 - it is a pipe
        with contextlib.suppress(OSError), self.process.stderr:
            raw = os.fdopen(self.process.stderr.fileno(), "rb", closefd=False)
            log_output(raw, process=self._name)

    def _write(self) -> None:
        """Write what `lines` brings; a process that does not read blocks only this thread."""
        assert self.process.stdin is not None  # noqa: S101 - it is a pipe
        with contextlib.suppress(ValueError, OSError), self.process.stdin:
            while (line := self.lines.get()) is not None:
                self.process.stdin.write(line)
