"""RabbitMQ short of disk takes no messages: everybody waits and says why, and nothing is lost."""

import logging
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import schedy
from schedy import Job
from schedy.errors import BrokerError
from schedy.settings import Settings, load_settings
from tests.conftest import OwnNode, own_vhost, start_node
from tests.node_control import end_disk_alarm, raise_disk_alarm
from tests.support import running_service, wait_until

SAID = "takes no messages now: it is low on disk. Make room there"


@pytest.fixture(scope="module")
def low_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnNode]:
    """A node that can be made low on disk: nobody else uses it."""
    started = start_node(tmp_path_factory.mktemp("low") / "rabbitmq")
    yield started
    started.private.kill()


@pytest.fixture
def settings(low_node: OwnNode, tmp_path: Path) -> Iterator[Settings]:
    """A short lease, and a heartbeat that would end an unread connection within seconds."""
    with own_vhost(low_node) as url:
        yield load_settings(
            override={
                "broker_url": url,
                "data_dir": tmp_path / "data",
                "store_url": f"sqlite:///{tmp_path}/data/store.sqlite",
                "lease_seconds": 3.0,
                "amqp_heartbeat_seconds": 2,
                "claim_retry_seconds": 0.5,
            },
            environment={},
        )
        end_disk_alarm(low_node)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


def test_put_push_and_claim_wait_for_the_end_of_the_alarm(
    low_node: OwnNode, settings: Settings, threads: ThreadPoolExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    with running_service(settings), schedy.SchedyDB(config_override=settings.model_dump()) as db:
        experiment = schedy.ManualSearch("E")
        db.add_experiment(experiment)
        experiment.add_jobs({"hyperparameters": {"x": x}} for x in range(2))
        with experiment.next_job() as job:
            raise_disk_alarm(low_node)
            job.results["r"] = 1
            first = threads.submit(job.put)
            calls = db.session.calls
            wait_until(lambda: calls.connection.blocked, what="RabbitMQ's word that it is blocked")
            job.results["r"] = 2
            put = threads.submit(job.put)
            push = threads.submit(experiment.add_job, {"x": 2})
            claim = threads.submit(experiment.next_job, timeout=None)
            waiting: list[Future[Any]] = [put, push, claim]
            ends = time.monotonic() + 3 * settings.lease_seconds
            wait_until(lambda: time.monotonic() > ends, what="three leases")
            assert not any(waiter.done() for waiter in waiting)
            assert str(calls.last_error).startswith(f"RabbitMQ at 127.0.0.1:{low_node.private.settings.amqp_port}")
            end_disk_alarm(low_node)
            for call in [first, *waiting]:
                call.result(20)
        with claim.result() as other:
            pass
        assert experiment.get_job(job.job_id).results == {"r": 2}
        stored = list(experiment.all_jobs())
    assert [(found.status, found.attempt) for found in stored[:2]] == [(Job.DONE, 1)] * 2
    assert other.job_id == stored[1].job_id
    assert stored[2].hyperparameters == {"x": 2}
    assert SAID in caplog.text
    assert "takes messages again" in caplog.text
    assert "was lost" not in caplog.text


def test_a_push_that_gives_up_says_why(low_node: OwnNode, settings: Settings) -> None:
    impatient = dict.fromkeys(("service_wait_seconds", "store_wait_seconds", "claim_patience_seconds"), 2.0)
    with running_service(settings), schedy.SchedyDB(config_override=settings.model_dump()) as patient:
        patient.add_experiment(schedy.ManualSearch("E"))  # the service is there afterwards
        db = schedy.SchedyDB(config_override=settings.model_dump() | impatient)
        experiment = db.get_experiment("E")
        raise_disk_alarm(low_node)
        with pytest.raises(schedy.SchedyError):  # this one was taken: RabbitMQ blocks whoever has published
            experiment.add_job({"x": 1})
        with pytest.raises(BrokerError, match=SAID):
            experiment.add_job({"x": 2})
        with pytest.raises(BrokerError, match=SAID):
            experiment.next_job()
        before = time.monotonic()
        db.close()
    assert time.monotonic() - before < settings.close_seconds + 5.0
