"""Exchanges, queues and bindings that are deleted under a running service are declared again, with one line."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
from pika.adapters.blocking_connection import BlockingChannel

import schedy
from schedy import Job
from schedy.errors import BrokerError, TopologyMissingError
from schedy.settings import Settings
from schedy.wire import names
from schedy.wire.topology import QUEUES
from schedy_broker_setup.connecting import open_connection
from tests.forwarder import Forwarder
from tests.support import running_service, wait_until

REMOVALS: dict[str, Callable[[BlockingChannel], object]] = {
    "queue schedy.requests": lambda channel: channel.queue_delete(names.REQUESTS_QUEUE),
    "queue schedy.reports": lambda channel: channel.queue_delete(names.REPORTS_QUEUE),
    "exchange schedy.inbox": lambda channel: channel.exchange_delete(names.INBOX_EXCHANGE),
    "exchange schedy.jobs": lambda channel: channel.exchange_delete(names.JOBS_EXCHANGE),
    "binding of ticks": lambda channel: channel.queue_unbind(
        names.REPORTS_QUEUE, names.INBOX_EXCHANGE, f"{names.SERVICE_KEY_PREFIX}#"
    ),
    "all queues": lambda channel: [channel.queue_delete(queue.name) for queue in QUEUES],
}


@pytest.mark.parametrize("what", REMOVALS)
def test_what_is_deleted_is_declared_again_with_one_line(
    settings: Settings, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    settings = settings.model_copy(update={"lease_seconds": 30.0})
    with running_service(settings), schedy.SchedyDB(config_override=settings.model_dump()) as db:
        experiment = schedy.ManualSearch("E")
        db.add_experiment(experiment)
        experiment.add_job({"x": 1})
        caplog.clear()
        caplog.set_level(logging.INFO)
        with open_connection(settings.broker_url, purpose="test") as broker:
            REMOVALS[what](broker.channel())
        experiment.add_job({"x": 2})
        wait_until(lambda: "It was declared again" in caplog.text, what="the repair")
        for _ in range(2):
            with experiment.next_job(timeout=10):
                pass
        assert [job.status for job in experiment.all_jobs()] == [Job.DONE] * 2
    warnings = [
        record.getMessage()
        for record in caplog.records
        if record.name.startswith("schedy_store") and record.levelno >= logging.WARNING
    ]
    has_lost_reports = what in {"queue schedy.reports", "all queues"}
    assert len(warnings) == 1 + has_lost_reports, warnings
    assert (
        any("Reports, pushes and changes that were in it are not stored" in line for line in warnings)
        == has_lost_reports
    )


FIRST_CALLS: dict[str, Callable[[schedy.SchedyDB], object]] = {
    "a change": lambda db: db.add_experiment(schedy.ManualSearch("E")),
    "a read": lambda db: db.get_experiments(),
}


@pytest.mark.parametrize("what", FIRST_CALLS)
def test_missing_queues_are_waited_for_as_the_service_that_makes_them(
    settings: Settings, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    override = settings.model_dump()
    with schedy.SchedyDB(config_override=override) as db, ThreadPoolExecutor(1) as pool:
        called = pool.submit(FIRST_CALLS[what], db)
        wait_until(lambda: "Waiting up to 20 s" in caplog.text, what="the line about the wait")
        assert "no results service answers" in caplog.text
        with running_service(settings):
            called.result(20)


@pytest.mark.parametrize("what", FIRST_CALLS)
def test_queues_that_stay_missing_are_named_in_the_end(settings: Settings, what: str) -> None:
    hasty = settings.model_copy(update={"service_wait_seconds": 1.0})
    with schedy.SchedyDB(config_override=hasty.model_dump()) as db:
        with pytest.raises(TopologyMissingError, match="schedy broker setup"):
            FIRST_CALLS[what](db)


def test_a_broker_that_is_away_is_named_although_queues_were_missing(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    address = urlsplit(settings.broker_url)
    with Forwarder(address.port or 0) as way, ThreadPoolExecutor(1) as pool:
        through = settings.broker_url.replace(f":{address.port}/", f":{way.port}/")
        override = settings.model_copy(update={"broker_url": through, "service_wait_seconds": 10.0}).model_dump()
        with schedy.SchedyDB(config_override=override) as db:
            called = pool.submit(FIRST_CALLS["a change"], db)
            wait_until(lambda: "no results service answers" in caplog.text, what="the line about the wait")
            way.cut(refuse=True)
            with pytest.raises(BrokerError) as raised:
                called.result(20)
    assert not isinstance(raised.value, TopologyMissingError)
