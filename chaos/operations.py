"""What users do to experiments and jobs while everything breaks."""

import random
from collections.abc import Callable, Mapping, Set
from typing import Any

from sqlalchemy import select

import schedy
from chaos.evidence import FINAL
from chaos.history import History
from schedy.errors import NotFoundError, StoreError
from schedy.wire.base import ExperimentStatus
from schedy_store.schema.engine import Store
from schedy_store.schema.tables import OF_EXPERIMENT, Experiment, Job

BRIEF = "chaos-brief"
"""The name of experiments that are added and removed again, one after the other."""
_LOOKED_AT = 300
_BRIEF_JOBS = 30


class Operations:
    """Operations through the library; each is written down. What the service does not answer is left open."""

    def __init__(
        self,
        db: schedy.SchedyDB,
        experiments: list[schedy.Experiment],
        search: schedy.Search,
        store: Store,
        history: History,
    ) -> None:
        self._db = db
        self.experiments = experiments
        self.search = search
        """The experiment that makes its own jobs. They are not deleted, so that all of them can be counted."""
        self._store = store
        self._history = history

    def pause(self, experiment: schedy.Experiment) -> bool:
        """Pause; False if nobody said that it was done."""
        return self._write_down("pause", {"experiment": experiment.name}, experiment.pause)

    def resume(self, experiment: schedy.Experiment) -> bool:
        """Resume; False if nobody said that it was done."""
        return self._write_down("resume", {"experiment": experiment.name}, experiment.resume)

    def raise_budget(self, by: int) -> bool:
        """Let the search make more jobs; False if nobody said that it was done, and then it may be done or not."""
        self.search.max_jobs = (self.search.max_jobs or 0) + by
        fields = {"experiment": self.search.name, "budget": self.search.max_jobs}
        return self._write_down("raise", fields, self.search.push_updates)

    def close(self, experiment: schedy.Experiment) -> bool:
        """Make it DONE, which deletes its queue; False if nobody said that it was done."""
        return self._set_status("close", experiment, "DONE")

    def reopen(self, experiment: schedy.Experiment) -> bool:
        """Make it RUNNING again, with a new queue; False if nobody said that it was done."""
        return self._set_status("reopen", experiment, "RUNNING")

    def add_brief(self, choice: random.Random) -> bool:
        """Add an experiment with jobs; False if nobody said that it was done."""
        jobs = [
            {"key": f"brief-{choice.random()}", "seconds": choice.choice([0.0, 0.5, 4.0]), "steps": 1, "fails": False}
            for _ in range(_BRIEF_JOBS)
        ]

        def _add() -> None:
            experiment = schedy.ManualSearch(BRIEF)
            self._db.add_experiment(experiment)
            experiment.add_jobs([{"hyperparameters": hyperparameters} for hyperparameters in jobs])

        return self._write_down("add", {"experiment": BRIEF}, _add)

    def remove_brief(self) -> bool:
        """Remove that experiment; False if nobody said that it is gone."""
        return self._write_down("remove", {"experiment": BRIEF}, lambda: self._db.get_experiment(BRIEF).delete())

    def _set_status(self, what: str, experiment: schedy.Experiment, status: ExperimentStatus) -> bool:
        experiment.status = status
        return self._write_down(what, {"experiment": experiment.name}, experiment.push_updates)

    def delete_some_job(self, choice: random.Random) -> str | None:
        """Delete a late job, in whatever state; None if none could be looked up."""
        experiment = choice.choice(self.experiments)
        return self._with_some_job("delete", schedy.Job.delete, experiment, choice, statuses=None)

    def cancel_some_job(self, choice: random.Random) -> str | None:
        """Cancel a late job that is queued or running."""
        experiment = choice.choice([*self.experiments, self.search])
        return self._with_some_job("cancel", schedy.Job.cancel, experiment, choice, statuses={"QUEUED", "RUNNING"})

    def retry_some_job(self, choice: random.Random) -> str | None:
        """Queue a late job again that is final."""
        experiment = choice.choice([*self.experiments, self.search])
        return self._with_some_job("retry", schedy.Job.retry, experiment, choice, statuses=FINAL)

    def _with_some_job(
        self,
        what: str,
        do: Callable[[schedy.Job], None],
        experiment: schedy.Experiment,
        choice: random.Random,
        *,
        statuses: Set[str] | None,
    ) -> str | None:
        job_id = self._some_job(experiment, choice, statuses)
        if job_id is None:
            return None
        try:
            job = experiment.get_job(job_id)
        except schedy.SchedyError:
            return None
        fields = {"experiment": experiment.name, "job": job_id, "key": job.hyperparameters.get("key")}
        done = self._write_down(what, fields, lambda: do(job))
        return f"{job_id} of {experiment.name}{'' if done else ', not answered'}"

    def _some_job(self, experiment: schedy.Experiment, choice: random.Random, statuses: Set[str] | None) -> str | None:
        jobs = select(Job.job_id).join_from(Job, Experiment, OF_EXPERIMENT).where(Experiment.uid == experiment.uid)
        if statuses is not None:
            jobs = jobs.where(Job.status.in_(statuses))
        try:
            with self._store.transaction() as transaction:
                found = list(transaction.sql.scalars(jobs.order_by(Job.pk.desc()).limit(_LOOKED_AT)))
        except StoreError:
            return None
        return choice.choice(found) if found else None

    def _write_down(self, what: str, fields: Mapping[str, Any], do: Callable[[], object]) -> bool:
        self._history.write(what, "invoked", **fields)
        try:
            do()
        except (NotFoundError, schedy.UnsafeUpdateError):
            self._history.write(what, "returned", **fields, changed=False)
            return True
        except schedy.SchedyError as error:
            self._history.write(what, "raised", **fields, error=type(error).__name__)
            return False
        self._history.write(what, "returned", **fields, changed=True)
        return True
