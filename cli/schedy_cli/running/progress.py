"""What `schedy run` prints: a line for each trial that ends, and a summary."""

import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator

import click

from schedy.errors import NoJobError
from schedy.escaping import printable
from schedy.results.overview import ended_jobs
from schedy.results.rounding import about, duration, short_value
from schedy.search.definition import Definition, as_observation
from schedy.wire.answers import OverviewAnswer
from schedy.wire.base import FINAL_STATUSES
from schedy.wire.records import JobRecord
from schedy_cli.interruption import schedy_words
from schedy_cli.printing.text import coloured_status
from schedy_cli.running.output_lines import plain
from schedy_cli.running.trials import TrialEnd
from schedy_cli.running.worker import StillRunning

_LOOK_SECONDS = 0.3
"""The experiment is looked at no more often than this."""


class Progress:
    """Prints how trials end. Lives in the main thread."""

    def __init__(
        self,
        name: str,
        definition: Definition,
        ask: Callable[[], OverviewAnswer | None],
        ended_here: Callable[[], int],
    ) -> None:
        """`ask` asks how the experiment is getting on; it returns None if that cannot be found out now.

        `ended_here` returns how many trials of this worker have ended, also those not printed yet.
        """
        self._name = name
        self._definition = definition
        self._ask = ask
        self._ended_here = ended_here
        self._seen: OverviewAnswer | None = None
        self._look_due = 0.0
        self._best_here: TrialEnd | None = None
        """The best trial of this worker: the store may not have it yet."""
        self._number = 0
        self._elsewhere = 0
        """Jobs that have ended, but for the trials of this worker."""
        self.outcomes: Counter[str] = Counter()
        self.last_crash: TrialEnd | None = None
        self.lacking = 0
        """Trials of programs that ended well and have not printed an objective."""

    def trial(self, end: TrialEnd) -> None:
        """Print the line of a trial that has ended with a final status."""
        self.outcomes[end.outcome] += 1
        self.lacking += bool(end.lacks)
        if end.outcome == "CRASHED":
            self.last_crash = end
        if end.outcome in FINAL_STATUSES:
            self.look()
            self._note_best(end)
            printed = sum(self.outcomes[outcome] for outcome in FINAL_STATUSES)
            self._number = max(self._number + 1, self._elsewhere + printed)
            click.echo(_fitted("  ".join(self._parts(end))))

    def look(self) -> None:
        """Look at the experiment, unless that was done a moment ago."""
        if time.monotonic() >= self._look_due and (found := self._ask()):
            self._look_due = time.monotonic() + _LOOK_SECONDS
            self._seen = found
            self._elsewhere = max(self._elsewhere, ended_jobs(found.experiment) - self._ended_here())

    def _parts(self, end: TrialEnd) -> Iterator[str]:
        seen = self._seen
        total = None if seen is None or seen.open_jobs is None else ended_jobs(seen.experiment) + seen.open_jobs
        of = "" if total is None else f"/{total}"
        line = f"[{self._number}{of}] {end.job_id} {self._values(end)}in {duration(end.seconds)}"
        if end.outcome == "CRASHED":
            yield f"{line}: {printable(end.detail.splitlines()[0])}"
            return
        yield line
        if seen is None:
            return
        if best := self._best_now(seen):
            yield f"best {short_value(best.results[self._definition.objectives[0].result])} ({best.job_id})"
        if seen.seconds_left is not None and self._number != total:
            yield f"{about(seen.seconds_left)} left"

    def _values(self, end: TrialEnd) -> str:
        names = [objective.result for objective in self._definition.objectives]
        values = [short_value(end.results[name]) for name in names if name in end.results]
        words = [*([] if end.outcome == "DONE" and values else [coloured_status(end.outcome)]), *values]
        return "".join(f"{word} " for word in words)

    def _best(self, seen: OverviewAnswer) -> JobRecord | None:
        """Return the best job where there is one objective."""
        return seen.best[0] if seen.best and len(self._definition.objectives) == 1 else None

    def _note_best(self, end: TrialEnd) -> None:
        """Remember a trial that is better than those before it, where that can be told here."""
        if end.outcome != "DONE" or len(self._definition.objectives) != 1 or self._definition.constraints:
            return
        objective, before = self._definition.objectives[0], self._best_here
        value = as_observation(end.results.get(objective.result))
        if value is not None and (before is None or objective.better(value, before.results[objective.result])):
            self._best_here = end

    def _best_now(self, seen: OverviewAnswer) -> JobRecord | TrialEnd | None:
        """Return the best job, or the best trial of this worker, if that is better."""
        best, here = self._best(seen), self._best_here
        if best is None or here is None:
            return best or here
        objective = self._definition.objectives[0]
        return here if objective.better(here.results[objective.result], best.results[objective.result]) else best

    def summary(self, seen: OverviewAnswer | None, nothing_left: NoJobError | None) -> None:
        """Print how the experiment stands when no job is left: the best, how to see it, how to add more."""
        if seen is None or seen.experiment.status != "DONE":
            click.echo(f"{nothing_left} Trials that ended here: {sum(self.outcomes.values())}.")
            return
        counts = seen.experiment.job_counts
        click.echo(
            f"{self._name} is complete: {', '.join(f'{count} {name}' for name, count in counts.items() if count)}."
        )
        if best := self._best(seen):
            values = "  ".join(f"{name} {short_value(value)}" for name, value in best.hyperparameters.items())
            objective = self._definition.objectives[0].result
            click.echo(_fitted(f"Best {objective} {short_value(best.results[objective])} ({best.job_id}): {values}"))
        if seen.best:
            click.echo(f"  {schedy_words('best', self._name)} shows it, and the command that repeats it")
        if counts.get("CRASHED"):
            last = seen.last_crashed.job_id if seen.last_crashed else "JOB"
            click.echo(f"  {schedy_words('output', self._name, last)} shows why the last one crashed")
            click.echo(f"  {schedy_words('retry', self._name, '--status', 'CRASHED')} queues the crashed jobs again")
        if self._definition.max_jobs is not None:
            click.echo(f"  {schedy_words('set', self._name, '--max-jobs', '+20')} adds 20 more; then run this again")


def still_running_text(event: StillRunning, grace_seconds: float | None) -> str:
    """Return that trials take their time to end, within the grace seconds if they were sent SIGTERM."""
    until = "that still run"
    if grace_seconds is not None:
        until = f"to end, up to {grace_seconds:g} s; Ctrl-C again kills them"
    return f"Waiting for {event.count} trial(s) {until}."


def stopped_text(number: int, *, given_back: int, unfinished: int) -> str:
    """Return the sentence of a worker that a signal has stopped; `unfinished` trials could not report their end."""
    parts = ["Interrupted" if number == signal.SIGINT else f"Stopped by {signal.Signals(number).name}"]
    if given_back:
        parts.append(f"{given_back} job(s) were given back to the queue")
    if unfinished:
        parts.append(f"the end of {unfinished} trial(s) could not be reported")
    if not given_back and not unfinished:
        parts.append("no job was running")
    return f"{'; '.join(parts)}."


def refused_text(end: TrialEnd, given_back: int) -> str:
    """Return why no trial can run: the program could not be started, or did not take its arguments."""
    text = end.detail if end.code is None else f"{end.detail}\n\nThe program refused its arguments (exit code 2)."
    return f"{text} {given_back} job(s) were given back to the queue."


def lacking_text(end: TrialEnd, trials: int, name: str) -> str:
    """Return why a worker goes on no longer whose trials all end without an objective, and what to do."""
    lacks = " and ".join(end.lacks)
    return (
        f"{trials} trials ended without printing {lacks}, and none with it, so this run stops. The last, job"
        f" {end.job_id}: {end.detail} Let the program print {lacks}, or find it with --report; then"
        f" `{schedy_words('retry', name, '--status', 'CRASHED')}` and run this again. If the objective has another"
        f" name: `{schedy_words('rm', name)}`, and run this with --minimize or --maximize and that name."
    )


def failed_text(crashed: int) -> str:
    """Return that no trial of this run was a success."""
    return (
        "the only trial of this run is CRASHED." if crashed == 1 else f"all {crashed} trials of this run are CRASHED."
    )


def echo_line(job_id: str, line: bytes) -> None:
    """Print a line of a program's output, with the job before it."""
    click.echo(f"{job_id} | {printable(plain(line).decode('utf-8', 'replace'))}")


def _fitted(line: str) -> str:
    """Return a line that fits on the terminal, if it goes to one."""
    columns = shutil.get_terminal_size().columns
    if not sys.stdout.isatty() or len(click.unstyle(line)) <= columns:
        return line
    return click.unstyle(line)[: columns - 3] + "..."
