"""Experiments whose jobs a test runs at once, without a broker: a store, and a real search process."""

import math
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from schedy.wire.answers import JobsAnswer
from schedy.wire.base import FinalStatus
from schedy.wire.codec import decode_answer, encode
from schedy.wire.records import ExperimentRecord, JobRecord
from schedy.wire.reports import Finish
from schedy.wire.requests import GetJobs
from schedy_store.schema.tables import Job
from tests.integration.test_search_store import SearchDesk
from tests.integration.test_store import Desk, fresh

LOSS = [{"result": "loss", "direction": "minimize"}]


def stored(desk: SearchDesk, *columns: Any) -> list[Any]:
    with desk.store.transaction() as transaction:
        return list(transaction.sql.execute(select(*columns).order_by(Job.pk)))


def read_job(desk: Desk, experiment: ExperimentRecord, job_id: str) -> JobRecord:
    """A job as a client gets it."""
    answer = decode_answer(encode(desk.read(GetJobs(experiment_uid=experiment.uid, job_id=job_id))))
    assert isinstance(answer, JobsAnswer)
    return answer.jobs[0]


class Simulation:
    """An experiment whose jobs a test runs at once, made by a real search process."""

    def __init__(self, desk: SearchDesk, scheduler: str, **settings: Any) -> None:
        self.desk = desk
        self.reports = Desk(desk.store)
        self.experiment = desk.add(scheduler, **{"objectives": LOSS, **settings})

    def next_job(self) -> tuple[JobRecord, dict[str, Any]]:
        """Claim a new job; return it with what its reports have in common."""
        self.desk.go_round()
        (job_id,) = stored(self.desk, Job.job_id)[-1]
        token = fresh()
        self.reports.claim(self.experiment, job_id, token)
        common = {"experiment_uid": self.experiment.uid, "job_id": job_id, "token": token}
        return read_job(self.reports, self.experiment, job_id), common

    def run(self, results: Mapping[str, Any] | None = None, *, status: FinalStatus = "DONE") -> JobRecord:
        """Run a job to its end, by default with a loss that is its only hyperparameter, but 10 for Infinity."""
        claimed = self.next_job()
        self.end(claimed, results, status=status)
        return claimed[0]

    def end(
        self,
        claimed: tuple[JobRecord, dict[str, Any]],
        results: Mapping[str, Any] | None = None,
        *,
        status: FinalStatus = "DONE",
    ) -> None:
        """End a job that `next_job` has returned."""
        job, common = claimed
        if results is None:
            (value,) = job.hyperparameters.values()
            results = {"loss": 10 if value == math.inf else value}
        self.reports.report(Finish(**common, sequence=1, status=status, results=dict(results), quality=0.0))
