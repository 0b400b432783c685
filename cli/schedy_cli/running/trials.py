"""Running the jobs of an experiment as trials of a program: what becomes of each job."""

import contextlib
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import schedy
from schedy.errors import InvalidValueError, UnsafeUpdateError
from schedy.wire.base import FINAL_STATUSES
from schedy_cli.running.attempt import Attempt, Ended
from schedy_cli.running.command_line import CommandLine, Trial
from schedy_cli.running.failures import REFUSED, failure_text, is_stop, last_traceback, usage_text
from schedy_cli.running.findings import Findings, names_in
from schedy_cli.running.output_file import OutputFile, folder_name
from schedy_cli.running.programs import NotStartedError, Programs

Outcome = Literal["DONE", "CRASHED", "PRUNED", "given back", "lost", "refused"]
"""What became of a job: its final status, or why it has none from here."""
_MOST_NAMES = 20
_MOMENT_SECONDS = 1.0
"""Time in which a signal that was sent to all processes has reached this one, too."""


@dataclass(frozen=True, slots=True)
class TrialEnd:
    """A trial that has ended. `detail` is the error of a CRASHED one, or why the worker cannot go on."""

    job_id: str
    outcome: Outcome
    results: Mapping[str, Any]
    seconds: float
    code: int | None = None
    """Exit code of the program as in `subprocess`, None if it was not started."""
    detail: str = ""
    traceback: str | None = None
    lacks: Sequence[str] = ()
    """Objectives that a program that ended well has not printed."""


class Stopping:
    """The wish that this worker ends. Any thread may use it; signal handlers call `stop`."""

    def __init__(self, grace_seconds: float) -> None:
        self._grace_seconds = grace_seconds
        self.now = threading.Event()
        """Set if trials that run are to be ended, and their jobs given back."""
        self.after_trials = False
        """True if no more jobs are to be taken."""
        self._at_once = False
        self._since = 0.0

    def stop(self) -> None:
        """End the trials that run; the second time, without a grace time."""
        self._at_once = self.now.is_set()
        self._since = time.monotonic()
        self.now.set()

    @property
    def soon(self) -> bool:
        """True if no more jobs are to be taken."""
        return self.after_trials or self.now.is_set()

    def is_past(self, seconds: float) -> bool:
        """Return True if trials were told to end so many seconds ago."""
        return self.now.is_set() and time.monotonic() > self._since + seconds

    def grace(self) -> float:
        """Return the seconds between SIGTERM and SIGKILL."""
        return 0.0 if self._at_once else self._grace_seconds


@dataclass(frozen=True)
class TrialSettings:
    """What is the same for all trials of a worker."""

    command: CommandLine
    objectives: Sequence[str]
    patterns: Sequence[re.Pattern[str]]
    data_dir: Path
    complain: Callable[[str], None]
    echo: Callable[[str, bytes], None] | None
    """Called with the id of a job and each line of its output; None if nobody wants to see it."""


class Trials:
    """Runs jobs, one at a time in each thread that calls it."""

    def __init__(self, programs: Programs, settings: TrialSettings, stopping: Stopping) -> None:
        self._programs = programs
        self._settings = settings
        self._stopping = stopping
        self._any_ran = False
        """True once a program has ended that took its arguments."""
        self._lock = threading.Lock()
        self._ended = 0

    @property
    def ended(self) -> int:
        """The number of jobs that got a final status here, or get it now."""
        with self._lock:
            return self._ended

    def run(self, job: schedy.Job, slot: int) -> TrialEnd:
        """Run a job that is held, and report its end."""
        try:
            return self._run_in_folder(job, slot)
        except BaseException:
            give_back(job)
            raise

    def _run_in_folder(self, job: schedy.Job, slot: int) -> TrialEnd:
        name = job.experiment.name
        folders = self._settings.data_dir, folder_name(name)
        folder = _folder(folders, "runs") / job.job_id
        parent = None if job.parent is None else folder.with_name(job.parent)
        parent = parent if parent is not None and parent.is_dir() else None
        trial = Trial(name, job.job_id, job.attempt, slot, folder, job.hyperparameters, parent)
        missing = self._settings.command.unknown(job.hyperparameters)
        if missing and not self._is_optional(job, missing):
            error = f"The job has no hyperparameter {missing[0]!r}, for which {{{missing[0]}}} stands."
            return self._crashed(job, error)
        findings = Findings(self._settings.objectives, self._settings.patterns)
        try:
            trial.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            return self._refused(job, f"The folder {trial.folder} cannot be made: {error.strerror}.")
        try:
            ended = self._run(job, trial, _folder(folders, "output") / f"{job.job_id}-{job.attempt}.log", findings)
        except NotStartedError as error:
            return self._crashed(job, str(error)) if error.by_values else self._refused(job, str(error))
        return self._report(job, ended, findings)

    def _is_optional(self, job: schedy.Job, names: Sequence[str]) -> bool:
        """Return True for hyperparameters that exist only with a value of another, which the job does not have."""
        return set(names) <= job.experiment.definition.space().parameters.keys()

    def _run(self, job: schedy.Job, trial: Trial, path: Path, findings: Findings) -> Ended:
        file = OutputFile(path, complain=self._settings.complain)
        observer = _JobObserver(job, file, self._stopping, self._settings.echo)
        attempt = Attempt(self._programs, findings, observer, file, grace=self._stopping.grace)
        command = self._settings.command
        try:
            return attempt.run(command.words(trial), command.environment(trial), slot=trial.slot)
        finally:
            file.close()
            with contextlib.suppress(OSError):  # it is not empty: the next attempt finds what is in it
                trial.folder.rmdir()  # while the job is held: its next worker expects the folder

    def _refused(self, job: schedy.Job, why: str) -> TrialEnd:
        give_back(job)
        return TrialEnd(job.job_id, "refused", {}, 0.0, detail=why)

    def _report(self, job: schedy.Job, ended: Ended, findings: Findings) -> TrialEnd:
        """End the job as its program has ended."""
        job.results |= findings.results
        end = TrialEnd(job.job_id, "DONE", findings.results, ended.seconds, ended.code)
        return self._counted(end, lambda: self._reported(job, ended, findings, end))

    def _crashed(self, job: schedy.Job, error: str) -> TrialEnd:
        """End a job as CRASHED whose program was not started."""
        end = TrialEnd(job.job_id, "CRASHED", {}, 0.0, detail=error)

        def _crash() -> TrialEnd:
            job.crash(error)
            return end

        return self._counted(end, _crash)

    def _counted(self, end: TrialEnd, report: Callable[[], TrialEnd]) -> TrialEnd:
        """Report the end of a job, and return what became of it; it counts from before the store has it."""
        self._count(1)
        try:
            end = report()
        except UnsafeUpdateError as error:
            end = _changed(end, "lost", str(error))
        except InvalidValueError as error:
            end = _changed(end, "CRASHED", str(error))
        if end.outcome not in FINAL_STATUSES:
            self._count(-1)
        return end

    def _count(self, number: int) -> None:
        with self._lock:
            self._ended += number

    def _reported(self, job: schedy.Job, ended: Ended, findings: Findings, end: TrialEnd) -> TrialEnd:
        if ended.was_told:
            if self._stopping.now.is_set() and not job.should_prune():
                give_back(job)
                return _changed(end, "given back")
            with job:
                raise schedy.Pruned
            return _changed(end, "PRUNED")
        if (ended.code or findings.missing) and self._is_for_all(ended):
            give_back(job)
            return _changed(end, "given back")
        if ended.code == REFUSED and not self._any_ran:
            give_back(job)
            return _changed(end, "refused", usage_text(ended.last_output))
        self._any_ran = True
        if ended.code or findings.missing:
            error = failure_text(ended.code, ended.last_output) if ended.code else missing_text(findings, ended)
            traceback = last_traceback(ended.last_output)
            job.crash(error, traceback)
            lacks = () if ended.code else findings.missing
            return replace(_changed(end, "CRASHED", error, traceback), lacks=lacks)
        job.finish()
        return end

    def _is_for_all(self, ended: Ended) -> bool:
        """Return True if this worker was stopped, too, as a program failed: systems signal all processes of a job."""
        if is_stop(ended.code):
            self._stopping.now.wait(_MOMENT_SECONDS)
        return self._stopping.now.is_set()


class _JobObserver:
    """Reports what a program prints as that of its job."""

    def __init__(
        self, job: schedy.Job, file: OutputFile, stopping: Stopping, echo: Callable[[str, bytes], None] | None
    ) -> None:
        self._job = job
        self._file = file
        self._stopping = stopping
        self._echo = echo

    def points(self, points: Mapping[int, Mapping[str, float]]) -> None:
        with contextlib.suppress(UnsafeUpdateError):  # the job is another worker's: its end says so
            for step, values in points.items():
                self._job.report(step, **values)

    def output(self, text: str, end: int) -> None:
        with contextlib.suppress(UnsafeUpdateError):
            self._job.put_output(text, end, str(self._file.path))

    def lines(self, lines: Sequence[bytes]) -> None:
        if self._echo is not None:
            for line in lines:
                self._echo(self._job.job_id, line)

    def must_end(self) -> bool:
        return self._stopping.now.is_set() or self._job.should_prune()


class _GivenBack(BaseException):
    """Leaves the block of a job that is not to be ended."""


def give_back(job: schedy.Job) -> None:
    """Give a job back: it is queued again."""
    with contextlib.suppress(_GivenBack), job:
        raise _GivenBack


def missing_text(findings: Findings, ended: Ended) -> str:
    """Return why a program that ended well is no success: its output lacks results."""
    lacks = " and ".join(findings.missing)
    names = dict.fromkeys([*findings.results, *names_in(ended.last_output)])
    seen = [name for name in names if name not in findings.missing][:_MOST_NAMES]
    there = f"Its output has {', '.join(seen)}." if seen else "Its output has no number with a name."
    broken = f" This line is not JSON: {findings.broken_json[:200]}" if findings.broken_json else ""
    return f"The program ended without printing {lacks}. {there}{broken}"


def _changed(end: TrialEnd, outcome: Outcome, detail: str = "", traceback: str | None = None) -> TrialEnd:
    return replace(end, outcome=outcome, detail=detail, traceback=traceback)


def _folder(folders: tuple[Path, str], kind: str) -> Path:
    data_dir, experiment = folders
    return data_dir / kind / experiment
