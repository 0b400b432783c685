"""An experiment that is removed, and another that is added under its name, while workers hold the first."""

import contextlib
import logging
import threading

import pika
import pytest
from sqlalchemy import select

import schedy
from schedy import Job, NoJobError, random
from schedy.settings import Settings
from schedy_store.schema.engine import Store
from schedy_store.schema.tables import Job as StoredJob
from tests.support import wait_until

pytestmark = pytest.mark.usefixtures("service")
SPACE = {"x": random.Uniform(0, 1)}
REMOVED = r"^No job left for experiment MinimizeManual\. The experiment was removed\.$"


def test_a_worker_hears_that_its_experiment_was_removed(db: schedy.SchedyDB, experiment: schedy.ManualSearch) -> None:
    db.get_experiment("MinimizeManual").delete()
    for timeout in (0, 20, None):
        with pytest.raises(NoJobError, match=REMOVED):
            experiment.next_job(timeout=timeout)


def test_a_worker_goes_on_with_the_experiment_that_is_added_under_the_name(
    db: schedy.SchedyDB, experiment: schedy.ManualSearch, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """As the tutorial's worker does, which keeps its experiment for ever."""
    caplog.set_level(logging.INFO)
    old = experiment.add_job({"x": 1})
    db.get_experiment("MinimizeManual").delete()
    again = schedy.ManualSearch("MinimizeManual")
    db.add_experiment(again)
    pushed = again.add_job({"x": 2})
    with experiment.next_job(timeout=20) as job:
        job.results["result"] = 4
    assert (job.job_id, job.hyperparameters) == (pushed.job_id, {"x": 2})
    assert again.get_job(job.job_id).status == Job.DONE
    assert experiment.uid == again.uid == db.get_experiment("MinimizeManual").uid
    assert "MinimizeManual was removed and added again; going on with the new one." in caplog.text
    with pytest.raises(NoJobError, match=r"^No job left for experiment MinimizeManual\.$"):
        experiment.next_job()
    said = "MinimizeManual: deleted 1 jobs of the removed experiment; none is left"
    wait_until(lambda: said in caplog.text, what="the service to delete what the first one has left")
    with contextlib.closing(Store.open(settings.effective_store_url, read_only=True)) as store:
        with store.transaction() as transaction:
            assert transaction.sql.scalars(select(StoredJob.job_id)).all() == [job.job_id]
    with pytest.raises(schedy.UnsafeUpdateError, match="no such job"):
        old.cancel()  # it was removed with the first one


def _consumers(db: schedy.SchedyDB, queue: str) -> int:
    with pika.BlockingConnection(pika.URLParameters(db.settings.broker_url)) as connection:
        declared = connection.channel().queue_declare(queue, passive=True)
        return int(declared.method.consumer_count)


def test_a_worker_that_waits_goes_on(db: schedy.SchedyDB, experiment: schedy.ManualSearch) -> None:
    got: list[Job] = []

    def _work() -> None:
        while not got:
            try:
                with experiment.next_job(timeout=None) as job:
                    got.append(job)
            except NoJobError:
                threading.Event().wait(0.05)

    worker = threading.Thread(target=_work)
    worker.start()
    wait_until(lambda: _consumers(db, "schedy.jobs.MinimizeManual") == 1, what="a worker that waits")
    db.get_experiment("MinimizeManual").delete()
    again = schedy.ManualSearch("MinimizeManual")
    db.add_experiment(again)
    pushed = again.add_job({"x": 2})
    worker.join(30)
    assert [job.job_id for job in got] == [pushed.job_id]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (schedy.RandomSearch("E", SPACE, max_jobs=3), schedy.RandomSearch("E", SPACE, max_jobs=3)),
        (schedy.RandomSearch("E", SPACE, max_jobs=3, ready=0), schedy.RandomSearch("E", SPACE, max_jobs=3, ready=0)),
        (schedy.RandomSearch("E", SPACE, max_jobs=3, ready=0), schedy.ManualSearch("E")),
        (schedy.ManualSearch("E"), schedy.RandomSearch("E", SPACE, max_jobs=3)),
    ],
    ids=["random, random", "random, random on demand", "random, manual", "manual, random"],
)
def test_a_worker_goes_on_with_a_search(
    db: schedy.SchedyDB, first: schedy.Experiment, second: schedy.Experiment
) -> None:
    db.add_experiment(first)
    held = db.get_experiment("E")
    db.get_experiment("E").delete()
    db.add_experiment(second)
    if second.scheduler == "manual":
        second.add_job({"x": 0.5})
    with held.next_job(timeout=20) as job:
        pass
    assert second.get_job(job.job_id).status == Job.DONE
