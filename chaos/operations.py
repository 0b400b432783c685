"""What users do to experiments and jobs while everything breaks: pause, resume, delete."""

import random
import uuid
from collections.abc import Callable

from sqlalchemy import select

import schedy
from chaos.history import History
from schedy.errors import NotFoundError, StoreError
from schedy.messages import DeleteJob, UpdateExperiment
from schedy.values import load_values
from schedy_store.store import Store
from schedy_store.tables import Experiment, Job

_LOOKED_AT = 300


class Operations:
    """Operations through the library; each is written down. What the service does not answer is left open."""

    def __init__(self, db: schedy.SchedyDB, store: Store, history: History, experiments: dict[str, str]) -> None:
        """`experiments` gives the unique id for a name."""
        self._db = db
        self._store = store
        self._history = history
        self._uids = experiments

    @property
    def experiment_names(self) -> list[str]:
        return list(self._uids)

    def set_paused(self, name: str, paused: bool) -> bool:
        """Pause or resume; False if nobody said that it was done."""
        change = UpdateExperiment(request_id=uuid.uuid4().hex, experiment_uid=self._uids[name], paused=paused)
        return self._write_down(
            "pause" if paused else "resume", {"experiment": name}, lambda: self._db.session.change(change)
        )

    def delete_some_job(self, choice: random.Random) -> str | None:
        """Delete one of the latest jobs, in whatever state; None if none could be looked up."""
        name = choice.choice(self.experiment_names)
        job = self._some_job(name, choice)
        if job is None:
            return None
        job_id, key = job
        change = DeleteJob(request_id=uuid.uuid4().hex, experiment_uid=self._uids[name], job_id=job_id)
        done = self._write_down(
            "delete", {"experiment": name, "job": job_id, "key": key}, lambda: self._db.session.change(change)
        )
        return f"{job_id} of {name}{'' if done else ', not answered'}"

    def _some_job(self, name: str, choice: random.Random) -> tuple[str, str] | None:
        """The id and the key of a job."""
        jobs = select(Job.job_id, Job.hyperparameters).join_from(Job, Experiment).where(Experiment.name == name)
        try:
            with self._store.transaction() as transaction:
                found = transaction.sql.execute(jobs.order_by(Job.pk.desc()).limit(_LOOKED_AT)).all()
        except StoreError:
            return None
        if not found:
            return None
        row = choice.choice(found)
        return row.job_id, load_values(row.hyperparameters)["key"]

    def _write_down(self, what: str, fields: dict[str, str], do: Callable[[], object]) -> bool:
        self._history.write(what, "invoked", **fields)
        try:
            do()
        except NotFoundError:
            self._history.write(what, "returned", **fields, found=False)
            return True
        except schedy.SchedyError as error:
            self._history.write(what, "raised", **fields, error=type(error).__name__)
            return False
        self._history.write(what, "returned", **fields, found=True)
        return True
