"""What `schedy run` prints: a line for each trial that ends, and a summary."""

import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import click

from schedy.errors import NoJobError
from schedy.escaping import printable
from schedy.search.algorithms import MANUAL
from schedy.search.definition import Definition
from schedy.wire.base import FINAL_STATUSES
from schedy.wire.records import ExperimentRecord
from schedy_cli.interruption import schedy_words
from schedy_cli.printing.messages import print_message
from schedy_cli.printing.text import coloured_status
from schedy_cli.running.output_lines import plain
from schedy_cli.running.trials import TrialEnd
from schedy_cli.running.worker import StillRunning

_LOOK_SECONDS = 0.3
"""The experiment is looked at no more often than this; between, what ended here is added to the last look."""


@dataclass(frozen=True, slots=True)
class Look:
    """How an experiment is getting on. `best` is a job's id with its value, `left` how long it will take, in words."""

    ended: int
    total: int | None = None
    best: tuple[str, float] | None = None
    left: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Jobs by their statuses."""
    is_complete: bool = False
    search_end: str | None = None


def look_at(record: ExperimentRecord) -> Look:
    """Return a look at an experiment as it is stored."""
    ended = sum(record.job_counts.get(status, 0) for status in FINAL_STATUSES)
    total = sum(record.job_counts.values()) if record.scheduler == MANUAL else record.settings.get("max_jobs")
    return Look(
        ended, total, counts=record.job_counts, is_complete=record.status == "DONE", search_end=record.search_end
    )


class Progress:
    """Prints how trials end. Lives in the main thread."""

    def __init__(
        self, name: str, definition: Definition, look: Callable[[], Look | None], ended_here: Callable[[], int]
    ) -> None:
        """`look` asks how the experiment is getting on; it returns None if that cannot be found out now.

        `ended_here` returns how many trials of this worker have ended, also those not printed yet.
        """
        self._name = name
        self._definition = definition
        self._look = look
        self._ended_here = ended_here
        self._seen = Look(0)
        self._look_due = 0.0
        self._number = 0
        self._elsewhere = 0
        """Jobs that have ended, but for the trials of this worker."""
        self.outcomes: Counter[str] = Counter()
        self.last_crash: TrialEnd | None = None

    def trial(self, end: TrialEnd) -> None:
        """Print the line of a trial that has ended with a final status."""
        self.outcomes[end.outcome] += 1
        if end.outcome == "CRASHED":
            self.last_crash = end
        if end.outcome == "lost":
            print_message(f"{end.job_id}: {end.detail}")
        if end.outcome in FINAL_STATUSES:
            self._update()
            click.echo(self._line(end))

    def summary(self, look: Look | None, nothing_left: NoJobError | None) -> None:
        """Print how the experiment stands when no job is left: the best, how to see it, how to add more."""
        if look is None or not look.is_complete:
            click.echo(f"{nothing_left} {sum(self.outcomes.values())} trial(s) ended here.")
            return
        counts = ", ".join(f"{number} {status}" for status, number in look.counts.items() if number)
        click.echo(f"{self._name} is complete: {counts}.")
        if look.best is not None:
            job_id, value = look.best
            click.echo(f"Best: {value_text(value)} ({job_id}), see {schedy_words('show', self._name, job_id)}")
        if look.counts.get("CRASHED"):
            click.echo(f"Try those that crashed again: {schedy_words('retry', self._name, '--status', 'CRASHED')}")
        if self._definition.max_jobs is not None:
            click.echo(f"20 more: {schedy_words('set', self._name, '--max-jobs', '+20')}, and run this again")

    def _update(self) -> None:
        now = time.monotonic()
        if now >= self._look_due and (found := self._look()):
            self._look_due = time.monotonic() + _LOOK_SECONDS
            self._seen = found
            self._elsewhere = max(0, found.ended - self._ended_here())
        printed = sum(self.outcomes[outcome] for outcome in FINAL_STATUSES)
        self._number = max(self._number + 1, self._elsewhere + printed)

    def _line(self, end: TrialEnd) -> str:
        of = f"/{self._seen.total}" if self._seen.total is not None else ""
        parts = [f"[{self._number}{of}] {end.job_id} {self._value(end)}in {seconds_text(end.seconds)}"]
        if end.outcome == "CRASHED":
            parts[0] += f": {printable(end.detail.splitlines()[0])}"
            return _fitted(parts[0])
        if self._seen.best is not None:
            job_id, value = self._seen.best
            parts.append(f"best {value_text(value)} ({job_id})")
        if self._seen.left:
            parts.append(self._seen.left)
        return "  ".join(parts)

    def _value(self, end: TrialEnd) -> str:
        values = [
            value_text(end.results[objective.result])
            for objective in self._definition.objectives
            if objective.result in end.results
        ]
        words = [*([] if end.outcome == "DONE" and values else [coloured_status(end.outcome)]), *values]
        return "".join(f"{word} " for word in words)


def still_running_text(event: StillRunning, grace_seconds: float | None) -> str:
    """Return that trials take their time to end, within the grace seconds if they were sent SIGTERM."""
    until = "that still run"
    if grace_seconds is not None:
        until = f"to end, up to {grace_seconds:g} s; Ctrl-C again kills them"
    return f"Waiting for {event.count} trial(s) {until}."


def seconds_text(seconds: float) -> str:
    """Return a duration as in ``6.2 s``, ``4 min 10 s``, ``3 h 05 min``."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 100:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def value_text(value: Any) -> str:
    """Return a number with four significant digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def hyperparameters_text(values: Mapping[str, Any]) -> str:
    """Return hyperparameters in one line."""
    return "  ".join(f"{name} {value_text(value)}" for name, value in values.items())


def _fitted(line: str) -> str:
    """Return a line that fits on the terminal, if it goes to one."""
    columns = shutil.get_terminal_size().columns
    if not sys.stdout.isatty() or len(click.unstyle(line)) <= columns:
        return line
    return click.unstyle(line)[: columns - 3] + "..."


def echo_line(job_id: str, line: bytes) -> None:
    """Print a line of a program's output, with the job before it."""
    text = printable(plain(line).decode("utf-8", "replace"))
    click.echo(f"{job_id} | {text}")


def stopped_text(number: int, given_back: int) -> str:
    """Return the sentence of a worker that a signal has stopped."""
    how = "Interrupted" if number == signal.SIGINT else f"Stopped by {signal.Signals(number).name}"
    if not given_back:
        return f"{how}; no job was running."
    return f"{how}; {given_back} job(s) were given back and are queued again."


def refused_text(end: TrialEnd, given_back: int) -> str:
    """Return why no trial can run: the program could not be started, or did not take its arguments."""
    text = end.detail if end.code is None else f"{end.detail}\n\nThe program refused its arguments (exit code 2)."
    return f"{text} {given_back} job(s) were given back and are queued again."
