"""Loops that claim ahead: what they hold while a job runs, and what becomes of it when it is not begun."""

import pytest

import schedy
from schedy import Job
from schedy.errors import InvalidValueError
from schedy.settings import Settings
from schedy.wire.requests import GetHistory
from tests.support import wait_until

pytestmark = pytest.mark.usefixtures("service")


def held_tokens(experiment: schedy.Experiment) -> list[str]:
    return list(experiment._session.leases._presence.holds)


def events(db: schedy.SchedyDB, job: Job) -> list[str]:
    request = GetHistory(experiment_uid=job.experiment.uid, job_id=job.job_id)
    return [f"{event.kind}: {event.detail}" for event in db.session.read(request).events]


def states(jobs: list[Job]) -> list[tuple[str, int]]:
    return [(stored.status, stored.attempt) for stored in (job.experiment.get_job(job.job_id) for job in jobs)]


def test_the_end_of_a_job_claims_the_next_which_is_given_back_if_it_is_not_begun(
    db: schedy.SchedyDB, experiment: schedy.ManualSearch, capfd: pytest.CaptureFixture[str]
) -> None:
    pushed = [experiment.add_job({"x": x}) for x in range(4)]
    loop = experiment.jobs(timeout=5)
    with next(loop):
        assert held_tokens(experiment) != []
        assert states(pushed)[1] == ("QUEUED", 0)  # while a job runs none waits in this worker
    wait_until(
        lambda: any("before it began" in event for event in events(db, pushed[1])), what="the second, given back"
    )
    assert states(pushed)[:2] == [("DONE", 1), ("QUEUED", 0)]
    taken = [next(loop) for _ in range(2)]  # the first of which is DONE when the second is taken
    assert [job.hyperparameters["x"] for job in taken] == [2, 3]
    experiment.get_job(taken[1].job_id).delete()
    with taken[1]:
        pass
    assert taken[1].status == Job.RUNNING  # the end was refused
    assert f"Job {taken[1].job_id} is no longer this worker's: it was deleted" in capfd.readouterr().err
    loop.close()
    wait_until(lambda: states(pushed[:2]) == [("DONE", 1), ("QUEUED", 0)], what="the second, given back again")
    with experiment.next_job(timeout=5) as job:
        assert job.job_id == pushed[1].job_id


def test_a_loop_that_prefetches_holds_so_many_jobs_and_leaves_none_in_the_hands_of_a_long_one(
    settings: Settings, experiment: schedy.ManualSearch
) -> None:
    with pytest.raises(InvalidValueError, match="prefetch is a whole number from 1 to 1000, not 0"):
        experiment.jobs(prefetch=0)
    pushed = [experiment.add_job({"x": x}) for x in range(6)]
    short = settings.model_dump() | {"ticket_hold_seconds": 3.0}
    with schedy.SchedyDB(config_override=short) as other:
        mine = other.get_experiment("MinimizeManual")
        loop = mine.jobs(timeout=0.5, prefetch=3)
        with next(loop):
            wait_until(lambda: len(held_tokens(mine)) == 3, what="two jobs beside the one that runs")
            assert states(pushed[3:]) == [("QUEUED", 0)] * 3
            pushed[1].cancel()
            wait_until(lambda: len(held_tokens(mine)) == 1, what="what waits behind a long job to be given back")
            wait_until(lambda: states(pushed[1:3]) == [("PRUNED", 1), ("QUEUED", 0)], what="the store to know that")
        assert mine.work(lambda job: {"x": job.hyperparameters["x"]}, timeout=0.5, prefetch=3) == 4
        loop.close()
    assert states(pushed) == [("DONE", 1), ("PRUNED", 1), *[("DONE", 1)] * 4]
