"""Jobs that outlast what brokers, connections, services and databases do meanwhile."""

import base64
import http.client
import json
import os
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

import schedy
from schedy import Job, NoJobError
from schedy.settings import Settings
from schedy.wire.answers import HistoryAnswer
from schedy.wire.requests import GetHistory
from schedy_broker_setup.node.files import NodeFolder
from schedy_broker_setup.node.node import PrivateNode
from tests.conftest import OwnNode, own_vhost, start_node
from tests.forwarder import Forwarder
from tests.support import PostgreSQL, running_service, wait_until

BROKER_TIMEOUT_MS = 2000


@pytest.fixture(scope="module")
def impatient_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnNode]:
    """A node that takes back what is not acknowledged within 2 seconds; it looks each second."""
    folder = NodeFolder(tmp_path_factory.mktemp("impatient") / "rabbitmq")
    folder.create()
    (folder.path / "no-advanced.config").write_text("[{rabbit, [{channel_tick_interval, 1000}]}].\n")
    started = start_node(folder.path, consumer_timeout=str(BROKER_TIMEOUT_MS))
    yield started
    started.private.kill()


@pytest.fixture
def impatient_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A vhost of an impatient broker.

    Where SCHEDY_TEST_BROKER_URL names another RabbitMQ (3.12 or later, before 4.3 with the same tick), a policy sets
    the timeout: the lower of queue argument and policy counts there.
    """
    if "SCHEDY_TEST_BROKER_URL" in os.environ:
        url: str = request.getfixturevalue("vhost_url")
        _set_policy(os.environ["SCHEDY_TEST_MANAGEMENT_URL"], urlsplit(url).path[1:])
        yield url
        return
    with own_vhost(request.getfixturevalue("impatient_node")) as url:
        yield url


def _set_policy(management_url: str, vhost: str) -> None:
    parts = urlsplit(management_url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port)
    login = base64.b64encode(f"{parts.username}:{parts.password}".encode()).decode()
    policy = {"pattern": "^schedy[.]jobs", "definition": {"consumer-timeout": BROKER_TIMEOUT_MS}}
    headers = {"Authorization": f"Basic {login}", "Content-Type": "application/json"}
    connection.request("PUT", f"/api/policies/{vhost}/impatient", json.dumps(policy), headers)
    assert connection.getresponse().status in {201, 204}
    connection.close()


def pass_time(seconds: float) -> None:
    """Let time go by that a lease, a broker or a database is to notice."""
    end = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() > end, seconds=seconds + 5)


def kinds_of(db: schedy.SchedyDB, experiment: schedy.Experiment, job_id: str) -> list[str]:
    answer = db.session.read(GetHistory(experiment_uid=experiment.uid, job_id=job_id))
    assert isinstance(answer, HistoryAnswer)
    return [event.kind for event in answer.events]


@pytest.mark.parametrize("hold_seconds", [0.5, 600.0], ids=["acknowledged early", "held for too long"])
def test_no_timeout_of_the_broker_costs_a_job(impatient_url: str, settings: Settings, hold_seconds: float) -> None:
    """A ticket that is held for too long goes back to its queue: the lease alone guards the job."""
    settings = settings.model_copy(update={"broker_url": impatient_url, "ticket_hold_seconds": hold_seconds})
    with (
        running_service(settings),
        schedy.SchedyDB(config_override=settings.model_dump()) as db,
        schedy.SchedyDB(config_override=settings.model_dump()) as other,
    ):
        db.add_experiment(experiment := schedy.ManualSearch("MinimizeManual"))
        elsewhere = other.get_experiment("MinimizeManual")
        experiment.add_job({"x": 1})
        with experiment.next_job(timeout=10) as job:
            pass_time(2 * settings.lease_seconds)
            with pytest.raises(NoJobError):
                elsewhere.next_job()
            job.results["r"] = 1
        stored = experiment.get_job(job.job_id)
        assert (stored.status, stored.attempt, stored.results) == (Job.DONE, 1, {"r": 1})
        taken_back = ["denied"] if hold_seconds > settings.lease_seconds else []
        assert kinds_of(db, experiment, job.job_id) == ["claimed", *taken_back, "ended"]
        experiment.add_job({"x": 2})
        with experiment.next_job(timeout=10) as following:
            assert following.hyperparameters == {"x": 2}


def test_a_broker_that_is_away_for_longer_than_a_lease_costs_no_job(own_node: OwnNode, settings: Settings) -> None:
    settings = settings.model_copy(update={"broker_url": own_node.url})
    with running_service(settings), schedy.SchedyDB(config_override=settings.model_dump()) as db:
        db.add_experiment(experiment := schedy.ManualSearch("MinimizeManual"))
        experiment.add_job({"x": 1})
        with experiment.next_job(timeout=10) as job:
            own_node.private.stop()
            pass_time(2 * settings.lease_seconds)
            _start_again(own_node.private)
            job.results["r"] = 1
        stored = experiment.get_job(job.job_id)
        assert (stored.status, stored.attempt, stored.results) == (Job.DONE, 1, {"r": 1})
        assert kinds_of(db, experiment, job.job_id) == ["claimed", "ended"]


def _start_again(node: PrivateNode) -> None:
    node.start()
    node.wait_ready()


def test_a_database_that_is_away_for_longer_than_a_lease_costs_no_job(
    settings: Settings, own_postgresql: PostgreSQL
) -> None:
    """Signs of life wait in line before the tick that judges, and the leases are renewed before that."""
    settings = settings.model_copy(update={"store_url": own_postgresql.new_database()})
    with running_service(settings), schedy.SchedyDB(config_override=settings.model_dump()) as db:
        db.add_experiment(experiment := schedy.ManualSearch("MinimizeManual"))
        experiment.add_jobs([{"hyperparameters": {"x": x}} for x in range(3)])
        jobs = [experiment.next_job(timeout=10) for _ in range(2)]
        own_postgresql.stop(mode="immediate")
        jobs[0].results["r"] = 0
        jobs[0].put()
        pass_time(3 * settings.lease_seconds)
        own_postgresql.start()
        with experiment.next_job(timeout=30) as third:
            assert third.hyperparameters == {"x": 2}
        for job in jobs:
            with job:
                job.results["r"] = 1
        assert [(job.status, job.attempt) for job in experiment.all_jobs()] == [(Job.DONE, 1)] * 3
        for job in jobs:
            assert "lost" not in kinds_of(db, experiment, job.job_id)


def test_no_lease_runs_out_because_of_a_backlog(settings: Settings) -> None:
    """No service for several leases; what it finds in its queue then comes before the tick that judges."""
    with schedy.SchedyDB(config_override=settings.model_dump()) as worker:
        with running_service(settings):
            worker.add_experiment(experiment := schedy.ManualSearch("MinimizeManual"))
            experiment.add_jobs([{"hyperparameters": {"x": x}} for x in range(2)])
            jobs = [experiment.next_job(timeout=10) for _ in range(2)]
        for step in range(200):
            jobs[0].results["step"] = step
            jobs[0].put()
        pass_time(2 * settings.lease_seconds)
        with running_service(settings):
            for job in jobs:
                with job:
                    job.results["r"] = 1
            wait_until(lambda: [job.status for job in experiment.all_jobs()] == [Job.DONE] * 2)
            for job in jobs:
                assert "lost" not in kinds_of(worker, experiment, job.job_id)


@pytest.mark.alone
@pytest.mark.xdist_group("timed")
@pytest.mark.parametrize("fault", ["cut", "hung"])
def test_a_lost_workers_job_runs_elsewhere_within_a_lease_and_two_seconds(
    experiment: schedy.ManualSearch, settings: Settings, fault: str
) -> None:
    """Another worker waits; the connection of the first is closed and stays so, or hangs."""
    parts = urlsplit(settings.broker_url)
    with Forwarder(int(parts.port or 0)) as forwarder:
        url = settings.broker_url.replace(f":{parts.port}/", f":{forwarder.port}/")
        lost = schedy.SchedyDB(config_override={**settings.model_dump(), "broker_url": url, "close_seconds": 0.1})
        experiment.add_job({"x": 1})
        held = lost.get_experiment("MinimizeManual").next_job(timeout=10)
        taken_at: list[float] = []
        waiting = threading.Thread(target=lambda: taken_at.append(_run_next(experiment)))
        waiting.start()
        lost_at = time.monotonic()
        if fault == "cut":
            forwarder.cut(refuse=True)
        else:
            forwarder.hang()
        waiting.join(30)
        assert taken_at[0] - lost_at <= settings.lease_seconds + 2
        forwarder.resume()
        with pytest.raises(schedy.UnsafeUpdateError):
            held.put()
        lost.close()


def _run_next(experiment: schedy.Experiment) -> float:
    """Take the next job and run it; return when it began."""
    job = experiment.next_job(timeout=30)
    began = time.monotonic()
    with job:
        pass
    return began


@pytest.mark.alone
@pytest.mark.xdist_group("timed")
def test_a_released_job_runs_elsewhere_within_a_second(experiment: schedy.ManualSearch, settings: Settings) -> None:
    experiment.add_job({"x": 1})
    with schedy.SchedyDB(config_override=settings.model_dump()) as other:
        held = other.get_experiment("MinimizeManual").next_job(timeout=10)
        taken_at: list[float] = []
        waiting = threading.Thread(target=lambda: taken_at.append(_run_next(experiment)))
        waiting.start()
        with pytest.raises(KeyboardInterrupt), held:
            released_at = time.monotonic()
            raise KeyboardInterrupt
        waiting.join(30)
        assert taken_at[0] - released_at <= 1.0
