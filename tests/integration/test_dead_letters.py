"""What could not be handled: looking at it, putting it back, dropping it."""

import threading
import uuid
from collections.abc import Sequence
from urllib.parse import urlsplit

import pika
import psycopg
import pytest
from pika import BasicProperties

import schedy
from schedy import Job
from schedy.errors import BrokerError, InvalidValueError, NotFoundError, PermissionDeniedError
from schedy.settings import Settings
from schedy.wire import names
from schedy.wire.base import Worker
from schedy.wire.changes import NewJob, Push
from schedy.wire.codec import encode
from schedy_broker_setup.connecting import open_connection
from schedy_broker_setup.dead_letters import (
    DeadLetter,
    Fate,
    dead_letters,
    drop_dead_letters,
    replay_dead_letters,
)
from schedy_broker_setup.declaring import setup
from schedy_broker_setup.management import Management
from schedy_broker_setup.permissions import Role, TopicPermissions, User
from schedy_broker_setup.users import create_users
from tests.conftest import Node
from tests.support import PostgreSQL, running_service, wait_until

EARLY = b'{"schema_version": 2, "kind": "finish"}'


def bury(url: str, *bodies: bytes) -> None:
    """Put letters into the queue as the results service does."""
    with open_connection(url, purpose="test") as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for body in bodies:
            headers = {names.DEAD_REASON_HEADER: "no", names.DEAD_SOURCE_HEADER: "report.finish"}
            channel.basic_publish(names.DEAD_EXCHANGE, "", body, BasicProperties(headers=headers), mandatory=True)


def send(url: str, key: str, body: bytes, exchange: str = names.INBOX_EXCHANGE, **properties: object) -> None:
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    channel.confirm_delivery()
    channel.basic_publish(exchange, key, body, BasicProperties(**properties), mandatory=True)  # type: ignore[arg-type]
    connection.close()


def bodies(url: str) -> list[str]:
    return [letter.body for letter in dead_letters(url, limit=None)]


def shown(letters: Sequence[DeadLetter]) -> list[tuple[str, str, str]]:
    return [(letter.routing_key, letter.user, letter.reason) for letter in letters]


def user_of(url: str) -> str:
    return str(urlsplit(url).username)


def test_numbers_stay_however_often_one_looks_and_whatever_is_taken_away(vhost_url: str) -> None:
    setup(vhost_url)
    bury(vhost_url, *(b"%d" % number for number in range(1, 8)))
    assert [letter.body for letter in dead_letters(vhost_url, limit=3)] == ["1", "2", "3"]
    assert bodies(vhost_url) == list("1234567")
    assert [letter.body for letter in drop_dead_letters(vhost_url, {2, 5})] == ["2", "5"]
    assert [letter.body for letter in dead_letters(vhost_url, limit=2)] == ["1", "3"]
    assert [(letter.number, letter.body) for letter in dead_letters(vhost_url, limit=None)] == [
        *((1, "1"), (2, "3"), (3, "4"), (4, "6"), (5, "7"))
    ]
    assert [fate for _letter, fate in replay_dead_letters(vhost_url, {4})] == [Fate.REPLAYED]
    bury(vhost_url, b"8")
    assert bodies(vhost_url) == list("13478")
    assert len(list(drop_dead_letters(vhost_url, None))) == 5
    assert bodies(vhost_url) == []
    assert list(replay_dead_letters(vhost_url, None)) == []


def test_a_number_that_is_not_there_changes_nothing(vhost_url: str) -> None:
    setup(vhost_url)
    bury(vhost_url, b"1", b"2")
    for change in (drop_dead_letters, replay_dead_letters):
        with pytest.raises(NotFoundError, match=r"There is no dead letter 3; .* there are \(2\)"):
            list(change(vhost_url, {1, 3, 4}))
    assert bodies(vhost_url) == ["1", "2"]


def test_what_still_cannot_be_handled_comes_back_as_it_was(experiment: schedy.ManualSearch, settings: Settings) -> None:
    url = settings.broker_url
    send(url, "report.finish", EARLY, user_id=user_of(url))
    before = wait_until(lambda: dead_letters(url), what="a dead letter")
    for _ in range(3):
        assert [fate for _letter, fate in replay_dead_letters(url, None)] == [Fate.REPLAYED]
        after = wait_until(lambda: dead_letters(url), what="the letter to come back")
        assert shown(after) == shown(before)
        assert after[0].content == EARLY
    reason = "schema version 2, this program speaks 1; upgrade the results service, then replay the message"
    assert shown(before) == [("report.finish", user_of(url), reason)]


def push_message(x: object) -> Push:
    return Push(
        request_id=uuid.uuid4().hex,
        experiment_name="MinimizeManual",
        jobs=[NewJob(hyperparameters={"x": x})],
        worker=Worker(host="h", pid=1, program="p", uid="1" * 32),
    )


def test_what_the_broker_gave_up_on_is_put_back_with_its_own_key_and_user(settings: Settings) -> None:
    """Its sender's own headers are not believed: the broker has written down where it was, and who sent it."""
    url = settings.broker_url
    with schedy.SchedyDB(config_override=settings.model_dump()) as db:
        with running_service(settings):
            db.add_experiment(schedy.ManualSearch("MinimizeManual"))
        setup(url)
        lies = {names.DEAD_SOURCE_HEADER: "service.tick", names.DEAD_USER_HEADER: "root"}
        send(url, "change.push", encode(push_message(1)), user_id=user_of(url), headers=lies)
        _reject_all(url, names.REPORTS_QUEUE)
        letters = wait_until(lambda: dead_letters(url, limit=None), what="the dead letters")
        pushes = [letter for letter in letters if letter.routing_key == "change.push"]
        assert shown(pushes) == [("change.push", user_of(url), "rejected from schedy.reports")]
        assert all(fate is Fate.REPLAYED for _letter, fate in replay_dead_letters(url, None))
        with running_service(settings):
            experiment = db.get_experiment("MinimizeManual")
            (job,) = wait_until(lambda: list(experiment.all_jobs()), what="the job")
            assert job.hyperparameters == {"x": 1}


def _reject_all(url: str, queue: str) -> None:
    with open_connection(url, purpose="test") as connection:
        channel = connection.channel()
        for method, _properties, _body in channel.consume(queue, inactivity_timeout=1.0):
            if method is None:
                break
            channel.basic_reject(method.delivery_tag or 0, requeue=False)
        channel.close()


def test_a_ticket_is_dropped_and_its_job_gets_another(experiment: schedy.ManualSearch, settings: Settings) -> None:
    job = experiment.add_job({"x": 1})
    _reject_all(settings.broker_url, names.jobs_queue("MinimizeManual"))
    (letter,) = wait_until(lambda: dead_letters(settings.broker_url), what="a dead letter")
    assert (letter.is_ticket, letter.kind, letter.message_id) == (True, "ticket", job.job_id)
    assert letter.reason == "rejected from schedy.jobs.MinimizeManual"
    assert [fate for _letter, fate in replay_dead_letters(settings.broker_url, {1})] == [Fate.DROPPED]
    assert dead_letters(settings.broker_url) == []
    assert experiment.next_job(timeout=60).job_id == job.job_id


def test_a_letter_that_somebody_looks_at_is_waited_for(vhost_url: str) -> None:
    setup(vhost_url)
    bury(vhost_url, b"1")
    looking = pika.BlockingConnection(pika.URLParameters(vhost_url))
    taken, _properties, _body = looking.channel().basic_get(names.DEAD_QUEUE)
    assert taken is not None
    ending = threading.Timer(0.3, looking.close)  # after the drop has found no letter
    ending.start()
    assert [letter.body for letter in drop_dead_letters(vhost_url, {1})] == ["1"]
    ending.join()


def test_what_was_no_message_to_the_service_is_left(vhost_url: str) -> None:
    setup(vhost_url)
    send(vhost_url, "", b"foreign", exchange=names.DEAD_EXCHANGE)
    odd = {names.DEAD_REASON_HEADER: "no", names.DEAD_SOURCE_HEADER: "report.\x01"}
    send(vhost_url, "", b"odd", exchange=names.DEAD_EXCHANGE, headers=odd)
    bury(vhost_url, b"fine")
    assert [fate for _letter, fate in replay_dead_letters(vhost_url, None)] == [Fate.LEFT, Fate.LEFT, Fate.REPLAYED]
    assert bodies(vhost_url) == ["foreign", "odd"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"schema_version": 1, "kind": "replay", "routing_key": "report.finish", "body": "!"}', "not base64"),
        (b'{"schema_version": 1, "kind": "replay", "routing_key": "service.replay", "body": ""}', "not a replay"),
        (b'{"schema_version": 1, "kind": "tick", "instance": "x"}', "not a replay"),
        (b"garbage", "not JSON"),
    ],
)
def test_a_replay_that_cannot_be_read_is_buried_again_and_again(
    experiment: schedy.ManualSearch, settings: Settings, body: bytes, reason: str
) -> None:
    send(settings.broker_url, "service.replay", body)
    for _ in range(2):
        (letter,) = wait_until(lambda: dead_letters(settings.broker_url), what="a dead letter")
        assert reason in letter.reason
        assert (letter.routing_key, letter.content) == ("service.replay", body)
        list(replay_dead_letters(settings.broker_url, None))
    experiment.add_job({"x": 1})


def test_a_letter_that_the_broker_will_not_take_back_stays(vhost_url: str) -> None:
    setup(vhost_url)
    bury(vhost_url, b"1")
    with open_connection(vhost_url, purpose="test") as connection:
        connection.channel().queue_unbind(names.REPORTS_QUEUE, names.INBOX_EXCHANGE, "service.#")
    with pytest.raises(BrokerError, match="does not take dead letter 1 back"):
        list(replay_dead_letters(vhost_url, None))
    assert bodies(vhost_url) == ["1"]


def test_only_the_service_and_administrators_may_do_this(node: Node, vhost_url: str) -> None:
    setup(vhost_url)
    vhost = vhost_url.rsplit("/", 1)[1]
    users = {role: User(name=f"{role.value}-{vhost}", role=role, password="secret") for role in Role}
    management = Management(node.management_url)
    create_users(management, users.values(), vhost=vhost)
    urls = {role: f"amqp://{user.name}:secret@{vhost_url.split('@', 1)[1]}" for role, user in users.items()}
    try:
        bury(vhost_url, b"1", b"2")
        for role in (Role.WORKER, Role.PUSHER):
            for change in (replay_dead_letters, drop_dead_letters):
                with pytest.raises(PermissionDeniedError, match="Use the broker URL of a user who may"):
                    list(change(urls[role], None))
        nothing = TopicPermissions(write="^$", read="^$")
        management.put_topic_permissions(
            vhost, users[Role.SERVICE].name, exchange=names.INBOX_EXCHANGE, permissions=nothing
        )
        with pytest.raises(PermissionDeniedError, match="may not put back messages"):
            list(replay_dead_letters(urls[Role.SERVICE], {1}))
        assert bodies(vhost_url) == ["1", "2"]
        create_users(management, [users[Role.SERVICE]], vhost=vhost)
        assert [fate for _letter, fate in replay_dead_letters(urls[Role.SERVICE], {1})] == [Fate.REPLAYED]
        assert bodies(urls[Role.SERVICE]) == ["2"]
    finally:
        for user in users.values():
            management.delete_user(user.name)


def test_a_result_that_the_database_refused_is_stored_once_that_is_mended(
    settings: Settings, postgresql: PostgreSQL
) -> None:
    """The cause is real, and so is its mending: a constraint that somebody has put on the table."""
    settings = settings.model_copy(update={"store_url": postgresql.new_database()})
    plain_url = str(settings.store_url).replace("+psycopg", "")
    with running_service(settings), schedy.SchedyDB(config_override=settings.model_dump()) as db:
        experiment = schedy.ManualSearch("MinimizeManual")
        db.add_experiment(experiment)
        experiment.add_job({"x": 1})
        with psycopg.connect(plain_url, autocommit=True) as sql:
            sql.execute("ALTER TABLE job ADD CONSTRAINT short CHECK (length(results) < 30)")
        with pytest.raises(InvalidValueError, match="IntegrityError"), experiment.next_job() as job:
            job.results["text"] = "a" * 30
        (letter,) = dead_letters(settings.broker_url)
        assert (letter.kind, letter.user) == ("finish", user_of(settings.broker_url))
        wait_until(lambda: experiment.get_job(job.job_id).status == Job.QUEUED, what="the end of the lease")
        with psycopg.connect(plain_url, autocommit=True) as sql:
            sql.execute("ALTER TABLE job DROP CONSTRAINT short")
        list(replay_dead_letters(settings.broker_url, None))
        wait_until(lambda: experiment.get_job(job.job_id).status == Job.DONE, what="the result")
        stored = experiment.get_job(job.job_id)
        assert (stored.attempt, stored.results) == (1, {"text": "a" * 30})
        assert dead_letters(settings.broker_url) == []
