"""Taking jobs, and a worker's loop over them, which goes on after one that fails."""

import contextlib
import logging
import math
import shlex
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from schedy.errors import (
    BrokerError,
    InvalidValueError,
    NoJobError,
    NotFoundError,
    SchedyError,
    StopTimeError,
    UnsafeUpdateError,
)
from schedy.jobs import Job
from schedy.search.algorithms import makes_ahead
from schedy.tracebacks import traceback_text
from schedy.user_text import type_name
from schedy.wire.base import FINAL_STATUSES, QUEUED, Answer, FinalStatus
from schedy.wire.records import JobRecord, search_failure
from schedy.wire.requests import GetExperiments
from schedy.worker.pulling import ExperimentRemovedError, pull
from schedy.worker.reports import Sent
from schedy.worker.signals import end_quietly_at_ctrl_c, ends_at_ctrl_c, handle_stop_signals
from schedy.worker.taker import Taker

if TYPE_CHECKING:
    from schedy.experiments import Experiment

J = TypeVar("J", bound=Job)

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 1.0

_MOST_PREFETCHED = 1000


def take_job(experiment: "Experiment", timeout: float | None) -> Job:
    """Claim the next job of an experiment, as `Experiment.next_job` does."""
    return JobSource(experiment, Job).next(timeout)


def _is_paused(experiment: "Experiment") -> bool:
    """Ask whether an experiment is paused; no answer within a second counts as no."""
    with contextlib.suppress(SchedyError):
        asked = GetExperiments(uid=experiment.uid)
        return experiment._session.read(asked, patience_seconds=_LOOK_SECONDS).experiments[0].paused
    return False


class JobSource(Generic[J]):
    """Takes jobs of an experiment for one thread.

    One that `stays`, for a loop, claims the next job when one has ended, and holds up to `prefetch` jobs at a time;
    `close` gives back those that were not begun. After an exception of `next` it is closed.
    """

    def __init__(self, experiment: "Experiment", kind: type[J], *, prefetch: int = 1, stays: bool = False) -> None:
        self._experiment = experiment
        self._kind = kind
        self._prefetch = prefetch
        self._stays = stays
        self._taker: Taker | None = None

    def next(self, timeout: float | None) -> J:
        """Claim the next job, as `Experiment.next_job` does."""
        if self._taker is None or not self._stays:
            handle_stop_signals(self._experiment._session.settings.stop_signal_names)
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        while True:
            try:
                return self._pull(deadline)
            except ExperimentRemovedError:
                self.close()
                _follow_name(self._experiment)
            except NoJobError as nothing:
                self.close()
                if nothing.reason or isinstance(nothing, StopTimeError) or not _is_paused(self._experiment):
                    raise
                name = self._experiment.name
                how = f"The experiment is paused: `{shlex.join(['schedy', 'resume', name])}`."
                raise NoJobError(name, how) from None
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """Give back what was not begun; does not wait, and takes no lock."""
        taker, self._taker = self._taker, None
        if taker is not None:
            taker.close()

    def _pull(self, deadline: float) -> J:
        experiment, session = self._experiment, self._experiment._session
        if self._taker is None:
            self._taker = session.taker(
                experiment_name=experiment.name,
                experiment_uid=experiment.uid,
                prefetch=self._prefetch,
                stays=self._stays,
                ahead=makes_ahead(experiment._stored.scheduler),
            )
            if self._stays:
                weakref.finalize(self, self._taker.close).atexit = False
        return pull(
            session,
            self._taker,
            lambda record, hold: self._kind(experiment, record, session=session, hold=hold),
            experiment_name=experiment.name,
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


@dataclass(frozen=True, slots=True)
class _AwaitedEnd:
    """An end that was reported. `told`: the service has said what it makes of it, or was silent for too long."""

    sent: Sent
    status: FinalStatus
    error: str | None
    told: threading.Event = field(default_factory=threading.Event)


class LoopJob(Job):
    """A job of a loop: its block prints the exception of a job that fails, and lets the loop go on.

    Its end is in the broker when the block is left. What the service says of it comes while the loop goes on, in the
    I/O thread, which prints a refusal; who reads the job's attributes before waits for that.
    """

    _awaited: "_AwaitedEnd | None" = None
    """The end of the job: the broker has it, or, with several jobs in hand, gets it soon."""

    @property
    def _record(self) -> JobRecord:
        end = self._awaited
        if end is not None and not end.told.is_set():
            self.wait_until_sent()  # a job that is said to be DONE is so in the broker at least
            if not end.told.wait(self._session.reports.answer_seconds):
                self._session.calls.note_silence()
                self._take_end(None, end.status, end.error)
                end.told.set()
        return self._known

    @_record.setter
    def _record(self, record: JobRecord) -> None:
        self._known = record

    @property
    def is_settled(self) -> bool:
        """True unless the service is still to say what it makes of the job's end."""
        return self._awaited is None or self._awaited.told.is_set()

    def wait_until_sent(self) -> None:
        """Wait until the broker has the end of the job, if it has one."""
        if self._awaited is not None:
            self._awaited.sent.call.stored.exception()

    def _update_record(self, **known: Any) -> None:
        self._known = self._known.model_copy(update=known)

    def _end_sent(self, sent: Sent, status: FinalStatus, error_text: str | None) -> None:
        self._awaited = _AwaitedEnd(sent, status, error_text)
        sent.call.answer.add_done_callback(partial(self._answered, self._awaited))

    def _answered(self, end: "_AwaitedEnd", answer: "Future[Answer]") -> None:
        """Take note of what the service says. Runs in the I/O thread."""
        try:
            self._take_end(self._session.reports.judged(end.sent, answer.result()), end.status, end.error)
        except BrokerError:  # the connection was closed
            self._take_end(None, end.status, end.error)
        except SchedyError as refused:
            _say(str(refused))
        end.told.set()

    def __enter__(self) -> Self:
        if self._hold is None:
            return super().__enter__()
        self._entered = time.monotonic()  # the loop handles stop signals
        return self

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


class Loop:
    """A loop over the jobs of an experiment in one thread. `ended` counts those that have ended here."""

    def __init__(self, experiment: "Experiment", timeout: float | None, prefetch: int) -> None:
        if not isinstance(prefetch, int) or not 1 <= prefetch <= _MOST_PREFETCHED:
            raise InvalidValueError(f"prefetch is a whole number from 1 to {_MOST_PREFETCHED}, not {prefetch!r}.")
        self.ended = 0
        self._timeout = timeout
        self._source = JobSource(experiment, LoopJob, prefetch=prefetch, stays=True)
        self._unsettled: deque[LoopJob] = deque()

    def jobs(self) -> Generator[Job, None, None]:
        """Yield jobs as `Experiment.jobs` says."""
        end_quietly_at_ctrl_c()
        take_next = ends_at_ctrl_c(self._source.next)
        try:
            while True:
                try:
                    job = take_next(self._timeout)
                except NoJobError as nothing:
                    if search_failure(nothing.reason):
                        raise
                    if nothing.reason or isinstance(nothing, StopTimeError):
                        _log.warning("%s", nothing)
                    break
                try:
                    job.__enter__()
                    yield job
                except BaseException:
                    job.give_back()
                    raise
                job.__exit__(None, None, None)
                self._unsettled.append(job)
                self._count(waits=False)
        finally:
            self._source.close()
        self._count(waits=True)

    def _count(self, *, waits: bool) -> None:
        while self._unsettled and (waits or self._unsettled[0].is_settled):
            job = self._unsettled.popleft()
            job.wait_until_sent()
            self.ended += job.status in FINAL_STATUSES


def work(experiment: "Experiment", function: Callable[[Job], Any], timeout: float | None, prefetch: int) -> int:
    """Call a function with each job as `Experiment.work` says; return the number of jobs that ended."""
    loop = Loop(experiment, timeout, prefetch)
    for job in loop.jobs():
        with job:
            _add_results(job, function(job))
    return loop.ended


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
