"""The broker and the ports that `schedy up` chooses: those that running workers and other commands find."""

import socket
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from schedy.errors import SchedyError
from schedy.settings import Settings, load_settings
from schedy.wire.changes import AddExperiment
from schedy_broker_setup.node.node import free_port
from schedy_broker_setup.node.processes import Process
from schedy_cli.main import run
from schedy_cli.up.broker_choice import BrokerOptions, choose_broker
from schedy_cli.up.description import description
from schedy_cli.up.ports import Ports, kept_ports
from schedy_cli.up.private_broker import Passwords
from schedy_cli.up.run_record import RunRecord
from schedy_store.lifecycle.changes import Changes
from schedy_store.schema.engine import Store

STALE = "amqp://ada:s3cret@127.0.0.1:1/%2F"


def settings_with(folder: Path, url: str = STALE) -> Settings:
    return load_settings(override={"data_dir": folder, "broker_url": url}, environment={})


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield int(listening.getsockname()[1])


def test_ports_are_kept_and_found_again(tmp_path: Path) -> None:
    assert kept_ports(tmp_path) is None
    first = Ports(free_port(), free_port())
    first.save(tmp_path)
    assert kept_ports(tmp_path) == first
    with closing(Ports.choose(tmp_path)) as chosen:
        assert chosen == first
        assert chosen.notes == ()


def test_another_port_for_one_that_is_taken_is_no_secret(tmp_path: Path, taken: int) -> None:
    Ports(taken, free_port()).save(tmp_path)
    with closing(Ports.choose(tmp_path)) as chosen:
        assert chosen.amqp != taken
        (note,) = chosen.notes
    assert f"Port {taken}, which the private broker had before, is taken" in note
    assert f"schedy up --port {taken}" in note


def test_a_port_that_is_asked_for_is_used(tmp_path: Path, taken: int) -> None:
    """If it is taken, the node says by what."""
    Ports(free_port(), free_port()).save(tmp_path)
    with closing(Ports.choose(tmp_path, amqp=taken)) as chosen:
        assert chosen.amqp == taken


def test_two_that_start_at_once_have_different_ports(tmp_path: Path) -> None:
    """Neither node listens yet."""
    with closing(Ports.choose(tmp_path / "a")) as first:
        with closing(Ports.choose(tmp_path / "b")) as second:
            assert {first.amqp, first.management}.isdisjoint({second.amqp, second.management})
        with pytest.raises(SchedyError, match=f"Port {first.amqp} belongs to another `schedy up`"):
            Ports.choose(tmp_path / "c", amqp=first.amqp)
    with closing(Ports.choose(tmp_path / "c", amqp=first.amqp)) as third:
        assert third.amqp == first.amqp


def test_a_configured_broker_that_does_not_answer_is_an_error(tmp_path: Path) -> None:
    """A node on another port would be found by no other command."""
    with pytest.raises(SchedyError) as caught:
        choose_broker(settings_with(tmp_path), BrokerOptions(), origin="SCHEDY_BROKER_URL")
    assert "Cannot reach RabbitMQ at 127.0.0.1:1" in str(caught.value)
    assert "`unset SCHEDY_BROKER_URL`, then run `schedy up` again" in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("options", [{"private": True}, {"listen": "127.0.0.2"}, {"port": 5}], ids=str)
def test_a_private_broker_beside_a_configured_one_is_an_error(options: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(SchedyError, match=r"not find a private broker\. First: remove broker_url in x\.toml\."):
        choose_broker(settings_with(tmp_path), BrokerOptions(**options), origin="broker_url in x.toml")


def test_the_private_broker_of_the_folder_is_used_again(tmp_path: Path) -> None:
    assert choose_broker(settings_with(tmp_path), BrokerOptions(), origin=None).notes == ()
    Ports(free_port(), free_port()).save(tmp_path)
    choice = choose_broker(settings_with(tmp_path), BrokerOptions(), origin=None)
    assert choice.is_private
    assert "private one of this data folder again" in choice.notes[0]


def test_a_url_that_up_has_printed_is_its_own(tmp_path: Path) -> None:
    port = free_port()
    Ports(port, free_port()).save(tmp_path)
    for password in vars(Passwords.of(tmp_path)).values():
        own = settings_with(tmp_path, f"amqp://schedy:{password}@127.0.0.1:{port}/%2F")
        for options in (BrokerOptions(), BrokerOptions(private=True)):
            assert choose_broker(own, options, origin="SCHEDY_BROKER_URL").is_private


def test_a_broker_that_answers_is_used(tmp_path: Path, vhost_url: str) -> None:
    for origin in (None, "SCHEDY_BROKER_URL"):
        choice = choose_broker(settings_with(tmp_path, vhost_url), BrokerOptions(), origin=origin)
        assert not choice.is_private
    Ports(free_port(), free_port()).save(tmp_path)
    choice = choose_broker(settings_with(tmp_path, vhost_url), BrokerOptions(), origin="SCHEDY_BROKER_URL")
    assert "private broker of this data folder is not started; it may hold messages" in choice.notes[1]


def record_of(folder: Path, **more: Any) -> RunRecord:
    url = f"sqlite:///{folder}/store.sqlite"
    return RunRecord(**{"supervisor": Process(1, 1), "broker_url": STALE, "store_url": url, "ready": True, **more})


def test_first_steps_are_shown_while_there_is_no_experiment(tmp_path: Path) -> None:
    record = record_of(tmp_path)
    store = Store.open(record.store_url)
    store.migrate(from_older=False)
    assert "Next:" in description(record, settings_with(tmp_path), origin=None)
    with store.transaction() as transaction:
        changes = Changes(transaction, lease_seconds=1, max_attempts=1)
        changes.apply(AddExperiment(request_id=uuid.uuid4().hex, name="E", scheduler="manual"))
    assert "Next:" not in description(record, settings_with(tmp_path), origin=None)
    store.close()


def test_another_broker_in_the_environment_is_named(tmp_path: Path) -> None:
    settings = settings_with(tmp_path, "amqp://bob:hidden@mq.lab:5672/%2F")
    text = description(record_of(tmp_path), settings, origin="SCHEDY_BROKER_URL")
    assert "Note: SCHEDY_BROKER_URL names another broker here, amqp://bob@mq.lab:5672/%2F" in text
    assert "`unset SCHEDY_BROKER_URL`" in text
    assert "names another broker" not in description(record_of(tmp_path), settings_with(tmp_path), origin="X")


@pytest.mark.parametrize("detach", [[], ["--detach"]], ids=["", "detach"])
def test_up_says_what_to_unset_and_starts_nothing(
    detach: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SCHEDY_BROKER_URL", STALE)
    assert run(["--data-dir", str(tmp_path / "data"), "up", *detach]) == 1
    assert "`unset SCHEDY_BROKER_URL`" in capsys.readouterr().err
    assert not (tmp_path / "data" / "broker").exists()
