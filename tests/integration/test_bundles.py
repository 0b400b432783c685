"""Reports of one process that leave together, and their answers."""

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

import schedy
from schedy import Job
from schedy.amqp.channel import Channel, Outgoing, PublishOutcome
from schedy.settings import Settings
from schedy.worker.outbox import Outbox
from tests.support import wait_until

pytestmark = pytest.mark.usefixtures("service")


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[Outgoing]:
    """What this process publishes from now on."""
    seen: list[Outgoing] = []
    publish = Channel.publish

    def _noted(
        channel: Channel, outgoing: Outgoing, on_outcome: Callable[[PublishOutcome], None] | None = None
    ) -> None:
        seen.append(outgoing)
        publish(channel, outgoing, on_outcome)

    monkeypatch.setattr(Channel, "publish", _noted)
    return seen


def reports(published: list[Outgoing]) -> list[str]:
    return [outgoing.kind for outgoing in published if outgoing.routing_key.startswith("report.")]


def put_together(jobs: list[Job]) -> None:
    """Report on all jobs, each in a thread, before the broker has confirmed anything."""
    session = jobs[0].experiment._session
    gate, held = threading.Event(), threading.Event()

    def _wait() -> None:
        held.set()
        gate.wait(10)

    session.calls.connection.run(_wait)
    held.wait(10)
    threads = [threading.Thread(target=job.put) for job in jobs]
    for thread in threads:
        thread.start()
    submissions = session.calls._table.submissions
    wait_until(lambda: len(submissions._calls) == len(jobs), what="all reports")
    gate.set()
    for thread in threads:
        thread.join()


def test_reports_that_come_while_others_are_under_way_leave_together(
    experiment: schedy.ManualSearch, published: list[Outgoing]
) -> None:
    jobs = [experiment.add_job({"x": x}, status=Job.RUNNING) for x in range(12)]
    published.clear()
    for job in jobs:
        job.results["x"] = job.hyperparameters["x"]
    put_together(jobs)
    assert reports(published).count("bundle") == 1
    assert reports(published).count("progress") <= 2  # a heartbeat may be among the first two
    assert "answer_bundle" in [outgoing.kind for outgoing in published]  # the service is in this process
    assert [experiment.get_job(job.job_id).results["x"] for job in jobs] == list(range(12))


def test_a_process_whose_bundle_the_broker_refuses_sends_its_reports_one_by_one(
    experiment: schedy.ManualSearch, published: list[Outgoing], monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [experiment.add_job({"x": x}, status=Job.RUNNING) for x in range(5)]
    bundle = Outbox._bundle
    monkeypatch.setattr(Outbox, "_bundle", lambda *given: replace(bundle(*given), exchange="schedy.missing"))
    published.clear()
    put_together(jobs)
    assert reports(published).count("bundle") == 1
    published.clear()
    for job in jobs:
        job.results["x"] = job.hyperparameters["x"]
    put_together(jobs)
    assert set(reports(published)) - {"heartbeat"} == {"progress"}
    assert [experiment.get_job(job.job_id).results["x"] for job in jobs] == list(range(5))


def test_nothing_waits_for_others_when_the_connection_is_closed(
    settings: Settings, experiment: schedy.ManualSearch
) -> None:
    pushed = experiment.add_jobs({"hyperparameters": {"x": x}} for x in range(8))
    other = schedy.SchedyDB(config_override=settings.model_dump())
    held = [other.get_experiment("MinimizeManual").next_job(timeout=5) for _ in pushed]
    other.session.close_sometime()

    def _states() -> set[tuple[str, int]]:
        return {(job.status, job.attempt) for job in (experiment.get_job(each.job_id) for each in held)}

    wait_until(lambda: ("RUNNING", 1) not in _states(), what="all jobs, given back")
    assert _states() == {("QUEUED", 0)}
