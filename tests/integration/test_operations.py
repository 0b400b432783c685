"""Pausing, cancelling, retrying, time limits, unhealthy workers, and what the history tells of all that."""

import contextlib
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pika
import pytest
from pika.exceptions import ChannelClosedByBroker

import schedy
from schedy import Job, JobCancelledError, NoJobError, StopTimeError, UnhealthyWorkerError, UnsafeUpdateError
from schedy.errors import InvalidValueError
from schedy.settings import Settings
from schedy.wire import names
from schedy.wire.answers import HistoryAnswer, JobsAnswer, WorkersAnswer
from schedy.wire.base import Sendable
from schedy.wire.codec import encode, routing_key
from schedy.wire.records import JobEvent, WorkerRecord
from schedy.wire.reports import Finish
from schedy.wire.requests import GetHistory, GetJobs, GetWorkers
from schedy_broker_setup.declaring import setup
from schedy_broker_setup.management import Management
from schedy_broker_setup.permissions import Role, User
from schedy_broker_setup.users import create_users
from schedy_store.reads import answer_request
from schedy_store.schema.engine import Store
from tests.conftest import Node
from tests.support import running_service, wait_until


def events_of(experiment: schedy.Experiment, job_id: str | None = None) -> list[JobEvent]:
    answer = experiment._session.read(GetHistory(experiment_uid=experiment.uid, job_id=job_id))
    assert isinstance(answer, HistoryAnswer)
    return answer.events


def kinds_of(experiment: schedy.Experiment, job_id: str | None = None) -> list[str]:
    return [event.kind for event in events_of(experiment, job_id)]


def workers_of(db: schedy.SchedyDB) -> list[WorkerRecord]:
    answer = db.session.read(GetWorkers(gone=True))
    assert isinstance(answer, WorkersAnswer)
    return answer.workers


def go_silent(job: Job) -> None:
    """From here on no heartbeat names the job."""
    assert job._hold is not None
    job._session.leases.forget(job._hold)


def publish(url: str, message: Sendable, **properties: Any) -> None:
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    channel.confirm_delivery()
    try:
        channel.basic_publish(
            names.INBOX_EXCHANGE,
            routing_key(message),
            encode(message),
            pika.BasicProperties(**properties),
            mandatory=True,
        )
    finally:
        connection.close()


def forged_finish(experiment: schedy.Experiment, job_id: str, token: str | None = None) -> Finish:
    return Finish(
        experiment_uid=experiment.uid,
        job_id=job_id,
        token=token or uuid.uuid4().hex,
        sequence=1000,
        status="DONE",
        results={"forged": 1},
        quality=0.0,
    )


@pytest.fixture
def other(settings: Settings, db: schedy.SchedyDB) -> Iterator[schedy.SchedyDB]:
    """Another worker."""
    with schedy.SchedyDB(config_override=settings.model_dump()) as connection:
        yield connection


class TestPausing:
    def test_no_job_begins_until_it_is_resumed(self, experiment: schedy.ManualSearch) -> None:
        job = experiment.add_job({"x": 1})
        assert not experiment.paused
        for _ in range(2):
            experiment.pause()
            assert experiment.paused
        with pytest.raises(NoJobError, match=r"The experiment is paused: `schedy resume MinimizeManual`\.$"):
            experiment.next_job(timeout=0.5)
        with pytest.raises(UnsafeUpdateError, match="paused or done"):
            job.try_run()
        for _ in range(2):
            experiment.resume()
            assert not experiment.paused
        assert experiment.next_job(timeout=10).job_id == job.job_id
        assert [kind for kind in kinds_of(experiment) if kind in {"paused", "resumed"}] == ["paused", "resumed"]

    def test_who_waits_goes_on_waiting(
        self, experiment: schedy.ManualSearch, other: schedy.SchedyDB, settings: Settings
    ) -> None:
        experiment.pause()
        job = experiment.add_job({"x": 1})
        mine = other.get_experiment("MinimizeManual")
        got: list[str] = []

        def _work() -> None:
            with mine.next_job(timeout=None) as found:
                got.append(found.job_id)

        thread = threading.Thread(target=_work)
        thread.start()
        wait_until(lambda: consumers(settings, "MinimizeManual") == 1, what="the worker to wait")
        assert got == []
        experiment.resume()
        thread.join(20)
        assert got == [job.job_id]

    def test_running_jobs_go_on(self, experiment: schedy.ManualSearch) -> None:
        experiment.add_job({"x": 1})
        with experiment.next_job() as job:
            experiment.pause()
            job.results["r"] = 1
            job.put()
        assert experiment.get_job(job.job_id).status == Job.DONE


def consumers(settings: Settings, experiment: str) -> int:
    connection = pika.BlockingConnection(pika.URLParameters(settings.broker_url))
    found = connection.channel().queue_declare(names.jobs_queue(experiment), passive=True).method.consumer_count
    connection.close()
    return int(found)


class TestCancelling:
    def test_a_queued_job_never_runs(self, experiment: schedy.ManualSearch) -> None:
        job = experiment.add_job({"x": 1})
        job.cancel()
        stored = experiment.get_job(job.job_id)
        assert (stored.status, stored.attempt, stored.worker) == (Job.PRUNED, 0, None)
        with pytest.raises(NoJobError):
            experiment.next_job(timeout=0.5)
        with pytest.raises(UnsafeUpdateError, match="already PRUNED"):
            job.cancel()
        assert kinds_of(experiment, job.job_id) == ["cancelled", "ended", "denied"]  # the last one by its ticket

    def test_the_holder_hears_it_and_its_last_results_count(
        self, experiment: schedy.ManualSearch, settings: Settings
    ) -> None:
        experiment.add_job({"x": 1})
        with experiment.next_job() as job:
            assert not job.cancelled
            experiment.get_job(job.job_id).cancel()
            wait_until(lambda: job.cancelled, seconds=settings.lease_seconds, what="the news")
            job.results["r"] = 1
            with pytest.raises(JobCancelledError, match=r"it was cancelled\. This report is stored"):
                job.put()
            assert experiment.get_job(job.job_id).results == {"r": 1}
            job.results["r"] = 2
            job.put()
            pytest.fail("put must raise")
        assert job.status == Job.PRUNED
        stored = experiment.get_job(job.job_id)
        assert (stored.status, stored.results, stored.error) == (Job.PRUNED, {"r": 2}, None)

    def test_a_holder_that_does_not_look_is_told_by_its_next_put(self, experiment: schedy.ManualSearch) -> None:
        experiment.add_job({"x": 1})
        with experiment.next_job() as job:
            experiment.get_job(job.job_id).cancel()
            job.put()
            pytest.fail("put must raise")
        assert experiment.get_job(job.job_id).status == Job.PRUNED

    def test_a_holder_that_is_just_done_leaves_it_pruned_with_its_results(
        self, experiment: schedy.ManualSearch
    ) -> None:
        experiment.add_job({"x": 1})
        with experiment.next_job() as job:
            experiment.get_job(job.job_id).cancel()
            job.results["r"] = 1
        assert job.status == Job.PRUNED
        assert experiment.get_job(job.job_id).results == {"r": 1}

    def test_a_holder_that_gives_it_back_leaves_it_pruned(self, experiment: schedy.ManualSearch) -> None:
        experiment.add_job({"x": 1})
        with pytest.raises(KeyboardInterrupt), experiment.next_job() as job:
            experiment.get_job(job.job_id).cancel()
            raise KeyboardInterrupt
        wait_until(lambda: experiment.get_job(job.job_id).status == Job.PRUNED, what="the end")

    def test_a_holder_that_does_not_stop_loses_it_after_a_lease(
        self, experiment: schedy.ManualSearch, settings: Settings
    ) -> None:
        experiment.add_job({"x": 1})
        with pytest.raises(UnsafeUpdateError, match="did not stop in time"), experiment.next_job() as job:
            experiment.get_job(job.job_id).cancel()
            cancelled_at = time.monotonic()
            wait_until(lambda: experiment.get_job(job.job_id).status == Job.PRUNED, what="the end")
            assert time.monotonic() - cancelled_at > settings.lease_seconds - 0.5
            job.results["late"] = 1
        assert experiment.get_job(job.job_id).results == {}
        lost = next(event for event in events_of(experiment, job.job_id) if event.kind == "lost")
        assert lost.detail == "It did not stop within 3 s: it was cancelled."
        with pytest.raises(NoJobError):
            experiment.next_job(timeout=0.5)

    def test_cancelling_twice_changes_nothing_more(self, experiment: schedy.ManualSearch) -> None:
        experiment.add_job({"x": 1})
        with experiment.next_job() as job:
            for _ in range(2):
                experiment.get_job(job.job_id).cancel()
        assert kinds_of(experiment, job.job_id) == ["claimed", "cancelled", "ended"]


def limited(db: schedy.SchedyDB, **limits: Any) -> schedy.ManualSearch:
    made = schedy.ManualSearch("Limited", **limits)
    db.add_experiment(made)
    return made


class TestTimeLimits:
    def test_a_job_over_its_time_is_stopped_and_crashed(self, db: schedy.SchedyDB) -> None:
        experiment = limited(db, job_timeout=1.0)
        experiment.add_job({"x": 1})
        with experiment.next_job() as job:
            wait_until(lambda: job.cancelled, what="the news")
            job.results["r"] = 1
        assert job.status == Job.CRASHED
        stored = experiment.get_job(job.job_id)
        assert stored.error == "it ran for longer than job_timeout allows (1 s)."
        assert (stored.status, stored.results) == (Job.CRASHED, {"r": 1})
        assert kinds_of(experiment, job.job_id) == ["claimed", "stopping", "ended"]

    def test_a_job_that_puts_now_and_then_is_not_stalled(self, db: schedy.SchedyDB) -> None:
        experiment = limited(db, stall_timeout=4.0)
        experiment.add_job({"x": 1})
        began = time.monotonic()
        with experiment.next_job() as job:
            while time.monotonic() < began + 6.0:
                job.put()
                assert not job.cancelled
                threading.Event().wait(0.3)
            wait_until(lambda: job.cancelled, what="the news")
            with pytest.raises(JobCancelledError, match="put nothing for longer than stall_timeout allows"):
                job.put()
        assert experiment.get_job(job.job_id).error == "it put nothing for longer than stall_timeout allows (4 s)."

    def test_with_retry_timeouts_it_runs_again_while_attempts_are_left(self, db: schedy.SchedyDB) -> None:
        experiment = limited(db, stall_timeout=1.0, retry_timeouts=True, max_attempts=2)
        experiment.add_job({"x": 1})
        with experiment.next_job() as job:
            job.results["epoch"] = 1
            wait_until(lambda: job.cancelled, what="the news")
            job.put()
            pytest.fail("put must raise")
        assert job.status == Job.QUEUED
        with experiment.next_job(timeout=10) as again:
            assert (again.job_id, again.attempt) == (job.job_id, 2)
            assert (again.results, again.previous_results) == ({}, {"epoch": 1})
            wait_until(lambda: again.cancelled, what="the news")
        assert again.status == Job.CRASHED

    def test_a_hung_job_is_taken_from_its_worker(self, db: schedy.SchedyDB) -> None:
        experiment = limited(db, job_timeout=0.5)
        experiment.add_job({"x": 1})
        hung = experiment.next_job()
        wait_until(lambda: experiment.get_job(hung.job_id).status == Job.CRASHED, what="the end")
        with pytest.raises(UnsafeUpdateError, match="did not stop in time"):
            hung.put()

    def test_limits_can_be_changed_while_a_job_runs(self, db: schedy.SchedyDB) -> None:
        experiment = limited(db)
        experiment.add_job({"x": 1})
        with experiment.next_job() as job:
            experiment.job_timeout = 0.5
            experiment.push_updates()
            wait_until(lambda: job.cancelled, what="the news")
        read = db.get_experiment("Limited")
        assert (read.job_timeout, read.stall_timeout, read.max_attempts, read.retry_timeouts) == (0.5, None, 3, False)

    @pytest.mark.parametrize("limits", [{"job_timeout": 0}, {"stall_timeout": float("nan")}, {"max_attempts": 0}])
    def test_limits_that_cannot_be(self, limits: dict[str, Any]) -> None:
        with pytest.raises(InvalidValueError, match=next(iter(limits))):
            schedy.ManualSearch("E", **limits)


class TestSecondAttempts:
    @pytest.mark.parametrize("status", [Job.CRASHED, Job.DONE, Job.PRUNED])
    def test_a_retried_job_begins_anew_and_remembers(self, experiment: schedy.ManualSearch, status: str) -> None:
        experiment.add_job({"x": 1}, quality=7.0)
        _end(experiment, status)
        job = next(experiment.all_jobs())
        assert (job.status, job.attempt, job.results) == (status, 1, {"r": 1, "epoch": 1})
        job.retry()
        queued = experiment.get_job(job.job_id)
        assert (queued.status, queued.results, queued.error, queued.quality) == (Job.QUEUED, {}, None, 7.0)
        with experiment.next_job() as again:
            assert (again.job_id, again.attempt, again.results) == (job.job_id, 2, {})
            assert again.previous_results == {"r": 1, "epoch": 1}
            again.results["epoch"] = 2
            again.put()
        experiment.get_job(job.job_id).retry()
        assert experiment.next_job().previous_results == {"r": 1, "epoch": 2}
        kept = [event.results for event in events_of(experiment, job.job_id) if event.kind == "kept"]
        assert kept == [{"r": 1, "epoch": 1}, {"epoch": 2}]

    def test_only_what_has_ended_is_retried(self, experiment: schedy.ManualSearch) -> None:
        job = experiment.add_job({"x": 1})
        with pytest.raises(UnsafeUpdateError, match="it is QUEUED, and only a job that has ended"):
            job.retry()
        with experiment.next_job() as running:
            with pytest.raises(UnsafeUpdateError, match="it is RUNNING, and only a job that has ended"):
                job.retry()
        assert running.attempt == 1

    def test_a_deleted_job_is_neither_cancelled_nor_retried(self, experiment: schedy.ManualSearch) -> None:
        job = experiment.add_job({"x": 1})
        job.delete()
        for change in (job.cancel, job.retry):
            with pytest.raises(UnsafeUpdateError, match="there is no such job"):
                change()
        assert kinds_of(experiment, job.job_id) == ["deleted"]

    def test_after_a_lost_worker(self, experiment: schedy.ManualSearch, other: schedy.SchedyDB) -> None:
        experiment.add_job({"x": 1})
        lost = experiment.next_job()
        lost.results["epoch"] = 3
        lost.put()
        go_silent(lost)
        with other.get_experiment("MinimizeManual").next_job(timeout=20) as job:
            assert (job.attempt, job.results, job.previous_results) == (2, {}, {"epoch": 3})

    def test_after_it_was_given_back(self, experiment: schedy.ManualSearch) -> None:
        experiment.add_job({"x": 1})
        with pytest.raises(KeyboardInterrupt), experiment.next_job() as job:
            job.results["epoch"] = 3
            job.put()
            raise KeyboardInterrupt
        with experiment.next_job(timeout=10) as again:
            assert (again.attempt, again.results, again.previous_results) == (1, {}, {"epoch": 3})

    def test_a_retried_job_has_as_many_attempts_as_a_new_one(self, db: schedy.SchedyDB) -> None:
        experiment = limited(db, max_attempts=1)
        pushed = experiment.add_job({"x": 1})
        for attempt in (1, 2):
            job = experiment.next_job(timeout=20)
            assert job.attempt == attempt
            go_silent(job)
            wait_until(lambda: experiment.get_job(pushed.job_id).status == Job.CRASHED, what="the crash")
            error = experiment.get_job(pushed.job_id).error
            assert error is not None
            assert error.startswith("worker lost once (on ")
            experiment.get_job(pushed.job_id).retry()


def _end(experiment: schedy.Experiment, status: str) -> None:
    """Run a job to that end."""
    job = experiment.next_job()
    job.results = {"r": 1, "epoch": 1}
    if status == Job.PRUNED:
        experiment.get_job(job.job_id).cancel()
    try:
        with job:
            if status == Job.CRASHED:
                raise ValueError("no")
    except ValueError:
        pass


class TestWorkers:
    def test_one_that_crashes_job_after_job_takes_no_more(
        self, experiment: schedy.ManualSearch, settings: Settings
    ) -> None:
        experiment.add_jobs({"hyperparameters": {"x": x}} for x in range(6))
        override = {**settings.model_dump(), "crash_limit": 2}
        with schedy.SchedyDB(config_override=override) as bad:
            mine = bad.get_experiment("MinimizeManual")
            for crashes in (True, False, True, True):  # one that does not crash begins the count anew
                with contextlib.suppress(ValueError), mine.next_job():
                    if crashes:
                        raise ValueError("no GPU")
            with pytest.raises(UnhealthyWorkerError, match=r"2 jobs in a row crashed .* ValueError: no GPU"):
                mine.next_job(timeout=None)
            (worker,) = wait_until(
                lambda: [found for found in workers_of(bad) if found.state == "unhealthy"], what="the sick worker"
            )
            assert "2 jobs in a row crashed here within 5 s each. The last: ValueError: no GPU" in worker.detail
            assert (worker.done, worker.crashed, worker.lost) == (1, 3, 0)
        statuses = [job.status for job in experiment.all_jobs()]
        assert statuses == [Job.CRASHED, Job.DONE, Job.CRASHED, Job.CRASHED, Job.QUEUED, Job.QUEUED]

    def test_are_seen_with_their_jobs_until_they_end(self, experiment: schedy.ManualSearch, settings: Settings) -> None:
        experiment.add_job({"x": 1})
        with schedy.SchedyDB(config_override=settings.model_dump()) as db:
            with db.get_experiment("MinimizeManual").next_job() as job:
                (worker,) = workers_of(db)
                assert (worker.state, worker.silent) == ("alive", False)
                assert worker.jobs == [f"MinimizeManual/{job.job_id}"]
                assert 0 <= worker.heard_seconds_ago < settings.lease_seconds
            (worker,) = workers_of(db)
            assert (worker.jobs, worker.done) == ([], 1)
        db = experiment._db  # type: ignore[assignment]
        wait_until(lambda: [worker.state for worker in workers_of(db)] == ["ended"], what="the end")

    def test_one_that_says_nothing_is_silent(
        self, experiment: schedy.ManualSearch, db: schedy.SchedyDB, other: schedy.SchedyDB
    ) -> None:
        mine = other.get_experiment("MinimizeManual")
        experiment.add_job({"x": 1})
        job = mine.next_job()
        other.session.calls.connection.abandon()  # its connection is cut, and not made again
        wait_until(lambda: [worker.silent for worker in workers_of(db)] == [True], what="the silence")
        wait_until(lambda: experiment.get_job(job.job_id).status == Job.QUEUED, what="the loss")
        (worker,) = workers_of(db)
        assert (worker.lost, worker.jobs) == (1, [])

    def test_a_job_whose_worker_is_not_heard_of_is_marked(self, settings: Settings) -> None:
        """Looked at in the store while no service runs: so the silence lasts."""
        with schedy.SchedyDB(config_override=settings.model_dump()) as db:
            with running_service(settings):
                experiment = schedy.ManualSearch("MinimizeManual")
                db.add_experiment(experiment)
                experiment.add_job({"x": 1})
                job = experiment.next_job()
                assert experiment.get_job(job.job_id)._record.silent_seconds is None
            with contextlib.closing(Store.open(settings.effective_store_url, read_only=True)) as store:
                first = wait_until(lambda: silent_seconds(store, experiment.uid), what="the silence")
                assert first > 0.7 * settings.lease_seconds
                wait_until(lambda: silent_seconds(store, experiment.uid) > first, what="it to go on")

    def test_near_its_stop_time_it_takes_no_job_and_ends_to_wait(
        self, experiment: schedy.ManualSearch, settings: Settings
    ) -> None:
        override = {**settings.model_dump(), "stop_margin_seconds": 1.0}
        began = time.monotonic()
        with schedy.SchedyDB(config_override=override, stop_after=5.0) as db:
            mine = db.get_experiment("MinimizeManual")
            experiment.add_job({"x": 1})
            with mine.next_job() as job:
                job.results["r"] = 1
            with pytest.raises(StopTimeError, match="stops after 5 s"):
                mine.next_job(timeout=None)
            assert 3.5 < time.monotonic() - began < 15.0
            experiment.add_job({"x": 2})
            with pytest.raises(StopTimeError):
                mine.next_job()
        assert [job.status for job in experiment.all_jobs()] == [Job.DONE, Job.QUEUED]


def silent_seconds(store: Store, experiment_uid: str) -> float:
    """Of the only job of an experiment; 0 if its worker was heard of."""
    with store.transaction() as transaction:
        answer = answer_request(transaction, GetJobs(experiment_uid=experiment_uid))
    assert isinstance(answer, JobsAnswer)
    return answer.jobs[0].silent_seconds or 0.0


class TestHistory:
    def test_tells_every_claim_denial_report_loss_and_refusal_with_its_worker(
        self, experiment: schedy.ManualSearch, other: schedy.SchedyDB
    ) -> None:
        experiment.add_job({"x": 1})
        first = experiment.next_job()
        first.put()
        theirs = other.get_experiment("MinimizeManual")
        with pytest.raises(UnsafeUpdateError, match="another worker is running it"):
            theirs.get_job(first.job_id).try_run()
        first.put()
        go_silent(first)
        second = theirs.next_job(timeout=20)
        with pytest.raises(UnsafeUpdateError, match="another worker has taken it"):
            first.put()
        with pytest.raises(KeyboardInterrupt), second:
            raise KeyboardInterrupt
        with theirs.next_job(timeout=10):
            pass
        mine, its = str(first._session.worker), str(other.session.worker)
        assert [(event.kind, event.worker, event.attempt) for event in events_of(experiment, first.job_id)] == [
            ("claimed", mine, 1),
            ("reported", mine, 1),
            ("denied", its, None),
            ("reported", mine, 1),
            ("lost", mine, 1),
            ("claimed", its, 2),
            ("refused", mine, None),
            ("released", its, 2),
            ("claimed", its, 2),
            ("ended", its, 2),
        ]

    def test_what_repeats_itself_is_counted(self, experiment: schedy.ManualSearch) -> None:
        experiment.add_job({"x": 1})
        with experiment.next_job() as job:
            for _ in range(5):
                job.put()
        reported = next(event for event in events_of(experiment, job.job_id) if event.kind == "reported")
        assert reported.times == 5
        assert reported.last_at is not None
        assert reported.last_at >= reported.at

    def test_has_forged_tokens_and_unknown_jobs(self, experiment: schedy.ManualSearch, settings: Settings) -> None:
        experiment.add_job({"x": 1})
        with experiment.next_job() as job:
            publish(settings.broker_url, forged_finish(experiment, job.job_id))
            publish(settings.broker_url, forged_finish(experiment, "nosuch"))
            wait_until(lambda: kinds_of(experiment).count("refused") == 2, what="the refusals")
        assert experiment.get_job(job.job_id).results == {}
        forged, unknown = (event for event in events_of(experiment) if event.kind == "refused")
        assert (forged.job_id, forged.worker) == (job.job_id, None)
        assert "Nobody has claimed the job under its token." in forged.detail
        assert unknown.job_id == "nosuch"
        assert "on job nosuch was refused" in unknown.detail

    def test_can_be_paged_both_ways(self, experiment: schedy.ManualSearch) -> None:
        for _ in range(3):
            experiment.pause()
            experiment.resume()
        session = experiment._session

        def _page(**more: Any) -> list[int]:
            answer = session.read(GetHistory(experiment_uid=experiment.uid, limit=2, **more))
            assert isinstance(answer, HistoryAnswer)
            return [event.position for event in answer.events]

        numbers = [event.position for event in events_of(experiment)]
        assert _page() == numbers[:2]
        assert _page(after=numbers[1]) == numbers[2:4]
        assert _page(newest=True) == numbers[4:]
        assert _page(newest=True, before=numbers[4]) == numbers[2:4]
        assert _page(newest=True, before=numbers[1]) == numbers[:1]


def test_a_report_of_another_user_with_the_right_token_is_refused(node: Node, settings: Settings) -> None:
    """Two users of the broker; the second has got hold of the token of the first one's job."""
    parts = urlsplit(settings.broker_url)
    vhost = parts.path[1:]
    users = [User(name=f"worker{number}-{vhost}", role=Role.WORKER, password="secret") for number in (1, 2)]
    management = Management(node.management_url)
    create_users(management, users, vhost=vhost)
    setup(settings.broker_url)
    urls = [f"amqp://{user.name}:secret@{parts.hostname}:{parts.port}/{vhost}" for user in users]
    own = settings.model_copy(update={"broker_url": urls[0]})
    try:
        with (
            running_service(settings),
            schedy.SchedyDB(config_override=settings.model_dump()) as db,
            schedy.SchedyDB(config_override=own.model_dump()) as worker,
        ):
            experiment = schedy.ManualSearch("E")
            db.add_experiment(experiment)
            experiment.add_job({"x": 1})
            with worker.get_experiment("E").next_job(timeout=10) as job:
                assert job._hold is not None
                stolen = forged_finish(experiment, job.job_id, job._hold.token)
                publish(urls[1], stolen, user_id=users[1].name)
                publish(urls[1], stolen)
                with pytest.raises(ChannelClosedByBroker, match="user_id"):
                    publish(urls[1], stolen, user_id=users[0].name)
                refused = wait_until(
                    lambda: [e for e in events_of(experiment) if e.kind == "refused" and e.times == 2], what="refusals"
                )
                assert "it comes from another user of the broker than the first claim" in refused[0].detail
                assert experiment.get_job(job.job_id).status == Job.RUNNING
                job.results["r"] = 1
            assert experiment.get_job(job.job_id).results == {"r": 1}
    finally:
        for user in users:
            management.delete_user(user.name)
