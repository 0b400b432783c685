"""The results service's side of the search process: starts it, asks it, and hands over what it answers."""

import contextlib
import logging
import queue
import subprocess
import sys
import threading
from collections.abc import Callable

from schedy_store.search.wire import ANSWER, ProcessEnded, Question, SearchAnswer

_log = logging.getLogger(__name__)

_END_SECONDS = 2.0


class SearchProcess:
    """Started by the first question. `ask` and `end` from the service's thread; answers come from another."""

    def __init__(self, store_url: str, *, name: str, on_answer: Callable[[SearchAnswer], None]) -> None:
        self._store_url = store_url
        self._name = name
        self._on_answer = on_answer
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def ask(self, question: Question) -> None:
        """Send a question; does not wait."""
        if self._process is None:
            self._start()
        self._lines.put(question.model_dump_json() + "\n")

    def kill(self) -> None:
        """End the process at once, whatever it does; that is told as its end."""
        if self._process is not None:
            self._process.kill()

    def end(self) -> None:
        """End the process; nothing more is told."""
        process, self._process = self._process, None
        if process is None:
            return
        self._lines.put(None)
        process.terminate()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _start(self) -> None:
        self._lines = queue.SimpleQueue()
        self._lines.put(self._store_url + "\n")
        self._process = process = subprocess.Popen(
            [sys.executable, "-m", "schedy_store.search.runner"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        threading.Thread(target=_write, args=(process, self._lines), name="schedy-search-out", daemon=True).start()
        threading.Thread(target=self._read, args=(process,), name="schedy-search-in", daemon=True).start()

    def _read(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        with contextlib.suppress(ValueError, OSError), process.stdout:
            for line in process.stdout:
                if process is self._process:
                    self._on_answer(ANSWER.validate_json(line))
        code = process.wait()
        if process is self._process:
            self._process = None
            how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
            self._on_answer(ProcessEnded(process=self._name, reason=f"The search process {how}."))


def _write(process: "subprocess.Popen[str]", lines: "queue.SimpleQueue[str | None]") -> None:
    """Write what is asked; a process that does not read keeps only this thread waiting."""
    assert process.stdin is not None  # noqa: S101 - it is a pipe
    with contextlib.suppress(ValueError, OSError), process.stdin:
        while (line := lines.get()) is not None:
            process.stdin.write(line)
