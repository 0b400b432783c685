"""Whatever answers behind the port: each client of the broker gets a BrokerError that says what to do."""

import logging
import queue
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from schedy.amqp import transport
from schedy.amqp.connection import Connection
from schedy.errors import BrokerError, BrokerUnreachableError
from schedy.settings import load_settings
from schedy_broker_setup.declaring import setup
from schedy_broker_setup.doctor.check import Status
from schedy_broker_setup.doctor.checks import broker_checks
from tests.odd_servers import ODD_SERVERS, Answer, noise, odd_server

SEEDS = range(60)
SILENT = "accepts connections, but does not answer in AMQP. Check host and port"
OTHER = "does not speak plain AMQP (it closed the connection). Check host and port"
CUT = "ended the connection during the login of user 'ada', without a reason (it closed the connection)"
SAID = {
    "a web server": OTHER,
    "a web server that waits": SILENT,
    "silence": SILENT,
    "an end at once": OTHER,
    "an end after the header": OTHER,
    "a reset": OTHER,
    "half a frame and silence": SILENT,
    "half a frame and an end": OTHER,
    "a start and silence": SILENT,
    "a start and an end": CUT,
    "a start and a reset": CUT,
    "a tuning and an end": CUT,
    "a tuning and silence": SILENT,
    "AMQP 1.0": OTHER,
    "a TLS alert": OTHER,
    "a TLS alert and silence": SILENT,
    "the greeting of SSH": SILENT,
    "the greeting of MySQL": SILENT,
}


def of_library(url: str) -> BrokerError:
    lost: queue.Queue[BrokerError] = queue.Queue()
    connection = Connection(
        load_settings(override={"broker_url": url}, environment={}),
        name="test",
        on_connected=lambda: pytest.fail("it has connected"),
        on_lost=lost.put,
    )
    connection.start()
    try:
        return lost.get(timeout=20)
    finally:
        connection.abandon()


def of_setup(url: str) -> BrokerError:
    with pytest.raises(BrokerError) as caught:
        setup(url)
    return caught.value


def of_doctor(url: str) -> BrokerError:
    (check,) = broker_checks(url)
    assert (check.name, check.status) == ("broker", Status.FAILED)
    return BrokerError(check.detail, remedy=check.remedy)


CLIENTS = (of_library, of_setup, of_doctor)


def all_of(answers: dict[str, Answer], client: Callable[[str], BrokerError]) -> dict[str, BrokerError]:
    """Return what a client says of each server; all at once, since most of it is waiting."""

    def _said(answer: Answer) -> BrokerError:
        with odd_server(answer) as port:
            return client(f"amqp://ada:s3cret@127.0.0.1:{port}/?socket_timeout=1&stack_timeout=1")

    with ThreadPoolExecutor(20) as threads:
        return dict(zip(answers, threads.map(_said, answers.values()), strict=True))


@pytest.fixture(autouse=True)
def _short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_PATIENCE_WITH_ONE_URL", (1.0, 1.0))


def test_the_table_is_complete() -> None:
    assert SAID.keys() == ODD_SERVERS.keys()


@pytest.mark.parametrize("client", CLIENTS)
def test_each_odd_server_is_named_with_a_remedy(
    client: Callable[[str], BrokerError], caplog: pytest.LogCaptureFixture
) -> None:
    said = {name: str(error) for name, error in all_of(dict(ODD_SERVERS), client).items()}
    assert {name: text for name, text in said.items() if SAID[name] not in text} == {}
    assert [record for record in of_schedy(caplog) if record.exc_info] == []


@pytest.mark.parametrize("client", CLIENTS)
def test_random_bytes_are_no_reason_for_a_traceback(
    client: Callable[[str], BrokerError], caplog: pytest.LogCaptureFixture
) -> None:
    for seed, error in all_of({str(seed): noise(seed) for seed in SEEDS}, client).items():
        assert error.remedy, (seed, error)
        assert "s3cret" not in str(error)
        assert client is of_doctor or isinstance(error, BrokerUnreachableError), (seed, error)
    assert [record for record in of_schedy(caplog) if record.exc_info] == []


def of_schedy(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name.startswith("schedy")]
