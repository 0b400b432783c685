"""Messages that somebody purges from the queue of the reports: lost, and said. And jobs that a store does not know."""

import contextlib
import logging
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

import schedy
from schedy.settings import Settings
from schedy.wire import names
from schedy.wire.answers import ReportAnswer
from schedy.wire.reports import Finish
from schedy.wire.service import Tick
from schedy_broker_setup.connecting import open_connection
from schedy_broker_setup.declaring import setup
from schedy_broker_setup.doctor.check import Status
from schedy_cli.home_check import home_checks
from schedy_store.lifecycle.journal import LOST_MESSAGES
from schedy_store.lifecycle.reports import Reports
from schedy_store.schema.engine import Store
from schedy_store.schema.tables import Event
from schedy_store.schema.tables import Service as ServiceRow
from schedy_store.service.epoch import Epochs, Turn
from schedy_store.service.home import Home
from schedy_store.service.lost_messages import TickLedger, last_loss
from tests.integration.searching import service_process
from tests.integration.test_home import Marks
from tests.support import running_service, wait_until


@pytest.fixture
def store(sqlite_url: str) -> Iterator[Store]:
    opened = Store.open(sqlite_url)
    yield opened
    opened.close()


Noting = Callable[..., int]


@pytest.fixture
def noted(store: Store) -> Noting:
    """Have ticks noted that carry these numbers; returns how often a loss was said."""

    def _noted(*confirmed: int, ledger: TickLedger, series: str = "a") -> int:
        lines = []
        for number in confirmed:
            with store.transaction() as transaction:
                tick = Tick(instance="host:1", series=series, confirmed=number)
                lines += ledger.note(transaction, tick).log
        return len(lines)

    return _noted


@pytest.mark.parametrize(
    "numbers",
    [
        (0, 1, 2, 3),
        (0, 0, 0, 3, 3),  # confirms come late
        (7, 8, 9),  # an instance that takes over has not seen the first ones
        (0, 1, 1, 2, 2, 3),  # some are delivered twice
        (0, 1, 0, 1, 2),
    ],
)
def test_ticks_that_come_back_are_no_loss(noted: Noting, store: Store, numbers: tuple[int, ...]) -> None:
    assert noted(*numbers, ledger=TickLedger()) == 0
    with store.transaction() as transaction:
        assert last_loss(transaction, within=timedelta(days=1)) is None


@pytest.mark.parametrize("numbers", [(0, 2), (0, 1, 2, 9), (7, 9)])
def test_a_confirmed_tick_that_does_not_come_is_a_loss(noted: Noting, store: Store, numbers: tuple[int, ...]) -> None:
    ledger = TickLedger()
    assert noted(*numbers, ledger=ledger) == 1
    assert noted(numbers[-1] + 1, numbers[-1] + 9, ledger=ledger) == 0  # not again and again
    with store.transaction() as transaction:
        (detail,) = transaction.sql.scalars(select(Event.detail).where(Event.kind == LOST_MESSAGES))
        assert last_loss(transaction, within=timedelta(days=1)) is not None
    assert "purged the queue" in detail


def test_each_instance_counts_for_itself_and_a_new_turn_starts_again(noted: Noting) -> None:
    ledger = TickLedger()
    assert noted(0, 1, ledger=ledger) == 0
    assert noted(0, 1, ledger=ledger, series="b") == 0
    ledger.reset()
    assert noted(9, 10, ledger=ledger) == 0


def test_a_purge_under_a_busy_service_is_said(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    """Its consumer holds few messages; the others are in the queue."""
    caplog.set_level(logging.INFO)
    settings = settings.model_copy(update={"batch_messages": 1})
    with running_service(settings), schedy.SchedyDB(config_override=settings.model_dump()) as db:
        db.add_experiment(schedy.ManualSearch("E"))
        path = settings.effective_store_url.removeprefix("sqlite:///")
        blocker = Store.open(f"sqlite:///{path}")
        with blocker.transaction(), open_connection(settings.broker_url, purpose="test") as broker:
            channel = broker.channel()

            def _waiting() -> int:
                declared = channel.queue_declare(names.REPORTS_QUEUE, passive=True)
                return int(declared.method.message_count)

            wait_until(lambda: _waiting() >= 3, what="ticks to wait")
            channel.queue_purge(names.REPORTS_QUEUE)
        blocker.close()
        wait_until(lambda: "RabbitMQ has lost messages of schedy.reports" in caplog.text, what="the words")
        assert [check.status for check in home_checks(settings) if check.name == "lost reports"] == [Status.WARNING]


class Stops:
    """Services that come and go, and what the store says of the last tick that one has left."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.path = Path(settings.effective_store_url.removeprefix("sqlite:///"))

    @property
    def awaited(self) -> str | None:
        with contextlib.closing(Store.open(f"sqlite:///{self.path}")) as store, store.transaction() as transaction:
            return transaction.sql.scalar(select(ServiceRow.awaited_tick))

    @property
    def losses(self) -> list[str]:
        with contextlib.closing(Store.open(f"sqlite:///{self.path}")) as store, store.transaction() as transaction:
            return list(transaction.sql.scalars(select(Event.detail).where(Event.kind == LOST_MESSAGES)))

    def serve(self) -> None:
        """Serve until it is clear whether the last tick has come, and stop."""
        with running_service(self.settings), schedy.SchedyDB(config_override=self.settings.model_dump()) as db:
            db.get_experiments()
            wait_until(lambda: self.awaited is None, what="the last tick, or one behind it")
            db.add_experiment(schedy.ManualSearch(f"E{uuid.uuid4().hex}"))  # it is active, whatever was awaited

    def change_queue(self, change: str) -> None:
        with open_connection(self.settings.broker_url, purpose="test") as connection:
            getattr(connection.channel(), f"queue_{change}")(names.REPORTS_QUEUE)


def test_services_that_stop_and_start_lose_nothing(settings: Settings, tmp_path: Path) -> None:
    stops = Stops(settings)
    stops.serve()
    assert stops.awaited is not None
    stops.serve()
    first = stops.awaited
    shutil.copy(stops.path, tmp_path / "backup")
    with service_process(settings, tmp_path) as killed:
        wait_until(lambda: stops.awaited is None, what="the last tick")
        killed.kill()
    assert stops.awaited is None
    stops.serve()
    with running_service(settings), schedy.SchedyDB(config_override=settings.model_dump()) as db:
        wait_until(lambda: stops.awaited is None, what="the last tick")
        with running_service(settings):
            db.add_experiment(schedy.ManualSearch("E"))
    assert stops.awaited not in (None, first)
    stops.serve()
    assert stops.losses == []
    shutil.copy(tmp_path / "backup", stops.path)
    stops.serve()  # what came since the backup is missing
    (said,) = stops.losses
    assert "or this store was restored from a backup. Reports, pushes and changes that were in it are not" in said


def test_a_purge_while_no_service_runs_is_said(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    stops = Stops(settings)
    stops.serve()
    stops.change_queue("purge")
    stops.serve()
    (said,) = stops.losses
    between = r"between 20\S+ \S+ UTC, when the results service stopped, and 20\S+ \S+ UTC: somebody purged it"
    assert re.search(f"The queue schedy.reports has lost messages {between}", said)
    assert said in caplog.text
    (check,) = [check for check in home_checks(settings) if check.name == "lost reports"]
    assert check.status is Status.WARNING
    assert said in check.detail
    for declares in (False, True):
        stops.change_queue("delete")
        if declares:  # else the service does, and says so
            setup(settings.broker_url)
        stops.serve()
    assert [("purged" in said, "was missing" in said) for said in stops.losses] == [
        (True, False),
        (False, True),
        (True, False),
    ]


def test_a_last_tick_is_awaited_from_its_broker_alone(store: Store) -> None:
    home = Home(store, Marks())
    epochs = Epochs(store, instance="one", broker_id=home.settle(), lease_seconds=30)

    def _take() -> Turn:
        epochs.look()
        with store.transaction() as transaction:
            return epochs.check(transaction, Turn())

    epochs.leave(_take(), last_tick="first")
    epochs.leave(_take(), last_tick="second")
    before = _take()
    assert before.awaited_tick == "first"  # which tells of more
    epochs.leave(before)
    Home(store, Marks()).settle()
    epochs.leave(before, last_tick="third")
    with store.transaction() as transaction:
        assert transaction.sql.scalar(select(ServiceRow.awaited_tick)) is None


def test_an_instance_that_was_deposed_leaves_no_tick(store: Store) -> None:
    broker_id = Home(store, Marks()).settle()
    turns = []
    for instance in ("one", "two"):
        epochs = Epochs(store, instance=instance, broker_id=broker_id, lease_seconds=30)
        epochs.look()
        with store.transaction() as transaction:
            turns.append((epochs, epochs.check(transaction, Turn())))
    for epochs, turn in turns:
        epochs.leave(turn, last_tick=f"of {turn.epoch}")
    with store.transaction() as transaction:
        assert transaction.sql.scalar(select(ServiceRow.awaited_tick)) == "of 2"


def test_a_job_that_the_store_does_not_know_was_not_deleted(store: Store) -> None:
    """The store may have been restored from a backup that is older than the job."""
    held = {"experiment_uid": uuid.uuid4().hex, "job_id": "abcdef", "token": uuid.uuid4().hex}
    with store.transaction() as transaction:
        finish = Finish(**held, sequence=1, status="DONE", results={}, quality=0.0)
        effects = Reports(transaction, lease_seconds=30, max_releases=0).apply(finish)
    assert isinstance(effects.answer, ReportAnswer)
    assert effects.answer.reason == (
        "the store does not know it: the store was restored from an older backup, or it is another store."
    )
