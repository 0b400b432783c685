"""One attempt at a job: a program runs, and what it prints is kept, read for results, and reported."""

import os
import select
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from schedy_cli.running.findings import Findings
from schedy_cli.running.output_file import OutputFile
from schedy_cli.running.output_lines import OutputLines, Tail, Unsent
from schedy_cli.running.programs import Program, Programs

_READ_BYTES = 262_144
_LARGE_READ = 32_768
_FREE_READS = 50
_PAUSE_SECONDS = 0.02
_MOST_LAST_READS = 64
"""Reads after a program has ended: processes that it has left may go on writing."""
_SHORTEST_PAUSE = 0.0005
_LOOK_SECONDS = 0.25
"""Longest time until the end of a program that holds no output open, or a wish to end it, is noticed."""
_REPORT_SECONDS = 0.25
_MOST_POINTS = 500
"""Points that are reported at once; of more, some at equal distances are, the last among them."""
_OUTPUT_SECONDS = 1.0
_KEPT_BYTES = 65_536


class Observer(Protocol):
    """Who follows an attempt, in the thread of the attempt."""

    def points(self, points: Mapping[int, Mapping[str, float]]) -> None:
        """Take new points of the learning curve, by step."""

    def output(self, text: str, end: int) -> None:
        """Take the output since the last call, which ends with byte number `end` of all, in UTF-8."""

    def lines(self, lines: Sequence[bytes]) -> None:
        """Take further lines."""

    def must_end(self) -> bool:
        """Return True if the program is to be ended."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A program that has ended. `code` is as in `subprocess`; `was_told` if it was sent the signal to end."""

    code: int
    was_told: bool
    seconds: float
    last_output: str


class Attempt:
    """One attempt. Lives in the thread that runs it."""

    def __init__(
        self,
        programs: Programs,
        findings: Findings,
        observer: Observer,
        file: OutputFile,
        *,
        grace: Callable[[], float],
    ) -> None:
        """`grace` returns the seconds between SIGTERM and SIGKILL; it is asked again while they pass."""
        self._programs = programs
        self._findings = findings
        self._observer = observer
        self._file = file
        self._grace = grace
        self._lines = OutputLines()
        self._tail = Tail(_KEPT_BYTES)
        self._unsent = Unsent(_KEPT_BYTES)
        self._told_at: float | None = None
        self._report_due = 0.0
        self._output_due = 0.0
        self._has_output = False

    def run(self, words: Sequence[str], environment: Mapping[str, str], *, slot: int) -> Ended:
        """Run the program to its end. Raises NotStartedError."""
        started = time.monotonic()
        program = self._programs.start(words, environment, slot=slot)
        try:
            self._follow(program)
        finally:
            if not program.has_ended:
                program.signal(signal.SIGKILL)
            code = self._programs.end(program, grace_seconds=self._grace())
        self._take_lines(self._lines.end())
        self._report(0.0)
        self._file.close()
        return Ended(code, self._told_at is not None, time.monotonic() - started, self._tail.text)

    def _follow(self, program: Program) -> None:
        """Read until the program has ended, and then what is left in the pipe."""
        os.set_blocking(program.output.fileno(), False)
        poll = select.poll()
        poll.register(program.output, select.POLLIN)
        pace, closed_pause = _Pace(), _SHORTEST_PAUSE
        is_open = True
        while not program.has_ended:
            self._look(program)
            if is_open:
                poll.poll(_LOOK_SECONDS * 1000)
                is_open = self._read(program, pace) is not None
            else:
                time.sleep(closed_pause)
                closed_pause = min(2 * closed_pause, _LOOK_SECONDS)
        for _ in range(_MOST_LAST_READS if is_open else 0):
            if not self._read(program, _Pace()):
                break

    def _read(self, program: Program, pace: "_Pace") -> int | None:
        """Read what there is; return the number of bytes, None if the output is closed."""
        try:
            data = os.read(program.output.fileno(), _READ_BYTES)
        except BlockingIOError:
            return 0
        if not data:
            return None
        self._take(data)
        pace.wait_after(len(data))
        return len(data)

    def _take(self, data: bytes) -> None:
        self._file.write(data)
        self._tail.feed(data)
        self._unsent.feed(data)
        self._has_output = True
        self._take_lines(self._lines.feed(data))

    def _take_lines(self, lines: Sequence[bytes]) -> None:
        self._findings.read(lines)
        self._observer.lines(lines)

    def _look(self, program: Program) -> None:
        """Report what is new, and end the program if that is wanted."""
        now = time.monotonic()
        self._report(now)
        if self._told_at is None:
            if self._observer.must_end():
                self._told_at = now
                program.signal(signal.SIGTERM)
                program.signal(signal.SIGCONT)  # else a stopped one does not notice
        elif now >= self._told_at + self._grace():
            program.signal(signal.SIGKILL)

    def _report(self, now: float) -> None:
        """Report points and output, each if it is due; all, if `now` is 0."""
        if not now or now >= self._report_due:
            self._report_due = now + _REPORT_SECONDS
            if points := self._findings.take_points():
                self._observer.points(_thinned(points))
        if self._has_output and (not now or now >= self._output_due):
            self._output_due = now + _OUTPUT_SECONDS
            self._has_output = False
            self._observer.output(*self._unsent.take())


class _Pace:
    """Lets output that comes in many small pieces gather, so that it is read in few: each costs a processor's time."""

    def __init__(self) -> None:
        self._reads = float(_FREE_READS)
        self._last = time.monotonic()

    def wait_after(self, size: int) -> None:
        """Wait a little after a read of that size, if there were many of late."""
        now = time.monotonic()
        self._reads = min(self._reads + (now - self._last) / _PAUSE_SECONDS, _FREE_READS) - 1
        self._last = now
        if self._reads < 0 and size < _LARGE_READ:
            time.sleep(_PAUSE_SECONDS)


def _thinned(points: Mapping[int, Mapping[str, float]]) -> Mapping[int, Mapping[str, float]]:
    if len(points) <= _MOST_POINTS:
        return points
    stride = -(-len(points) // _MOST_POINTS)
    last = len(points) - 1
    return {step: values for place, (step, values) in enumerate(points.items()) if (last - place) % stride == 0}
