"""The limits of one worker process: the channels of its connection."""

import pytest

import schedy
from schedy import BrokerError
from schedy.settings import Settings


def test_a_job_for_which_no_channel_is_left_is_refused_and_the_others_go_on(
    settings: Settings, experiment: schedy.ManualSearch
) -> None:
    experiment.add_jobs({"hyperparameters": {"x": x}} for x in range(6))
    few = settings.model_dump() | {"broker_url": settings.broker_url + "?channel_max=4"}
    with schedy.SchedyDB(config_override=few) as db:
        mine = db.get_experiment("MinimizeManual")
        held = [mine.next_job(), mine.next_job()]
        with pytest.raises(BrokerError, match=r"RabbitMQ allows it 4 channels \(channel_max\)"):
            mine.next_job()
        for job in held:
            with job:
                job.results["r"] = 1
        with mine.next_job(timeout=10):
            pass
    assert sorted(job.status for job in experiment.all_jobs()) == ["DONE"] * 3 + ["QUEUED"] * 3
