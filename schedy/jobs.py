"""Jobs as users see them."""

import logging
import time
import uuid
from types import TracebackType
from typing import Any, Self

from schedy.errors import JobCancelledError, NotFoundError, UnsafeUpdateError
from schedy.held_job import HeldJob
from schedy.job_values import sendable_point
from schedy.wire.base import CRASHED, DONE, FINAL_STATUSES, QUEUED, FinalStatus
from schedy.wire.changes import AmendJob, CancelJobs, DeleteJob, RetryJobs
from schedy.wire.output import Tail
from schedy.wire.requests import GetCurve
from schedy.worker.claims import new_hold
from schedy.worker.holds import Hold
from schedy.worker.signals import end_if_stopped, ends_at_ctrl_c, handle_stop_signals

_log = logging.getLogger(__name__)

_MOST_STEPS = 10_000
_BY_NAME = object()
"""No step was given by position."""


class Job(HeldJob):
    """One trial of an experiment.

    A job from `Experiment.next_job`, `try_run`, or ``add_job(status=RUNNING)`` is held by this process: a lease, kept
    up in the background, guards it. Leaving a ``with`` block ends it: DONE, or CRASHED with the text of the exception;
    Ctrl-C, stop signals and ``sys.exit()`` give it back instead, and a JobCancelledError of `put` ends it quietly, as
    does ``raise schedy.Pruned``. A job belongs to the process that claimed it; in a forked child leaving the block and
    `put` do nothing. Write `results` and `quality`; everything else is read-only. `previous_results` has the results
    that earlier attempts reported, the latest winning: a job that was interrupted goes on from its checkpoint.
    """

    @property
    def curve(self) -> dict[str, list[tuple[int, float]]]:
        """Its learning curve, read now: for each name the steps with their values; of 10,000 steps at most."""
        request = GetCurve(experiment_uid=self._experiment_uid, job_id=self.job_id, limit=_MOST_STEPS)
        curve: dict[str, list[tuple[int, float]]] = {}
        for point in self._session.read(request).points:
            for name, value in point.values.items():
                curve.setdefault(name, []).append((point.step, value))
        return curve

    @property
    def cancelled(self) -> bool:
        """True if this worker should end the job now.

        It was cancelled or deleted, has taken too long, or was given to another worker. Known within a third of a
        lease.
        """
        hold = self._hold
        return hold is not None and (hold.stop is not None or hold.lost is not None)

    @ends_at_ctrl_c
    def put(self, safe: bool = True) -> None:
        """Report results and quality so far; durable when it returns.

        On a final job read by `Experiment.get_job` or `all_jobs`, its results and quality are changed afterwards;
        refused if it was changed meanwhile, unless ``safe=False``.

        Raises UnsafeUpdateError if the job is no longer ours or has changed, InvalidValueError if the results are
        not JSON or too large (nothing was sent then), and JobCancelledError, once it is stored, if the job was
        cancelled or has taken too long.
        """
        if not self._session.is_ours:
            return
        if self._hold is not None:
            self._put_progress(self._hold)
        elif self.status in FINAL_STATUSES:
            self._amend(safe)
        else:
            how = " Claim it with try_run() or next_job()." if self.status == QUEUED else ""
            raise UnsafeUpdateError(
                f"Job {self.job_id} is {self.status} and not held by this worker; only its holder can report.{how}"
            )

    def _put_progress(self, hold: Hold) -> None:
        hold.check_not_lost()
        values, quality = self._checked()
        answer = self._session.reports.progress(hold, results=values, quality=quality)
        if answer is not None and answer.revision is not None:
            self._update_record(revision=answer.revision)
        if hold.stop is not None:
            raise JobCancelledError(
                f"Job {self.job_id} must end now: {hold.stop} This report is stored. Leave the `with` block."
            )

    def report(self, step: object = _BY_NAME, /, **values: Any) -> None:
        """Record values of the learning curve at a step, such as ``job.report(epoch, loss=0.3)``.

        Does not wait: it is durable when the next `put` returns, or the job ends. Of a step reported twice the later
        values count. What cannot be recorded (a step that is no whole number, a value that is no number) is left out,
        with one warning in the log for each job. Raises UnsafeUpdateError if the job is not, or no longer, held by
        this worker.
        """
        if not self._session.is_ours:
            return
        if self._hold is None:
            raise UnsafeUpdateError(f"Job {self.job_id} is not held by this worker; only its holder can report.")
        self._hold.check_not_lost()
        if step is _BY_NAME:
            step = values.pop("step", None)
        point, fault = sendable_point(step, values)
        if fault is not None and not self._has_bad_points:
            self._has_bad_points = True
            _log.warning("Job %s: a point is left out, or a part of it, as more may be: %s", self.job_id, fault)
        if point is not None:
            self._session.curves.add(self._hold, point)

    def put_output(self, text: str, end: int, path: str | None = None) -> None:
        """Store the output of the attempt, for `schedy output`; `schedy run` calls it.

        `text` is what was written since the last call, or at least its last 64 KiB, and `end` the bytes of all output
        up to there, counted in UTF-8 as the text is. `path` is the file with all of it. Does not wait: at most one
        message per second is sent. Raises UnsafeUpdateError if the job is not held by this worker.
        """
        if not self._session.is_ours:
            return
        if self._hold is None:
            raise UnsafeUpdateError(f"Job {self.job_id} is not held by this worker; only its holder can report.")
        self._hold.check_not_lost()
        self._session.outputs.add(self._hold, Tail.of(text, end), path)

    def should_prune(self) -> bool:
        """Return True once the pruner has said to end the job, or if the job is `cancelled`.

        Does not wait. ``raise schedy.Pruned`` ends the job then.
        """
        return self._hold is not None and (self._hold.prune or self.cancelled)

    def _amend(self, safe: bool) -> None:
        values, quality = self._checked()
        answer = self._session.change(
            AmendJob(
                request_id=uuid.uuid4().hex,
                experiment_uid=self._experiment_uid,
                job_id=self.job_id,
                results=values,
                quality=quality,
                revision=self._record.revision if safe else None,
            )
        )
        self._update_record(revision=answer.revision)

    @ends_at_ctrl_c
    def try_run(self) -> None:
        """Claim this very job. Raises UnsafeUpdateError if another holds it, or it cannot be run now."""
        if self._hold is not None:
            return
        end_if_stopped()
        handle_stop_signals(self._session.settings.stop_signal_names)
        self._session.deliver_kept()
        hold = new_hold(self._experiment_uid, self.job_id)
        try:
            self._take_record(self._session.claims.claim(hold))
            self._take_hold(hold)
        except BaseException:
            self._session.leases.release(hold)
            raise

    @ends_at_ctrl_c
    def cancel(self) -> None:
        """Cancel the job: PRUNED at once if it is QUEUED, if it is RUNNING when its worker has stopped.

        Raises UnsafeUpdateError if it is final already.
        """
        self._change_status(CancelJobs)

    @ends_at_ctrl_c
    def retry(self) -> None:
        """Queue a final job again; its results so far will be in `previous_results`.

        Raises UnsafeUpdateError if it is not final.
        """
        self._change_status(RetryJobs)

    def _change_status(self, kind: type[CancelJobs] | type[RetryJobs]) -> None:
        change = kind(request_id=uuid.uuid4().hex, experiment_uid=self._experiment_uid, job_ids=[self.job_id])
        answer = self._session.change(change)
        if not answer.outcomes[0].changed:
            raise UnsafeUpdateError(f"Job {self.job_id} stays as it is: {answer.outcomes[0].detail}")

    @ends_at_ctrl_c
    def delete(self, ensure: bool = True) -> None:
        """Delete the job; its worker learns it by its next report. `ensure`: NotFoundError if it is already gone."""
        if self._hold is not None:
            self._session.leases.drop(self._hold)
            self._let_go()
        try:
            self._session.change(
                DeleteJob(request_id=uuid.uuid4().hex, experiment_uid=self._experiment_uid, job_id=self.job_id)
            )
        except NotFoundError:
            if ensure:
                raise

    @ends_at_ctrl_c
    def finish(self) -> None:
        """End the job as DONE now, with its results and quality, as leaving its block does; the block goes on.

        For a job that is complete although a stop signal came, or that has no block. Raises as leaving the block does,
        and UnsafeUpdateError if the job is not held by this worker.
        """
        self._end_as(DONE, None, None)

    @ends_at_ctrl_c
    def crash(self, error: str, traceback: str | None = None) -> None:
        """End the job as CRASHED now, with this text as its error, as `finish` ends it as DONE."""
        self._end_as(CRASHED, error, traceback)

    def _end_as(self, status: FinalStatus, error: str | None, traceback: str | None) -> None:
        if not self._session.is_ours:
            return
        hold = self._hold
        if hold is None:
            raise UnsafeUpdateError(f"Job {self.job_id} is not held by this worker; only its holder can finish it.")
        with self._ending(hold):
            self._finish(hold, status, error, traceback)
            self._session.count_end(hold, error=error)

    def __enter__(self) -> Self:
        if self._session.is_ours:
            self.try_run()
            handle_stop_signals(self._session.settings.stop_signal_names)
            self._entered = time.monotonic()
        return self

    @ends_at_ctrl_c
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if not self._session.is_ours:
            return False
        hold = self._hold
        if hold is None:
            return False
        with self._ending(hold):
            return self._end(hold, error)
