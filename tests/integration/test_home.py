"""One store, one broker: a service on another broker does not serve, and says why."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from sqlalchemy import select, update

import schedy
from schedy.errors import StoreError
from schedy.settings import Settings
from schedy_broker_setup.doctor.check import Status
from schedy_cli.home_check import home_checks
from schedy_store.schema.engine import Store
from schedy_store.schema.tables import Event
from schedy_store.schema.tables import Service as ServiceRow
from schedy_store.service.epoch import Epochs, Turn
from schedy_store.service.home import Home
from tests.conftest import Node, own_vhost
from tests.support import running_service, wait_until


@dataclass
class Marks:
    """A broker that has nothing but marks."""

    marks: set[str] = field(default_factory=set)

    def prepare(self) -> list[str]:
        return []

    def has_mark(self, broker_id: str) -> bool:
        return broker_id in self.marks

    def leave_mark(self, broker_id: str) -> None:
        self.marks.add(broker_id)


@pytest.fixture
def store(sqlite_url: str) -> Iterator[Store]:
    opened = Store.open(sqlite_url)
    yield opened
    opened.close()


def seen(store: Store, *, seconds_ago: float | None) -> None:
    with store.transaction() as transaction:
        at = None if seconds_ago is None else transaction.now - timedelta(seconds=seconds_ago)
        transaction.sql.execute(update(ServiceRow).values(seen_at=at, instance="other:1"))


def test_a_store_keeps_its_broker(store: Store) -> None:
    broker = Marks()
    broker_id = Home(store, broker).settle()
    assert broker.marks == {broker_id}
    seen(store, seconds_ago=0)
    assert Home(store, broker).settle() == broker_id


def test_another_broker_waits_until_the_first_is_silent(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    Home(store, Marks()).settle()
    other = Home(store, Marks())
    for _ in range(2):
        seen(store, seconds_ago=20)
        with pytest.raises(StoreError, match=r"served through another RabbitMQ, by the instance other:1\. Stop one"):
            other.settle()
    seen(store, seconds_ago=31)
    other.settle()
    assert "served through another RabbitMQ before, by the instance other:1. Reports and pushes" in caplog.text
    with store.transaction() as transaction:
        (event,) = transaction.sql.scalars(select(Event.detail).where(Event.kind == "service"))
    assert event is not None
    assert "served through another RabbitMQ before" in event


def test_a_service_that_stops_leaves_its_store_to_any_broker(store: Store) -> None:
    home = Home(store, Marks())
    epochs = Epochs(store, instance="one", broker_id=home.settle(), lease_seconds=30)
    epochs.look()
    with store.transaction() as transaction:
        turn = epochs.check(transaction, Turn())
    with pytest.raises(StoreError):
        Home(store, Marks()).settle()
    epochs.leave(turn)
    Home(store, Marks()).settle()


def test_a_mark_that_was_deleted_under_a_running_service_is_left_again(store: Store) -> None:
    broker = Marks()
    home = Home(store, broker)
    broker_id = home.settle()
    seen(store, seconds_ago=0)
    broker.marks.clear()
    assert home.settle() == broker_id
    assert broker.marks == {broker_id}


def test_two_services_on_two_brokers(node: Node, settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with own_vhost(node) as url:
        other = settings.model_copy(update={"broker_url": url})
        with running_service(settings), schedy.SchedyDB(config_override=settings.model_dump()) as db:
            db.add_experiment(schedy.ManualSearch("E"))
            assert [check.status for check in home_checks(settings)] == [Status.OK] * 2
            with running_service(other):
                wait_until(lambda: "is served through another RabbitMQ" in caplog.text, what="the refusal")
                for number in range(20):
                    db.get_experiment("E").add_job({"x": number})
                check, _instance = home_checks(other)
                assert check.status is Status.FAILED
                assert "served through another RabbitMQ" in check.detail
            assert caplog.text.count("is served through another RabbitMQ") == 1
            assert caplog.text.count("is active, epoch") == 1
        with running_service(other), schedy.SchedyDB(config_override=other.model_dump()) as moved:
            assert len(list(moved.get_experiment("E").all_jobs())) == 20
            assert "served through another RabbitMQ before" in caplog.text
