"""Queues of experiments that cannot be used: somebody else's, and those that RabbitMQ has lost."""

import contextlib
import logging
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import schedy
from schedy import Job
from schedy.amqp import silence
from schedy.settings import Settings, load_settings
from schedy.wire import names
from schedy_broker_setup.connecting import open_connection
from schedy_broker_setup.declaring import setup
from schedy_store.service.broker import ticker, ticket_publisher
from tests.conftest import OwnNode
from tests.node_control import forget_queue, suspend_queue
from tests.support import running_service, wait_until


@pytest.fixture
def settings(breakable_url: str, tmp_path: Path) -> Settings:
    """A lease so long that the net for lost tickets helps nobody here."""
    return load_settings(
        override={
            "broker_url": breakable_url,
            "data_dir": tmp_path / "data",
            "store_url": f"sqlite:///{tmp_path}/data/store.sqlite",
            "claim_retry_seconds": 1.0,
        },
        environment={},
    )


def _run(experiment: schedy.Experiment, count: int) -> list[int]:
    done = []
    for _ in range(count):
        with experiment.next_job(timeout=40) as job:
            done.append(job.hyperparameters["x"])
    return sorted(done)


def _added(db: schedy.SchedyDB, name: str, *values: int) -> schedy.ManualSearch:
    experiment = schedy.ManualSearch(name)
    db.add_experiment(experiment)
    for value in values:
        experiment.add_job({"x": value})
    return experiment


def test_a_queue_of_somebody_else_stops_its_experiment_alone(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    with open_connection(settings.broker_url, purpose="test") as connection:
        connection.channel().queue_declare(names.jobs_queue("Broken"), durable=True)
    with running_service(settings), schedy.SchedyDB(config_override=settings.model_dump()) as db:
        broken = _added(db, "Broken", 1)
        good = _added(db, "Good", 2)
        assert _run(good, 1) == [2]
        assert "The queue schedy.jobs.Broken cannot be used" in caplog.text
        assert "delete_queue schedy.jobs.Broken" in caplog.text
        assert caplog.text.count("cannot be used") == 1
        assert "was lost" not in caplog.text
        with open_connection(settings.broker_url, purpose="test") as connection:
            connection.channel().queue_delete(names.jobs_queue("Broken"))
        assert _run(broken, 1) == [1]


def test_a_queue_that_is_lost_is_made_anew_when_a_ticket_is_refused(
    breakable_node: OwnNode, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    with running_service(settings), schedy.SchedyDB(config_override=settings.model_dump()) as db:
        experiment = _added(db, "E", 1, 2)
        forget_queue(breakable_node, settings.broker_url, names.jobs_queue("E"))
        experiment.add_job({"x": 3})
        assert _run(experiment, 3) == [1, 2, 3]
    assert "The queue schedy.jobs.E takes no tickets and is empty" in caplog.text


def test_a_service_that_begins_makes_lost_queues_anew_and_workers_wait_for_it(
    breakable_node: OwnNode, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    with schedy.SchedyDB(config_override=settings.model_dump()) as db, ThreadPoolExecutor() as pool:
        with running_service(settings):
            experiment = _added(db, "E", 1)
            running = experiment.next_job()
            others = [_added(db, name) for name in ("A", "Z")]
            experiment.add_job({"x": 2})
        for name in ("E", "A", "Z"):
            forget_queue(breakable_node, settings.broker_url, names.jobs_queue(name))
        waiting = pool.submit(experiment.next_job, timeout=None)
        with caplog.at_level(logging.WARNING):
            wait_until(lambda: "INTERNAL_ERROR" in caplog.text, what="the fault over the get")
        with running_service(settings):
            with waiting.result(40) as job:
                assert job.hyperparameters == {"x": 2}
            with running:
                pass
            for other in others:
                wait_until(lambda name=other.name: f"schedy.jobs.{name} takes no" in caplog.text, what="the repair")  # type: ignore[misc]
                with pytest.raises(schedy.NoJobError):
                    other.next_job()
            assert [(job.status, job.attempt) for job in experiment.all_jobs()] == [(Job.DONE, 1)] * 2


def test_a_queue_that_says_nothing_is_made_anew_and_holds_nobody_else_up(
    breakable_node: OwnNode, settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for module in (ticker, ticket_publisher):
        monkeypatch.setattr(module, "CONFIRM_SECONDS", 2.5)
    with running_service(settings), schedy.SchedyDB(config_override=settings.model_dump()) as db:
        hanging, good = _added(db, "Hanging", 1), _added(db, "Good", 2)
        suspend_queue(breakable_node, settings.broker_url, names.jobs_queue("Hanging"))
        hanging.add_job({"x": 3})
        assert _run(good, 1) == [2]
        good.add_job({"x": 4})
        assert _run(good, 1) == [4]
        assert _run(hanging, 2) == [1, 3]
    assert "The queue schedy.jobs.Hanging does not take a ticket" in caplog.text


def test_a_queue_that_stops_the_whole_connection_is_made_anew(
    breakable_node: OwnNode, settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """RabbitMQ reads nothing more from a connection with many messages for a queue that takes none; no tick passes."""
    monkeypatch.setattr(ticker, "CONFIRM_SECONDS", 0.0)  # some ticks pass here shortly before
    monkeypatch.setattr(ticket_publisher, "CONFIRM_SECONDS", 2.5)
    monkeypatch.setattr(silence, "_SILENT_SECONDS", 3.0)
    settings = settings.model_copy(update={"ticket_window": 2_000})
    with running_service(settings), schedy.SchedyDB(config_override=settings.model_dump()) as db:
        hanging, good = _added(db, "Hanging"), _added(db, "Good", 2)
        suspend_queue(breakable_node, settings.broker_url, names.jobs_queue("Hanging"))
        with contextlib.suppress(schedy.NotStoredYetError):
            hanging.add_jobs({"hyperparameters": {"x": x}} for x in range(1500))
        assert _run(good, 1) == [2]
        good.add_job({"x": 4})
        assert _run(good, 1) == [4]
        some = _run(hanging, 2)  # not always the oldest: tickets that a queue has lost come after those made meanwhile
        assert len({*some} & {*range(1500)}) == 2, some
    assert re.search(r"has confirmed nothing for \d+ s; making a new connection\.", caplog.text)
    assert "The queue schedy.jobs.Hanging takes no tickets and is empty" in caplog.text


def test_the_broker_is_killed_right_after_an_experiment_was_added(own_node: OwnNode, settings: Settings) -> None:
    """RabbitMQ 3.10 loses the queue then, nearly always."""
    settings = settings.model_copy(update={"broker_url": own_node.url})
    with running_service(settings), schedy.SchedyDB(config_override=settings.model_dump()) as db:
        experiment = _added(db, "E")
        own_node.private.kill()
        own_node.private.start()
        own_node.private.wait_ready()
        with contextlib.suppress(schedy.NotStoredYetError):
            experiment.add_job({"x": 1})
        assert _run(experiment, 1) == [1]


def test_a_service_whose_own_queue_is_lost_says_so(
    breakable_node: OwnNode, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    setup(settings.broker_url)
    forget_queue(breakable_node, settings.broker_url, names.REPORTS_QUEUE)
    with running_service(settings):
        wait_until(lambda: "RabbitMQ has lost schedy.reports or schedy.requests" in caplog.text, what="the words")
