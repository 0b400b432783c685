"""A worker that runs several trials at once, until nothing is left or the user stops it."""

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any

import schedy
from schedy.errors import UnhealthyWorkerError
from schedy.working import JobSource
from schedy_cli.running.programs import Programs
from schedy_cli.running.trials import Stopping, TrialEnd, Trials, give_back

_JOIN_SECONDS = 5.0
_LONG_END_SECONDS = 1.0
_LOOK_SECONDS = 0.25
_REPORT_SECONDS = 3.0
_LONG_START_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class SlotEnd:
    """A slot that takes no more jobs, since there are none or because of an error."""

    reason: BaseException | None = None


@dataclass(frozen=True, slots=True)
class StopSignal:
    """A signal that ends the worker."""

    number: int


@dataclass(frozen=True, slots=True)
class StillRunning:
    """So many trials take long to end after the worker was stopped."""

    count: int


@dataclass(frozen=True, slots=True)
class NoTrialYet:
    """For a while there was no job to take."""


Event = TrialEnd | SlotEnd | StopSignal | StillRunning | NoTrialYet


class Worker:
    """Takes jobs in so many threads. `run` is for the main thread, which handles the signals."""

    def __init__(
        self,
        experiments: Callable[[], schedy.Experiment],
        trials: Trials,
        programs: Programs,
        stopping: Stopping,
        *,
        jobs: int,
        until_empty: bool,
        stop_signals: Iterable[str],
    ) -> None:
        """`experiments` returns an object of the experiment for a thread of its own."""
        self._experiments = experiments
        self._trials = trials
        self._programs = programs
        self._stopping = stopping
        self._slots = jobs
        self._timeout = 0 if until_empty else None
        self._stop_signals = list(stop_signals)
        self._events: SimpleQueue[Event] = SimpleQueue()
        self._lock = threading.Lock()
        self._begun = 0
        self._ended = 0

    def run(self, handle: Callable[[Event], None], stop_taking: Callable[[], None]) -> None:
        """Run trials until every slot has ended, or the worker is stopped, and pass on what happens.

        `stop_taking` wakes the slots that wait for a job. Whatever `handle` raises stops the worker first.
        """
        threads = [threading.Thread(target=self._work, args=(slot,), daemon=True) for slot in range(self._slots)]
        with self._handled_signals():
            for thread in threads:
                thread.start()
            try:
                self._follow(handle)
                stop_taking()  # else a slot that waits takes a job that another gives back
                self._await_trials(handle)
            except BaseException:
                self._stopping.stop()
                stop_taking()
                self._await_trials(lambda _event: None)
                raise
            finally:
                until = time.monotonic() + (_JOIN_SECONDS if not self.unfinished else 0.0)
                for thread in threads:
                    thread.join(max(0.0, until - time.monotonic()))

    def _follow(self, handle: Callable[[Event], None]) -> None:
        left = self._slots
        patience: float | None = _LONG_START_SECONDS
        while left and not self._stopping.soon:
            try:
                event = self._next_event(patience)
            except Empty:
                event = NoTrialYet()
            patience = None
            if isinstance(event, NoTrialYet) and self._begun:
                continue
            left -= isinstance(event, SlotEnd)
            handle(event)

    def _await_trials(self, handle: Callable[[Event], None]) -> None:
        """Wait until no trial runs: those that do end by themselves, or are ended by their threads.

        After a stop signal the reports of trials that have ended are waited for, but not for ever: the broker may be
        away, and what it does not take is kept in a file when the connection is closed.
        """
        began, is_said = time.monotonic(), False
        while self.unfinished:
            try:
                handle(self._next_event(_LOOK_SECONDS))
            except Empty:
                running = self._programs.running
                if not running and self._stopping.is_past(_REPORT_SECONDS):
                    return
                if running and not is_said and time.monotonic() > began + _LONG_END_SECONDS:
                    is_said = True
                    handle(StillRunning(running))

    def _next_event(self, timeout: float | None = None) -> Event:
        event = self._events.get(timeout=timeout)
        if isinstance(event, TrialEnd):
            with self._lock:
                self._ended += 1
        return event

    @property
    def unfinished(self) -> int:
        """The number of trials whose end was not passed on yet."""
        with self._lock:
            return self._begun - self._ended

    def _work(self, slot: int) -> None:
        reason: BaseException | None = None
        try:
            with contextlib.closing(JobSource(self._experiments(), schedy.Job, stays=True)) as source:
                while not self._stopping.soon:
                    self._run(source.next(self._timeout), slot)
        except (Exception, UnhealthyWorkerError) as error:
            reason = error
        self._events.put(SlotEnd(None if self._stopping.soon else reason))

    def _run(self, job: schedy.Job, slot: int) -> None:
        with self._lock:
            self._begun += 1
        end = TrialEnd(job.job_id, "given back", {}, 0.0)
        try:
            if self._stopping.soon:
                give_back(job)
            else:
                end = self._trials.run(job, slot)
            if end.outcome == "refused" and not self._stopping.now.is_set():
                self._stopping.stop()
        finally:
            self._events.put(end)

    @contextlib.contextmanager
    def _handled_signals(self) -> Iterator[None]:
        before: dict[signal.Signals, Any] = {}
        for name in ("INT", *self._stop_signals):
            number = signal.Signals[f"SIG{name}"]
            if signal.getsignal(number) != signal.SIG_IGN:
                before[number] = signal.signal(number, self._stop)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        self._stopping.stop()
        self._events.put(StopSignal(number))
