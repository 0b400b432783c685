"""Messages over the broker's max_message_size: their sender hears it, and nothing else suffers."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import schedy
from schedy import Job
from schedy.amqp.channel import Outgoing
from schedy.errors import InvalidValueError, MessageTooLargeError
from schedy.settings import Settings, load_settings
from schedy.wire.answers import CurveAnswer
from schedy.wire.codec import encode
from schedy.wire.reports import Finish
from schedy.wire.requests import GetCurve
from schedy.worker.undelivered import keep, kept_files
from schedy_store.reads import answer_request
from schedy_store.schema.engine import Store
from tests.conftest import OwnNode, own_vhost, start_node
from tests.support import running_service, wait_until

LIMIT = 200_000
TOO_LARGE = r"^A message of \d{3},\d{3} bytes is too large for RabbitMQ at .*, which takes 200,000\. Store large data"


@pytest.fixture(scope="module")
def small_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnNode]:
    """A node that takes small messages only."""
    started = start_node(tmp_path_factory.mktemp("small") / "rabbitmq", max_message_size=str(LIMIT))
    yield started
    started.private.kill()


@pytest.fixture
def settings(small_node: OwnNode, tmp_path: Path) -> Iterator[Settings]:
    with own_vhost(small_node) as url:
        yield load_settings(
            override={
                "broker_url": url,
                "data_dir": tmp_path / "data",
                "store_url": f"sqlite:///{tmp_path}/data/store.sqlite",
                "lease_seconds": 3.0,
                "claim_retry_seconds": 0.5,
            },
            environment={},
        )


@pytest.fixture
def db(settings: Settings) -> Iterator[schedy.SchedyDB]:
    with running_service(settings), schedy.SchedyDB(config_override=settings.model_dump()) as connection:
        yield connection


@pytest.fixture
def experiment(db: schedy.SchedyDB) -> schedy.ManualSearch:
    made = schedy.ManualSearch("E")
    db.add_experiment(made)
    return made


def test_put_is_refused_and_others_go_on(
    experiment: schedy.ManualSearch, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    experiment.add_jobs([{"hyperparameters": {"x": x}} for x in range(2)])
    with experiment.next_job() as other, experiment.next_job() as job, ThreadPoolExecutor(8) as threads:
        job.report(1, loss=0.5)
        job.results["log"] = "x" * 500_000
        others = [threads.submit(other.put) for _ in range(20)]
        with pytest.raises(InvalidValueError, match=TOO_LARGE):
            job.put()
        for each in others:
            each.result(10)
        job.results = {"log": "short"}
        job.put()
    stored = {each.hyperparameters["x"]: each for each in experiment.all_jobs()}
    assert [(each.status, each.attempt) for each in stored.values()] == [(Job.DONE, 1)] * 2
    assert points_of(job, settings) == [(1, {"loss": 0.5})]
    assert caplog.text.count("is too large for RabbitMQ") == 1


def test_a_job_whose_end_is_too_large_is_crashed_with_that_reason(
    experiment: schedy.ManualSearch, settings: Settings
) -> None:
    experiment.add_job({"x": 1})
    with pytest.raises(MessageTooLargeError, match=TOO_LARGE):
        with experiment.next_job() as job:
            job.report(1, loss=0.5)
            job.results |= {"log": "x" * 500_000, "loss": 1.5}
    stored = experiment.get_job(job.job_id)
    assert (stored.status, stored.attempt, stored.results) == (Job.CRASHED, 1, {"loss": 1.5})
    assert "The results could not be sent: A message of 500," in (stored.error or "")
    assert points_of(job, settings) == [(1, {"loss": 0.5})]


def test_a_push_is_refused(experiment: schedy.ManualSearch) -> None:
    with pytest.raises(InvalidValueError, match=TOO_LARGE):
        experiment.add_job({"text": "x" * 300_000})
    assert list(experiment.all_jobs()) == []


def test_many_points_go_in_parts(experiment: schedy.ManualSearch, settings: Settings) -> None:
    experiment.add_job({"x": 1})
    with experiment.next_job() as job:
        for step in range(300):
            job.report(step, **{f"value {number}": step / 3 for number in range(100)})
    assert experiment.get_job(job.job_id).status == Job.DONE
    assert [step for step, _values in points_of(job, settings)] == list(range(300))


def test_an_answer_that_is_too_large_is_a_refusal_that_says_so(
    experiment: schedy.ManualSearch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    for _ in range(5):
        experiment.add_job({"text": "x" * 60_000})
    for _ in range(2):
        with pytest.raises(InvalidValueError, match="The answer is too large for a message of the broker"):
            list(experiment.all_jobs())
    assert "An answer (jobs_answer) of 30" in caplog.text
    assert experiment.next_job() is not None


def test_a_claim_leaves_out_what_earlier_attempts_reported(experiment: schedy.ManualSearch) -> None:
    experiment.add_job({"text": "x" * 120_000})
    with pytest.raises(ZeroDivisionError), experiment.next_job() as job:
        job.results["checkpoint"] = "y" * 120_000
        raise ZeroDivisionError
    job.retry()
    with experiment.next_job() as again:
        assert (again.attempt, again.previous_results) == (2, {})
        assert len(again.hyperparameters["text"]) == 120_000


def points_of(job: Job, settings: Settings) -> list[tuple[int, dict[str, float]]]:
    """The points in the store, in one answer that no broker would take."""
    store = Store.open(settings.effective_store_url, read_only=True)
    with store.transaction() as transaction:
        answer = answer_request(transaction, GetCurve(experiment_uid=job.experiment.uid, job_id=job.job_id))
    store.close()
    assert isinstance(answer, CurveAnswer)
    return [(point.step, dict(point.values)) for point in answer.points]


def test_kept_results_that_are_too_large_are_set_aside_and_said(
    settings: Settings, experiment: schedy.ManualSearch, caplog: pytest.LogCaptureFixture
) -> None:
    job = experiment.add_job({"x": 1}, status=Job.RUNNING)
    assert job._hold is not None
    finish = Finish(
        **job._hold.report_fields(),
        points=[],
        status="DONE",
        results={"text": "x" * LIMIT},
        quality=0.0,
        error=None,
        traceback=None,
    )
    keep(settings, [Outgoing("", "", encode(finish), finish.kind, "1")])
    [file] = kept_files(settings)
    with schedy.SchedyDB(config_override=settings.model_dump()) as other, caplog.at_level(logging.ERROR):
        other.session.deliver_kept(patience_seconds=10.0)
        wait_until(lambda: "rename it to" in caplog.text, seconds=10, what="the word of what is too large")
    assert kept_files(settings) == []
    assert file.path.with_suffix(".too-large").exists()
    job._hold = None
