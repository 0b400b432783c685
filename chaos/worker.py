"""A worker process: ``python -m chaos.worker HISTORY STOP_FILE SEED EXPERIMENT...``.

It pulls jobs of all experiments until the stop file is there. All that it writes into a job carries the nonce of this
attempt, so that results of two attempts are told apart.
"""

import faulthandler
import random
import signal
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import schedy
from chaos.history import History
from chaos.operations import BRIEF

T = TypeVar("T")

_TIMEOUTS = (0, 0, 0, 0.1, 0.3, 1.5)
_PAUSE_SECONDS = 0.2
_LOOPS = 0.5
"""Part of the turns that are loops; the others take one job."""
_BRIEF_SHARE = 0.1
"""Part of the turns in which an experiment is looked for that is there for a short time only."""
_PREFETCHES = (1, 1, 3)
_JOBS_OF_A_LOOP = (1, 3, 30)


class WantedFailureError(Exception):
    """What a job raises that is meant to crash."""


def nonce_quality(nonce: str) -> float:
    """Return the quality that an attempt reports."""
    return float(int(nonce[:6], 16))


class Worker:
    def __init__(self, history: History, stop_file: Path, seed: str) -> None:
        self._history = history
        self._stop_file = stop_file
        self._random = random.Random(seed)  # noqa: S311 - nothing secret

    def work(self, names: list[str]) -> None:
        with schedy.SchedyDB() as db:
            experiments = [self._insist(lambda name=name: db.get_experiment(name)) for name in names]  # type: ignore[misc]
            while not self._stop_file.exists():
                experiment = self._brief(db) or self._random.choice(experiments)
                if self._random.random() < _LOOPS:
                    self._loop(experiment)
                    continue
                job = self._claim(experiment)
                if job is not None:
                    self._run(job)

    def _brief(self, db: schedy.SchedyDB) -> schedy.Experiment | None:
        if self._random.random() >= _BRIEF_SHARE:
            return None
        try:
            return db.get_experiment(BRIEF)
        except schedy.SchedyError:
            return None

    def _loop(self, experiment: schedy.Experiment) -> None:
        """Take a few jobs in a loop, which holds some that it does not begin.

        It may claim a job any time ahead, so all of them are asked for when it begins.
        """
        left = self._random.choice(_JOBS_OF_A_LOOP)
        timeout, prefetch = self._random.choice(_TIMEOUTS), self._random.choice(_PREFETCHES)
        self._history.write("claim", "invoked", experiment=experiment.name)
        try:
            for job in experiment.jobs(timeout=timeout, prefetch=prefetch):
                self._run(job)
                left -= 1
                if not left or self._stop_file.exists():
                    break
            else:
                self._history.write("claim", "raised", error="NoJobError")
        except schedy.SchedyError as error:
            self._history.write("claim", "raised", error=type(error).__name__, text=str(error))
            time.sleep(_PAUSE_SECONDS)

    def _insist(self, ask: Callable[[], T]) -> T:
        while True:
            try:
                return ask()
            except schedy.SchedyError as error:
                self._history.write("read", "raised", error=type(error).__name__, text=str(error))
                time.sleep(_PAUSE_SECONDS)

    def _claim(self, experiment: schedy.Experiment) -> schedy.Job | None:
        self._history.write("claim", "invoked", experiment=experiment.name)
        try:
            return experiment.next_job(timeout=self._random.choice(_TIMEOUTS))
        except schedy.NoJobError:
            self._history.write("claim", "raised", error="NoJobError")
        except schedy.SchedyError as error:
            self._history.write("claim", "raised", error=type(error).__name__, text=str(error))
            time.sleep(_PAUSE_SECONDS)
        return None

    def _run(self, job: schedy.Job) -> None:
        """Run a job to its end and write down how that went. The block of a loop's job lets no exception out."""
        nonce = uuid.uuid4().hex
        raised: Exception | None = None
        try:
            self._note_grant(job, nonce)
            with job:
                try:
                    self._do(job, nonce)
                except (WantedFailureError, schedy.JobCancelledError):
                    raise
                except Exception as error:
                    raised = error
                    raise
        except WantedFailureError:
            pass
        except schedy.SchedyError as error:
            raised = error
        except BaseException as error:
            self._history.write("leave", "raised", nonce=nonce, error=type(error).__name__)
            raise
        if raised is not None:
            self._finished(job, nonce, "raised", type(raised).__name__)
        elif job.status == schedy.Job.RUNNING:  # refused, which is only logged or printed
            self._finished(job, nonce, "raised", "UnsafeUpdateError")
        else:
            self._finished(job, nonce, "returned", None)

    def _note_grant(self, job: schedy.Job, nonce: str) -> None:
        self._history.write(
            "claim",
            "returned",
            experiment=job.experiment.name,
            job=job.job_id,
            attempt=job.attempt,
            worker=job.worker,
            nonce=nonce,
            found=dict(job.results),
        )

    def _finished(self, job: schedy.Job, nonce: str, state: str, error: str | None) -> None:
        self._history.write("finish", state, nonce=nonce, error=error, answered=job.finished_at is not None)

    def _do(self, job: schedy.Job, nonce: str) -> None:
        """What a user's program does: some work, some reports, and the result, or an exception."""
        try:
            self._work_and_put(job, nonce)
        except schedy.JobCancelledError:
            self._about_to_end(job, nonce, "PRUNED")
            raise
        except BaseException as error:
            self._history.write("leave", "raised", nonce=nonce, error=type(error).__name__)
            raise
        fails = bool(job.hyperparameters["fails"])
        self._about_to_end(job, nonce, "CRASHED" if fails else "DONE")
        if fails:
            raise WantedFailureError(nonce)

    def _about_to_end(self, job: schedy.Job, nonce: str, status: str) -> None:
        job.results["final"] = nonce
        job.quality = nonce_quality(nonce)
        self._history.write("finish", "invoked", nonce=nonce, status=status)

    def _work_and_put(self, job: schedy.Job, nonce: str) -> None:
        steps = int(job.hyperparameters["steps"])
        for step in range(1, steps + 2):
            time.sleep(float(job.hyperparameters["seconds"]) / (steps + 1))
            if step > steps:
                return
            job.results[f"step{step}"] = nonce
            self._history.write("put", "invoked", nonce=nonce, step=step)
            try:
                job.put()
            except schedy.SchedyError as error:
                self._history.write("put", "raised", nonce=nonce, step=step, error=type(error).__name__)
                raise
            self._history.write("put", "returned", nonce=nonce, step=step)


def main(history: str, stop_file: str, seed: str, *experiments: str) -> None:
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    Worker(History(Path(history)), Path(stop_file), seed).work(list(experiments))


if __name__ == "__main__":
    main(*sys.argv[1:])
