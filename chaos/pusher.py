"""A pusher process: ``python -m chaos.pusher HISTORY NUMBER JOBS SECONDS SEED EXPERIMENT...``.

It pushes its jobs, spread over the time, one by one and many at once. Every job has a key that no other has. What was
not accepted for certain is pushed again under the same key; what may have been accepted is not.
"""

import faulthandler
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import schedy
from chaos.history import History

_BATCHES = (1, 1, 1, 5, 20, 60, 250)
_LONG_SHARE = 0.02
_FAILING_SHARE = 0.03
_SHORT_SHARE = 0.3
"""Part of the pushes whose jobs do nothing: loops over them claim with the end of each job."""
_PAUSE_SECONDS = 0.2
_NOT_ACCEPTED = (schedy.errors.TopologyMissingError, schedy.errors.AuthenticationError)


class Pusher:
    def __init__(self, history: History, name: str, seed: str) -> None:
        self._history = history
        self._name = name
        self._random = random.Random(seed)  # noqa: S311 - nothing secret
        self._made = 0
        self._accepted = 0

    def push_all(self, names: list[str], jobs: int, seconds: float) -> None:
        with schedy.SchedyDB() as db:
            experiments = [self._found(db, name) for name in names]
            started = time.monotonic()
            while self._accepted < jobs:
                batch = min(self._random.choice(_BATCHES), jobs - self._accepted)
                is_short = self._random.random() < _SHORT_SHARE
                jobs_now = [self._new_job(is_short=is_short) for _ in range(batch)]
                self._push(self._random.choice(experiments), jobs_now)
                time.sleep(max(0.0, started + seconds * self._accepted / jobs - time.monotonic()))

    def _found(self, db: schedy.SchedyDB, name: str) -> schedy.Experiment:
        while True:
            try:
                return db.get_experiment(name)
            except schedy.SchedyError:
                time.sleep(_PAUSE_SECONDS)

    def _new_job(self, *, is_short: bool) -> dict[str, Any]:
        self._made += 1
        chance = self._random.random()
        seconds = self._random.uniform(4.0, 7.0) if chance < _LONG_SHARE else self._random.uniform(0.05, 1.0)
        return {
            "hyperparameters": {
                "key": f"{self._name}-{self._made}",
                "seconds": 0.0 if is_short else round(seconds, 3),
                "steps": 0 if is_short else self._random.randint(0, 3),
                "fails": self._random.random() < _FAILING_SHARE,
            }
        }

    def _push(self, experiment: schedy.Experiment, jobs: list[dict[str, Any]]) -> None:
        while not self._push_once(experiment, jobs):
            time.sleep(_PAUSE_SECONDS)

    def _push_once(self, experiment: schedy.Experiment, jobs: list[dict[str, Any]]) -> bool:
        """Push; False if nothing was accepted for certain."""
        keys = [job["hyperparameters"]["key"] for job in jobs]
        self._history.write("push", "invoked", experiment=experiment.name, keys=keys)
        try:
            stored = [experiment.add_job(**jobs[0])] if len(jobs) == 1 else experiment.add_jobs(jobs)
        except schedy.SchedyError as error:
            self._history.write(
                "push", "raised", experiment=experiment.name, keys=keys, error=type(error).__name__, text=str(error)
            )
            if isinstance(error, schedy.errors.NotStoredYetError):
                self._accepted += len(jobs)
            return not isinstance(error, _NOT_ACCEPTED)
        self._accepted += len(jobs)
        ids = [job.job_id for job in stored]
        self._history.write("push", "returned", experiment=experiment.name, keys=keys, jobs=ids)
        return True


def main(history: str, number: str, jobs: str, seconds: str, seed: str, *experiments: str) -> None:
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    Pusher(History(Path(history)), f"p{number}", seed).push_all(list(experiments), int(jobs), float(seconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
