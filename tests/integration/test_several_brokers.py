"""Several broker URLs: whoever loses one node goes on over the next."""

import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import schedy
import schedy.amqp.transport
from schedy import Job
from schedy.errors import AuthenticationError, BrokerError, BrokerUnreachableError, SettingsError
from schedy.settings import Settings
from schedy.worker.calls import Calls
from schedy_broker_setup.connecting import address_behind, open_connection
from schedy_broker_setup.doctor.check import Status
from schedy_broker_setup.doctor.checks import broker_checks
from schedy_cli.main import run
from tests.forwarder import Forwarder
from tests.support import running_service, wait_until

PASSWORD = "not-to-be-shown"


@pytest.fixture
def ways(vhost_url: str) -> Iterator[tuple[Forwarder, Forwarder]]:
    """Two ways to one broker, which stand for two nodes of a cluster."""
    port = urlsplit(vhost_url).port or 0
    with Forwarder(port) as one, Forwarder(port) as other:
        yield one, other


@pytest.fixture
def urls(vhost_url: str, ways: tuple[Forwarder, Forwarder]) -> str:
    return ",".join(_to_port(vhost_url, way.port) for way in ways)


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that refuses connections, held so that nobody opens it."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def _to_port(url: str, port: int) -> str:
    return url.replace(f":{urlsplit(url).port}/", f":{port}/")


def _over(settings: Settings, urls: str) -> Settings:
    return settings.model_copy(update={"broker_url": urls, "amqp_heartbeat_seconds": 2})


@pytest.mark.parametrize("fault", ["refuse", "hang"])
def test_a_running_job_and_the_service_go_on_over_the_other_node(
    settings: Settings, urls: str, ways: tuple[Forwarder, Forwarder], fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The lease is longer than it takes to notice that a connection hangs."""
    settings = _over(settings, urls).model_copy(update={"lease_seconds": 12.0})
    first, second = ways
    with running_service(settings), schedy.SchedyDB(config_override=settings.model_dump()) as db:
        experiment = schedy.ManualSearch("E")
        db.add_experiment(experiment)
        experiment.add_job({"x": 1})
        with experiment.next_job() as job:
            job.results["before"] = 1
            job.put()
            assert second.connections() == 0
            if fault == "refuse":
                first.cut(refuse=True)
            else:
                first.hang()
            job.results["after"] = 2
            job.put()
        wait_until(lambda: experiment.get_job(job.job_id).status == Job.DONE, what="the finish")
        assert experiment.get_job(job.job_id).results == {"before": 1, "after": 2}
        assert experiment.get_job(job.job_id).attempt == 1
        wait_until(lambda: second.connections() == 2, what="the service's connection and ours, without a probe's")
        experiment.add_job({"x": 2})
        with experiment.next_job():
            pass
    assert f"127.0.0.1:{first.port} was lost" in caplog.text


def test_the_first_node_refuses_and_the_second_hangs_when_we_begin(
    settings: Settings,
    urls: str,
    ways: tuple[Forwarder, Forwarder],
    closed_port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(schedy.amqp.transport, "_PATIENCE_WITH_SEVERAL_URLS", (1.0, 1.5))
    ways[0].hang()
    vhost_url = settings.broker_url
    settings = _over(settings, f"{_to_port(vhost_url, closed_port)}, {urls}")
    with running_service(_over(settings, vhost_url)), schedy.SchedyDB(config_override=settings.model_dump()) as db:
        db.add_experiment(schedy.ManualSearch("E"))
        assert [experiment.name for experiment in db.get_experiments()] == ["E"]


def test_each_failed_attempt_names_the_place_it_was_about(settings: Settings, closed_port: int, vhost_url: str) -> None:
    urls = f"{_to_port(vhost_url, closed_port)},amqp://u:p@no-such-host.invalid/%2F"
    calls = Calls(_over(settings, urls), connection_name="test")
    seen: set[str] = set()
    calls.listen(on_lost=lambda error: seen.add(str(error).split(" (")[0]))
    calls.start()
    try:
        wait_until(lambda: len(seen) == 2, what="an attempt with each URL")
    finally:
        calls.close(5.0)
    assert seen == {
        f"Cannot reach RabbitMQ at 127.0.0.1:{closed_port}",
        "Cannot reach RabbitMQ at no-such-host.invalid:5672: the host name is unknown",
    }


def test_a_wrong_password_is_told_once_every_node_was_tried(
    settings: Settings, vhost_url: str, closed_port: int
) -> None:
    host = vhost_url.split("@", 1)[1]
    urls = f"amqp://nobody:{PASSWORD}@{host},{_to_port(vhost_url, closed_port)}"
    settings = _over(settings, urls)
    with schedy.SchedyDB(config_override=settings.model_dump()) as db:
        with pytest.raises(AuthenticationError, match="refused the login of user 'nobody'"):
            db.get_experiment("E")
    right_after_wrong = _over(settings, f"amqp://nobody:{PASSWORD}@{host},{vhost_url}")
    with running_service(_over(settings, vhost_url)):
        with schedy.SchedyDB(config_override=right_after_wrong.model_dump()) as db:
            db.add_experiment(schedy.ManualSearch("E"))


def test_nobody_answers(settings: Settings, closed_port: int, vhost_url: str) -> None:
    url = _to_port(vhost_url, closed_port)
    settings = _over(settings, f"{url},{url}").model_copy(update={"service_wait_seconds": 1.0})
    with schedy.SchedyDB(config_override=settings.model_dump()) as db:
        with pytest.raises(BrokerError, match=f"127.0.0.1:{closed_port}"):
            db.get_experiment("E")


def test_setup_and_doctor_take_the_first_that_answers(
    vhost_url: str,
    closed_port: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    closed = _to_port(vhost_url, closed_port)
    monkeypatch.setenv("SCHEDY_BROKER_URL", f"{closed}, {vhost_url}")
    monkeypatch.setenv("SCHEDY_DATA_DIR", str(tmp_path))

    assert run(["broker", "setup"]) == 0
    assert "created queue schedy.reports" in capsys.readouterr().out

    checks = {check.name: check for check in broker_checks(f"{closed}, {vhost_url}")}
    assert checks["broker"].status is Status.OK
    assert f"Connected to 127.0.0.1:{urlsplit(vhost_url).port}" in checks["broker"].detail
    assert checks[f"broker at 127.0.0.1:{closed_port}"].status is Status.WARNING
    assert checks["queue schedy.reports"].status is Status.OK

    assert run(["doctor"]) == 1  # no service runs
    assert f"broker at 127.0.0.1:{closed_port}: Cannot reach" in capsys.readouterr().out


def test_setup_names_all_that_do_not_answer(vhost_url: str, closed_port: int) -> None:
    unknown = "amqp://u:p@no-such-host.invalid/%2F"
    with pytest.raises(BrokerUnreachableError) as caught:
        with open_connection(f"{_to_port(vhost_url, closed_port)},{unknown}", purpose="test"):
            pass
    assert f"127.0.0.1:{closed_port}" in caught.value.what
    assert "no-such-host.invalid" in caught.value.what
    assert broker_checks(f"{unknown},{unknown}")[0].status is Status.FAILED


def test_one_bad_url_of_several_is_not_passed_over(vhost_url: str) -> None:
    with pytest.raises(SettingsError):
        with open_connection(f"{vhost_url},amqp://u:{PASSWORD}@h:port/", purpose="test"):
            pass
    assert PASSWORD not in str(broker_checks(f"{vhost_url},amqp://u:{PASSWORD}@h:port/"))


def test_the_connection_says_where_it_leads(vhost_url: str, closed_port: int) -> None:
    with open_connection(f"{_to_port(vhost_url, closed_port)},{vhost_url}", purpose="test") as connection:
        assert str(address_behind(connection)) == f"127.0.0.1:{urlsplit(vhost_url).port}"
