"""Exchanges, queues and bindings that are deleted under a running service are declared again, with one line."""

import logging
from collections.abc import Callable

import pytest
from pika.adapters.blocking_connection import BlockingChannel

import schedy
from schedy import Job
from schedy.settings import Settings
from schedy.wire import names
from schedy.wire.topology import QUEUES
from schedy_broker_setup.connecting import open_connection
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
