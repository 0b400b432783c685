"""Experiments as users see them."""

import logging
import uuid
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

from pydantic import ValidationError

from schedy.errors import InvalidValueError, NotFoundError, SchedyError
from schedy.experiment_reads import ExperimentReads
from schedy.job_list import JobList
from schedy.jobs import Job
from schedy.pushing import check_fields, push_chunks
from schedy.search.checks import changed_definition, check_search
from schedy.search.definition import Definition, Objective, read_definition
from schedy.search.pushed import check_before_sending
from schedy.wire.answers import PushAnswer
from schedy.wire.base import ExperimentStatus, JobStatus, check_experiment_name, check_experiment_status
from schedy.wire.changes import AddExperiment, DeleteExperiment, NewJob, UpdateExperiment
from schedy.wire.records import ExperimentRecord, JobRecord, Limits
from schedy.worker.holds import Hold
from schedy.worker.session import Session
from schedy.worker.signals import end_if_stopped, ends_at_ctrl_c, handle_stop_signals
from schedy.working import Loop, take_job, work

if TYPE_CHECKING:
    from schedy.database import SchedyDB

_log = logging.getLogger(__name__)


class Experiment(ExperimentReads):
    """A named set of jobs. Made by a subclass and `SchedyDB.add_experiment`, or read by `SchedyDB.get_experiment`.

    `status` (RUNNING or DONE), `max_attempts`, `job_timeout`, `stall_timeout`, `retry_timeouts` and `pruner` may be
    written; `push_updates` sends them.
    """

    RUNNING: ExperimentStatus = "RUNNING"
    DONE: ExperimentStatus = "DONE"

    scheduler: str = ""

    def __init__(
        self,
        name: str,
        status: ExperimentStatus = "RUNNING",
        *,
        definition: Definition | None = None,
        max_attempts: int | None = None,
        job_timeout: float | None = None,
        stall_timeout: float | None = None,
        retry_timeouts: bool = False,
    ) -> None:
        """Raises InvalidValueError for a name, status, limit or definition that cannot be used.

        A job is CRASHED when `max_attempts` workers were lost on it (default: the service's setting). One that runs
        for more than `job_timeout` seconds, or reports nothing for `stall_timeout`, is stopped, and then CRASHED, or
        with `retry_timeouts` tried again while attempts are left.
        """
        self.max_attempts = max_attempts
        self.job_timeout = job_timeout
        self.stall_timeout = stall_timeout
        self.retry_timeouts = retry_timeouts
        self.limits()
        self._name = check_experiment_name(name)
        self.status: ExperimentStatus = check_experiment_status(status)
        self._definition: Definition | None = Definition() if definition is None else definition
        check_search(self.scheduler, self.definition)
        self._redefined = False
        self._record: ExperimentRecord | None = None
        self._db: SchedyDB | None = None

    @classmethod
    def from_record(cls, db: "SchedyDB", record: ExperimentRecord) -> Self:
        """Return the experiment of a stored record; for `SchedyDB`."""
        experiment = cls.__new__(cls)
        experiment.attach(db, record)
        return experiment

    @property
    def name(self) -> str:
        return self._name

    @property
    def uid(self) -> str:
        """Id of the experiment, which stays unique even if another gets its name later."""
        return self._stored.uid

    @property
    def _stored(self) -> ExperimentRecord:
        if self._record is None:
            raise SchedyError(f"The experiment {self._name!r} is not stored yet. Use db.add_experiment(experiment).")
        return self._record

    @property
    def _session(self) -> Session:
        self._stored  # noqa: B018 - raises the right error
        assert self._db is not None  # noqa: S101 - set together with the record
        return self._db.session

    def limits(self) -> Limits:
        """Return the limits of its jobs as they are sent. Raises InvalidValueError."""
        try:
            return Limits(
                max_attempts=self.max_attempts,
                job_timeout=self.job_timeout,
                stall_timeout=self.stall_timeout,
                retry_timeouts=self.retry_timeouts,
            )
        except ValidationError as error:
            fault = error.errors(include_url=False, include_input=False)[0]
            raise InvalidValueError(f"The limit {fault['loc'][0]} cannot be used: {fault['msg']}.") from None

    @property
    def paused(self) -> bool:
        """True if it was paused when this object last read or changed it: none of its jobs starts then."""
        return self._stored.paused

    @ends_at_ctrl_c
    def pause(self) -> None:
        """Stop starting jobs; running ones go on. Pausing twice is no error."""
        self._pause(True)

    @ends_at_ctrl_c
    def resume(self) -> None:
        """Start jobs again."""
        self._pause(False)

    def _pause(self, paused: bool) -> None:
        change = UpdateExperiment(request_id=uuid.uuid4().hex, experiment_uid=self.uid, paused=paused)
        self._record = self._session.change(change).experiment

    @property
    def definition(self) -> Definition:
        """The definition of its search. Raises InvalidValueError if a newer Schedy stored it."""
        if self._definition is None:
            self._definition = read_definition(self._stored.settings)
        return self._definition

    def settings(self) -> dict[str, Any]:
        """Return the definition as JSON."""
        return self.definition.as_json()

    @property
    def objectives(self) -> list[Objective]:
        """The results to minimize or maximize."""
        return self.definition.objectives

    def redefine(self, **changes: Any) -> None:
        """Change settings of the definition; `push_updates` sends them. Raises InvalidValueError."""
        self._definition = changed_definition(self.scheduler, self.definition, changes)
        self._redefined = True

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name!r}: {self.status}>"

    @ends_at_ctrl_c
    def add_job(
        self,
        hyperparameters: Mapping[str, Any] | None = None,
        status: JobStatus = "QUEUED",
        results: Mapping[str, Any] | None = None,
        quality: float = 0.0,
    ) -> Job:
        """Store a job and return it; `next_job` finds it then.

        With ``status=RUNNING`` this process holds it. Raises InvalidValueError before anything is sent, and
        NotStoredYetError if the broker has the job but the service has not answered in time.
        """
        job = {"hyperparameters": hyperparameters, "status": status, "results": results, "quality": quality}
        return self.add_jobs([job])[0]

    @ends_at_ctrl_c
    def add_jobs(self, jobs: Iterable[Mapping[str, Any]]) -> JobList:
        """Store many jobs, each a dict with the arguments of `add_job`; return them in order.

        All are checked before the first is sent: a job of a search has all its hyperparameters.
        """
        session = self._session
        new_jobs = [check_fields(job, limit_bytes=session.settings.max_message_bytes) for job in jobs]
        check_before_sending(self._stored, (job.new.hyperparameters for job in new_jobs))
        if any(job.new.token is not None for job in new_jobs):
            end_if_stopped()
            handle_stop_signals(session.settings.stop_signal_names)
        stored = JobList()
        for chunk, answer in push_chunks(session, self._name, self.uid, new_jobs):
            if answer.warnings:
                _log.warning("%s: %s", self._name, " ".join(answer.warnings))
            stored.extend(self._pushed(session, chunk, answer))
        return stored

    def _pushed(self, session: Session, chunk: list[NewJob], answer: PushAnswer) -> Iterator[Job]:
        for new, record in zip(chunk, answer.jobs, strict=True):
            if new.token is None:
                yield Job(self, record, session=session)
                continue
            hold = Hold(answer.experiment_uid, record.job_id, new.token, answer.lease_seconds)
            try:
                session.leases.hold(hold)
                job = Job(self, record, session=session, hold=hold)
            except BaseException:
                session.leases.release(hold)
                raise
            yield job

    @ends_at_ctrl_c
    def next_job(self, timeout: float | None = 0) -> Job:
        """Claim the next job.

        Raises NoJobError within half a second if nothing is queued; with a timeout in seconds, or None for ever, it
        waits for a job, woken by the broker. Raises NoJobError when the experiment is done or removed; one that was
        removed and added again under its name is read again, and its jobs are taken. In the main
        thread the signals of the setting `stop_signals` then end the program as Ctrl-C does; after one it takes no job,
        and ends the program again.
        """
        return take_job(self, timeout)

    def jobs(self, timeout: float | None = None, *, prefetch: int = 1) -> Generator[Job, None, None]:
        """Take one job after the other: ``for job in experiment.jobs(): with job: ...``, in each thread its own.

        Leaving such a block with an exception makes the job CRASHED, prints the traceback, and goes on; a job without
        a block is DONE when the next is taken. Each is waited for as by `next_job`. The loop ends when the experiment
        is done or removed, nothing was queued for `timeout` seconds, or the worker's stop time is near; Ctrl-C and
        stop signals end the program, and give the job back. Raises NoJobError if the search failed, and
        UnhealthyWorkerError.

        With `prefetch`, for jobs of milliseconds, up to so many jobs are held at a time: one that runs, and others that
        are claimed ahead. Those wait up to ten seconds for it, and are given back as if nothing had happened. A block
        does not wait for the broker then: if the process is killed within milliseconds after one, that job runs again.
        """
        return Loop(self, timeout, prefetch).jobs()

    def work(self, function: Callable[[Job], Any], timeout: float | None = None, *, prefetch: int = 1) -> int:
        """Call `function` with one job after the other, as in a loop over `jobs`; return how many have ended here.

        A dict that it returns is added to the job's results.
        """
        return work(self, function, timeout, prefetch)

    def _job(self, record: JobRecord) -> Job:
        return Job(self, record, session=self._session)

    def push_updates(self) -> None:
        """Send status, limits, and the settings that were written. Raises NotFoundError if the experiment is gone."""
        self._session.change(
            UpdateExperiment(
                request_id=uuid.uuid4().hex,
                experiment_uid=self.uid,
                status=check_experiment_status(self.status),
                settings=self.settings() if self._redefined else None,
                limits=self.limits(),
            )
        )
        self._redefined = False

    @ends_at_ctrl_c
    def delete(self, ensure: bool = True) -> None:
        """Delete the experiment with its jobs. `ensure`: NotFoundError if it is already gone."""
        try:
            self._session.change(DeleteExperiment(request_id=uuid.uuid4().hex, experiment_uid=self.uid))
        except NotFoundError:
            if ensure:
                raise

    def creation(self) -> AddExperiment:
        """Return the message that creates this experiment."""
        return AddExperiment(
            request_id=uuid.uuid4().hex,
            name=self._name,
            scheduler=self.scheduler,
            settings=self.settings(),
            status=self.status,
            limits=self.limits(),
        )

    def attach(self, db: "SchedyDB", record: ExperimentRecord) -> None:
        """Tie this object to its row in the store; for `SchedyDB`."""
        self._db = db
        self._record = record
        self._name = record.name
        self.scheduler = record.scheduler
        self._definition = None
        self._redefined = False
        self.status = record.status
        self.max_attempts = record.limits.max_attempts
        self.job_timeout = record.limits.job_timeout
        self.stall_timeout = record.limits.stall_timeout
        self.retry_timeouts = record.limits.retry_timeouts
