"""The results service under faults: repeated and unreadable messages, a database or a broker that goes away."""

import contextlib
import json
import logging
import threading
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pika
import psycopg
import pytest
from sqlalchemy import select, update

import schedy
from schedy import Job
from schedy.settings import Settings
from schedy.wire import names
from schedy.wire.base import Worker
from schedy.wire.changes import NewJob, Push
from schedy.wire.codec import encode, routing_key
from schedy_broker_setup.dead_letters import dead_letters
from schedy_broker_setup.declaring import setup
from schedy_broker_setup.management import Management
from schedy_store.schema.engine import Store
from schedy_store.schema.tables import Service as ServiceRow
from schedy_store.service.epoch import DeposedError, Epochs, Turn
from tests.conftest import Node, OwnNode
from tests.forwarder import Forwarder
from tests.support import PostgreSQL, running_service, wait_until


def publish(url: str, key: str, body: bytes) -> None:
    """Publish to the inbox as a client would, without the library."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    channel.confirm_delivery()
    channel.basic_publish(names.INBOX_EXCHANGE, key, body, mandatory=True)
    connection.close()


def push_message(**changes: Any) -> Push:
    fields: dict[str, Any] = {
        "request_id": uuid.uuid4().hex,
        "experiment_name": "MinimizeManual",
        "jobs": [NewJob(hyperparameters={"x": 1})],
        "worker": Worker(host="h", pid=1, program="p", uid="1" * 32),
    }
    return Push(**{**fields, **changes})


def jobs_of(experiment: schedy.Experiment) -> list[tuple[str, dict[str, Any]]]:
    return [(job.status, job.hyperparameters) for job in experiment.all_jobs()]


def test_changes_are_counted_and_signs_of_life_are_not(experiment: schedy.ManualSearch, settings: Settings) -> None:
    with contextlib.closing(Store.open(settings.effective_store_url, read_only=True)) as store:

        def _row() -> tuple[int, datetime]:
            with store.transaction() as transaction:
                found = transaction.sql.execute(select(ServiceRow.changes, ServiceRow.seen_at)).one()
            assert found.seen_at is not None
            return found.changes, found.seen_at

        def _wait_for_sign() -> None:
            _changes, before = _row()
            wait_until(lambda: _row()[1] > before, what="the next sign of life")

        def _is_still_over_two_signs() -> bool:
            before, _seen = _row()
            _wait_for_sign()
            _wait_for_sign()
            return _row()[0] == before

        wait_until(_is_still_over_two_signs, seconds=60)
        before, _seen = _row()
        experiment.add_job({"x": 1})
        assert _row()[0] > before


def test_a_push_delivered_twice_is_stored_once(experiment: schedy.ManualSearch, settings: Settings) -> None:
    push = push_message()
    for _ in range(2):
        publish(settings.broker_url, routing_key(push), encode(push))
    last = experiment.add_job({"x": 2})
    assert jobs_of(experiment) == [("QUEUED", {"x": 1}), ("QUEUED", {"x": 2})]
    assert experiment.get_job(last.job_id).hyperparameters == {"x": 2}


@pytest.mark.parametrize(
    ("key", "body", "reason"),
    [
        ("report.finish", b"\xff\x00garbage", "not JSON"),
        ("report.finish", b"[" * 100_000, "not JSON"),
        ("report.finish", b'{"schema_version": 2, "kind": "finish"}', "schema version 2"),
        ("report.finish", b'{"schema_version": 1, "kind": "nonsense"}', "not a known message"),
        ("report.push", encode(push_message()), "under the routing key"),
    ],
)
def test_what_cannot_be_handled_is_buried_with_its_reason(
    experiment: schedy.ManualSearch, settings: Settings, key: str, body: bytes, reason: str
) -> None:
    publish(settings.broker_url, key, body)
    experiment.add_job({"x": 1})
    letters = wait_until(lambda: dead_letters(settings.broker_url), what="a dead letter")
    assert reason in letters[0].reason
    assert letters[0].routing_key == key
    assert jobs_of(experiment) == [("QUEUED", {"x": 1})]


def test_one_bad_value_does_not_stop_the_others(settings: Settings, postgresql: PostgreSQL) -> None:
    """Of a batch with a value that the database refuses, only that message is buried."""
    settings = settings.model_copy(update={"store_url": postgresql.new_database()})
    with schedy.SchedyDB(config_override=settings.model_dump()) as db:
        with running_service(settings):
            db.add_experiment(schedy.ManualSearch("MinimizeManual"))
        with psycopg.connect(str(settings.store_url).replace("+psycopg", ""), autocommit=True) as sql:
            sql.execute("ALTER TABLE job ADD CONSTRAINT refused CHECK (hyperparameters NOT LIKE '%refused%')")
        for value in ("fine", "refused", "fine"):
            push = push_message(jobs=[NewJob(hyperparameters={"x": value})])
            publish(settings.broker_url, routing_key(push), encode(push))
        with running_service(settings):
            letters = wait_until(lambda: dead_letters(settings.broker_url), what="a dead letter")
            assert len(letters) == 1
            assert "IntegrityError" in letters[0].reason
            assert len(jobs_of(db.get_experiment("MinimizeManual"))) == 2


def test_reports_wait_while_no_service_runs(settings: Settings) -> None:
    with schedy.SchedyDB(config_override=settings.model_dump()) as db:
        with running_service(settings):
            db.add_experiment(schedy.ManualSearch("MinimizeManual"))
            experiment = db.get_experiment("MinimizeManual")
            experiment.add_job({"x": 1})
            job = experiment.next_job()
        with job:
            job.results["r"] = 1
        with running_service(settings):
            wait_until(lambda: experiment.get_job(job.job_id).status == Job.DONE, what="the report to be stored")


def test_a_second_instance_takes_over_and_nobody_loses_a_job(settings: Settings) -> None:
    with schedy.SchedyDB(config_override=settings.model_dump()) as db, running_service(settings):
        with running_service(settings):
            db.add_experiment(schedy.ManualSearch("MinimizeManual"))
            experiment = db.get_experiment("MinimizeManual")
            experiment.add_jobs({"hyperparameters": {"x": x}} for x in range(20))
            job = experiment.next_job()
        with job:
            for _ in range(19):
                with experiment.next_job(timeout=20):
                    pass
        stored = list(experiment.all_jobs())
        assert {(found.status, found.attempt) for found in stored} == {(Job.DONE, 1)}


def test_an_instance_that_was_superseded_commits_nothing_and_comes_back(
    experiment: schedy.ManualSearch, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    import sqlite3

    caplog.set_level(logging.INFO)
    path = str(settings.store_url).removeprefix("sqlite:///")
    with sqlite3.connect(path) as sql:
        sql.execute("UPDATE service SET epoch = epoch + 1")
    sql.close()
    experiment.add_job({"x": 1})
    assert "Another instance of the results service has taken over" in caplog.text
    assert jobs_of(experiment) == [("QUEUED", {"x": 1})]


def test_an_instance_that_subscribed_before_another_took_over_commits_nothing(settings: Settings) -> None:
    """It may hold a batch that its successor has applied and answered: it must look anew before it takes an epoch."""
    store = Store.open(settings.effective_store_url)
    epochs = Epochs(store, instance="test", broker_id="b", lease_seconds=settings.lease_seconds)
    epochs.look()
    with store.transaction() as transaction:
        transaction.sql.execute(
            update(ServiceRow).values(epoch=ServiceRow.epoch + 1, broker_id="b", instance="another")
        )
    with pytest.raises(DeposedError), store.transaction() as transaction:
        epochs.check(transaction, Turn())
    with store.transaction() as transaction:
        assert transaction.sql.scalar(select(ServiceRow.instance)) == "another"
    store.close()


def test_a_database_that_goes_away_costs_nothing(
    settings: Settings, own_postgresql: PostgreSQL, caplog: pytest.LogCaptureFixture
) -> None:
    settings = settings.model_copy(update={"store_url": own_postgresql.new_database()})
    with running_service(settings), schedy.SchedyDB(config_override=settings.model_dump()) as db:
        db.add_experiment(schedy.ManualSearch("MinimizeManual"))
        experiment = db.get_experiment("MinimizeManual")
        experiment.add_jobs([{"hyperparameters": {"x": 1}}, {"hyperparameters": {"x": 2}}])
        job = experiment.next_job()
        own_postgresql.stop(mode="immediate")
        with job:
            job.results["r"] = 1
        with pytest.raises(schedy.NotStoredYetError):
            _push_soon(experiment)
        own_postgresql.start()
        wait_until(lambda: experiment.get_job(job.job_id).status == Job.DONE, what="the report to be stored")
        wait_until(lambda: len(jobs_of(experiment)) == 3, what="the push to be stored")
        with experiment.next_job(timeout=20):
            pass
    complaints = [record for record in caplog.records if record.name.startswith("schedy_store") and record.levelno > 30]
    assert 1 <= len(complaints) <= 3


def _push_soon(experiment: schedy.Experiment) -> None:
    session = experiment._session
    session.settings = session.settings.model_copy(update={"store_wait_seconds": 0.5})
    experiment.add_job({"x": 3})


def test_a_store_that_cannot_be_written_stops_the_reports_and_says_why(
    settings: Settings, postgresql: PostgreSQL, caplog: pytest.LogCaptureFixture
) -> None:
    url = postgresql.new_database()
    settings = settings.model_copy(update={"store_url": url})
    database = urlsplit(url).path[1:]
    administrator = f"host=127.0.0.1 port={postgresql.port} user={postgresql.user} dbname=postgres"

    def _read_only(value: str) -> None:
        with psycopg.connect(administrator, autocommit=True) as sql:
            sql.execute(f'ALTER DATABASE "{database}" SET default_transaction_read_only = {value}'.encode())
            sql.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (database,))

    with running_service(settings), schedy.SchedyDB(config_override=settings.model_dump()) as db:
        db.add_experiment(schedy.ManualSearch("MinimizeManual"))
        experiment = db.get_experiment("MinimizeManual")
        _read_only("on")
        with pytest.raises(schedy.NotStoredYetError):
            _push_soon(experiment)
        wait_until(lambda: "read-only" in caplog.text, what="the complaint")
        _read_only("off")
        wait_until(lambda: jobs_of(experiment) == [("QUEUED", {"x": 3})], what="the push to be stored")


def test_a_broker_restart_under_a_running_job_costs_nothing(own_node: OwnNode, settings: Settings) -> None:
    settings = settings.model_copy(update={"broker_url": own_node.url})
    with running_service(settings), schedy.SchedyDB(config_override=settings.model_dump()) as db:
        db.add_experiment(schedy.ManualSearch("MinimizeManual"))
        experiment = db.get_experiment("MinimizeManual")
        experiment.add_jobs([{"hyperparameters": {"x": 1}}, {"hyperparameters": {"x": 2}}])
        with experiment.next_job() as job:
            own_node.private.stop()
            own_node.private.start()
            own_node.private.wait_ready()
            job.results["r"] = 1
            job.put()
        stored = experiment.get_job(job.job_id)
        assert (stored.status, stored.attempt, stored.results) == (Job.DONE, 1, {"r": 1})
        with experiment.next_job(timeout=20) as second:
            assert second.hyperparameters == {"x": 2}


@pytest.mark.parametrize("fault", ["cut", "reset", "hang"])
def test_a_lost_connection_costs_no_running_job(
    experiment: schedy.ManualSearch, settings: Settings, fault: str
) -> None:
    """The worker's connection goes for less than a lease; its job stays its own."""
    parts = urlsplit(settings.broker_url)
    with Forwarder(int(parts.port or 0)) as forwarder:
        url = settings.broker_url.replace(f":{parts.port}/", f":{forwarder.port}/")
        own = {**settings.model_dump(), "broker_url": url}
        with schedy.SchedyDB(config_override=own) as worker:
            experiment.add_job({"x": 1})
            with worker.get_experiment("MinimizeManual").next_job(timeout=10) as job:
                if fault == "hang":
                    forwarder.hang()
                else:
                    forwarder.cut(reset=fault == "reset")
                job.results["r"] = 1
                threading.Timer(1.0, forwarder.resume).start()
                job.put()
        stored = experiment.get_job(job.job_id)
        assert (stored.status, stored.attempt, stored.results) == (Job.DONE, 1, {"r": 1})


def test_a_waiting_worker_survives_a_cut(experiment: schedy.ManualSearch, settings: Settings) -> None:
    parts = urlsplit(settings.broker_url)
    with Forwarder(int(parts.port or 0)) as forwarder:
        url = settings.broker_url.replace(f":{parts.port}/", f":{forwarder.port}/")
        with schedy.SchedyDB(config_override={**settings.model_dump(), "broker_url": url}) as worker:
            mine = worker.get_experiment("MinimizeManual")
            got: list[str] = []

            def _work() -> None:
                with mine.next_job(timeout=None) as job:
                    got.append(job.job_id)

            thread = threading.Thread(target=_work)
            thread.start()
            forwarder.cut()
            pushed = experiment.add_job({"x": 1})
            thread.join(20)
            assert got == [pushed.job_id]


def test_a_purged_queue_does_not_lose_its_jobs(settings: Settings) -> None:
    """The lease is short, since a ticket counts as lost after several."""
    settings = settings.model_copy(update={"lease_seconds": 1.0})
    with running_service(settings), schedy.SchedyDB(config_override=settings.model_dump()) as db:
        experiment = schedy.ManualSearch("MinimizeManual")
        db.add_experiment(experiment)
        job = experiment.add_job({"x": 1})
        connection = pika.BlockingConnection(pika.URLParameters(settings.broker_url))
        connection.channel().queue_purge(names.jobs_queue("MinimizeManual"))
        connection.close()
        with experiment.next_job(timeout=60) as found:
            assert found.job_id == job.job_id


def test_a_deleted_queue_is_made_again(experiment: schedy.ManualSearch, settings: Settings) -> None:
    connection = pika.BlockingConnection(pika.URLParameters(settings.broker_url))
    connection.channel().queue_delete(names.jobs_queue("MinimizeManual"))
    connection.close()
    job = experiment.add_job({"x": 1})
    with experiment.next_job(timeout=20) as found:
        assert found.job_id == job.job_id


def test_a_ticket_that_cannot_be_read_is_buried(experiment: schedy.ManualSearch, settings: Settings) -> None:
    connection = pika.BlockingConnection(pika.URLParameters(settings.broker_url))
    connection.channel().basic_publish(names.JOBS_EXCHANGE, "MinimizeManual", b"garbage")
    connection.close()
    job = experiment.add_job({"x": 1})
    with experiment.next_job(timeout=10) as found:
        assert found.job_id == job.job_id
    letters = wait_until(lambda: dead_letters(settings.broker_url), what="a dead letter")
    assert letters[0].body == "garbage"


def test_a_ticket_is_acknowledged_early(experiment: schedy.ManualSearch, settings: Settings, node: Node) -> None:
    """A job that runs longer than `ticket_hold_seconds` holds no message of the broker any more, and still ends."""
    experiment.add_job({"x": 1})
    management = Management(node.management_url)
    vhost = urlsplit(settings.broker_url).path[1:]

    def _messages() -> list[int]:
        """Ready and unacknowledged ones, as the broker last counted them (quorum queues each five seconds)."""
        name = names.jobs_queue("MinimizeManual")
        return [queue.messages for queue in management.queues(vhost) if queue.name == name]

    override = {**settings.model_dump(), "ticket_hold_seconds": 12.0}
    with schedy.SchedyDB(config_override=override) as worker:
        with worker.get_experiment("MinimizeManual").next_job() as job:
            wait_until(lambda: _messages() == [1], seconds=11, what="the ticket to be seen as held")
            wait_until(lambda: _messages() == [0], seconds=25, what="the ticket to be acknowledged")
            assert experiment.get_job(job.job_id).status == Job.RUNNING
    assert experiment.get_job(job.job_id).status == Job.DONE


def test_a_reply_address_that_is_no_text_harms_nobody(experiment: schedy.ManualSearch, settings: Settings) -> None:
    push = push_message()
    connection = pika.BlockingConnection(pika.URLParameters(settings.broker_url))
    connection.channel().basic_publish(
        names.INBOX_EXCHANGE,
        routing_key(push),
        encode(push),
        pika.BasicProperties(reply_to=b"\xff\xfe"),  # type: ignore[arg-type]
    )
    connection.close()
    experiment.add_job({"x": 2})
    assert len(jobs_of(experiment)) == 2


def test_a_service_that_is_cut_off_again_and_again_hands_out_every_job(settings: Settings) -> None:
    parts = urlsplit(settings.broker_url)
    with Forwarder(int(parts.port or 0)) as forwarder:
        url = settings.broker_url.replace(f":{parts.port}/", f":{forwarder.port}/")
        cut_off = settings.model_copy(update={"broker_url": url})
        with running_service(cut_off), schedy.SchedyDB(config_override=settings.model_dump()) as db:
            db.add_experiment(schedy.ManualSearch("MinimizeManual"))
            experiment = db.get_experiment("MinimizeManual")
            for x in range(12):
                forwarder.cut()
                experiment.add_job({"x": x})
                forwarder.cut()
            pulled: set[int] = set()
            while len(pulled) < 12:
                with experiment.next_job(timeout=30) as job:
                    pulled.add(job.hyperparameters["x"])
            wait_until(lambda: {job.status for job in experiment.all_jobs()} == {Job.DONE}, what="all to be DONE")


def test_a_finish_waits_until_its_exchange_is_there(experiment: schedy.ManualSearch, settings: Settings) -> None:
    """A broker that comes up empty must not cost the results of a job."""
    experiment.add_job({"x": 1})
    with experiment.next_job() as job:
        connection = pika.BlockingConnection(pika.URLParameters(settings.broker_url))
        connection.channel().exchange_delete(names.INBOX_EXCHANGE)
        connection.close()
        job.results["r"] = 1
        timer = threading.Timer(4.0, lambda: setup(settings.broker_url))
        timer.start()
    timer.join()
    wait_until(lambda: experiment.get_job(job.job_id).results == {"r": 1}, what="the finish to be stored")


def test_a_message_says_what_it_is(experiment: schedy.ManualSearch, settings: Settings, tmp_path: Path) -> None:
    """What a person reads of a job message in the management UI."""
    job = experiment.add_job({"x": 1, "opt": "adam"})
    connection = pika.BlockingConnection(pika.URLParameters(settings.broker_url))
    method, properties, body = connection.channel().basic_get(names.jobs_queue("MinimizeManual"))
    connection.close()
    assert method is not None
    assert properties is not None
    assert (properties.message_id, properties.type, properties.app_id) == (job.job_id, "ticket", "schedy")
    assert properties.content_type == "application/json"
    assert properties.timestamp
    shown = json.loads(body or b"")
    assert (shown["job_id"], shown["hyperparameters"]) == (job.job_id, {"x": 1, "opt": "adam"})
