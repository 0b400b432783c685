"""Taking jobs, and a worker's loop over them, which goes on after one that fails."""

import contextlib
import logging
import math
import shlex
import sys
import time
from collections.abc import Callable, Generator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from schedy.errors import InvalidValueError, NoJobError, NotFoundError, SchedyError, StopTimeError, UnsafeUpdateError
from schedy.jobs import Job
from schedy.tracebacks import traceback_text
from schedy.user_text import type_name
from schedy.wire.base import FINAL_STATUSES, QUEUED
from schedy.wire.records import search_failure
from schedy.wire.requests import GetExperiments
from schedy.worker.pulling import ExperimentRemovedError, pull
from schedy.worker.signals import end_quietly_at_ctrl_c, ends_at_ctrl_c, handle_stop_signals

if TYPE_CHECKING:
    from schedy.experiments import Experiment

J = TypeVar("J", bound=Job)

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 1.0


def take_job(experiment: "Experiment", kind: type[J], timeout: float | None) -> J:
    """Claim the next job of an experiment, as `Experiment.next_job` does."""
    handle_stop_signals(experiment._session.settings.stop_signal_names)
    deadline = math.inf if timeout is None else time.monotonic() + timeout
    while True:
        try:
            return _pull(experiment, kind, deadline)
        except ExperimentRemovedError:
            _follow_name(experiment)
        except NoJobError as nothing:
            if nothing.reason or isinstance(nothing, StopTimeError) or not _is_paused(experiment):
                raise
            name = experiment.name
            raise NoJobError(name, f"The experiment is paused: `{shlex.join(['schedy', 'resume', name])}`.") from None


def _is_paused(experiment: "Experiment") -> bool:
    """Ask whether an experiment is paused; no answer within a second counts as no."""
    with contextlib.suppress(SchedyError):
        asked = GetExperiments(uid=experiment.uid)
        return experiment._session.read(asked, patience_seconds=_LOOK_SECONDS).experiments[0].paused
    return False


def _pull(experiment: "Experiment", kind: type[J], deadline: float) -> J:
    session = experiment._session
    return pull(
        session,
        lambda record, hold: kind(experiment, record, session=session, hold=hold),
        experiment_name=experiment.name,
        experiment_uid=experiment.uid,
        makes_jobs=experiment._stored.scheduler != "manual",
        deadline=deadline,
    )


def _follow_name(experiment: "Experiment") -> None:
    """Make it the experiment that has its name now, since it was removed. Raises NoJobError if none has."""
    try:
        record = experiment._session.read(GetExperiments(name=experiment.name)).experiments[0]
    except NotFoundError:
        raise NoJobError(experiment.name, "The experiment was removed.") from None
    assert experiment._db is not None  # noqa: S101 - there is a session
    _log.warning("The experiment %s was removed and added again; going on with the new one.", experiment.name)
    experiment.attach(experiment._db, record)


class LoopJob(Job):
    """A job of a loop: its block prints the exception of a job that fails, and lets the loop go on."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if not self._session.is_ours:
            return False
        lost = self._hold.lost if self._hold is not None else None
        try:
            swallowed = super().__exit__(kind, error, traceback)
        except (UnsafeUpdateError, InvalidValueError) as refused:
            _say(str(refused))
            return True
        if swallowed or error is None:
            return swallowed
        if issubclass(type(error), Exception):
            _say(self._failure(error, lost))
            return True
        if self.status == QUEUED:
            _say(f"Job {self.job_id} is given back.")
        return False

    def _failure(self, error: BaseException, lost: str | None) -> str:
        if lost is None:
            return f"Job {self.job_id} is {self.status}:\n{traceback_text(error)}"
        if isinstance(error, UnsafeUpdateError):
            return str(error)
        return f"Job {self.job_id} is no longer this worker's: {lost}\n{traceback_text(error)}"

    def give_back(self) -> None:
        """Give the job back if it has not ended, without waiting: a generator may be closed in any thread."""
        hold = self._hold
        if hold is not None and self._session.is_ours:
            _log.warning("Job %s is given back: the loop ended before it did.", self.job_id)
            self._session.release_soon(hold)
            self._let_go()
            self._update_record(status=QUEUED)


def loop(experiment: "Experiment", timeout: float | None) -> Generator[Job, None, None]:
    """Yield jobs as `Experiment.jobs` says."""
    end_quietly_at_ctrl_c()
    take_next = ends_at_ctrl_c(take_job)
    while True:
        try:
            job = take_next(experiment, LoopJob, timeout)
        except NoJobError as nothing:
            if search_failure(nothing.reason):
                raise
            if nothing.reason or isinstance(nothing, StopTimeError):
                _log.warning("%s", nothing)
            return
        try:
            job.__enter__()
            yield job
        except BaseException:
            job.give_back()
            raise
        job.__exit__(None, None, None)


def work(experiment: "Experiment", function: Callable[[Job], Any], timeout: float | None) -> int:
    """Call a function with each job as `Experiment.work` says; return the number of jobs that ended."""
    ended = 0
    for job in loop(experiment, timeout):
        with job:
            _add_results(job, function(job))
        ended += job.status in FINAL_STATUSES
    return ended


def _add_results(job: Job, returned: object) -> None:
    if isinstance(returned, Mapping):
        job.results.update(returned)
    elif returned is not None:
        raise TypeError(
            f"The function returned an object of type {type_name(returned)}. Let it return a dict of results, or"
            " nothing."
        )


def _say(text: str) -> None:
    """Print on stderr at once: other threads print, too."""
    sys.stderr.write(text.removesuffix("\n") + "\n")
    sys.stderr.flush()
