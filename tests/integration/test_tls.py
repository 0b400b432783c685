"""amqps:// in worker, commands, service and setup, on a broker that is set up as docs/cluster.md says."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import schedy
from schedy.errors import BrokerError
from schedy.settings import load_settings
from schedy_broker_setup.declaring import setup
from schedy_broker_setup.doctor.check import Status
from schedy_broker_setup.doctor.checks import broker_checks
from schedy_broker_setup.node.node import free_port
from tests.certificates import Authority, Certificate
from tests.conftest import OwnNode, start_node
from tests.support import running_service, wait_until

DOCUMENT = Path(__file__).parents[2] / "docs" / "cluster.md"
WORKER = """
import schedy
with schedy.SchedyDB() as db:
    with db.get_experiment("E").next_job(timeout=20) as job:
        job.results["r"] = job.hyperparameters["x"] ** 2
"""
TEXT = re.compile(r"Traceback|Error\(")


@dataclass(frozen=True)
class TlsNode:
    """A broker with TLS; `client` is a certificate that it accepts."""

    node: OwnNode
    port: int
    ca: Path
    client: Certificate
    other: Authority

    def url(self, host: str = "localhost", *, scheme: str = "amqps", port: int | None = None) -> str:
        login = self.node.url.split("//")[1].split("@")[0]
        return f"{scheme}://{login}@{host}:{port or self.port}/%2F"

    @property
    def plain_port(self) -> int:
        return self.node.private.settings.amqp_port


def _section() -> str:
    return DOCUMENT.read_text().split("\n## TLS\n")[1]


def _documented_commands() -> list[str]:
    found = re.findall(r"^    ((?:openssl|printf) .*)$", _section(), re.M)
    assert len(found) == 4
    return found


def _documented_configuration() -> dict[str, str]:
    """All lines for rabbitmq.conf."""
    return dict(re.findall(r"^    ((?:listeners|ssl_options)\S+) = (.*)$", _section(), re.M))


@pytest.fixture(scope="module")
def tls_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsNode]:
    """A broker that wants client certificates, with everything from the document."""
    folder = tmp_path_factory.mktemp("tls")
    for command in _documented_commands():
        shell = ["sh", "-c", command.replace("broker-host", "localhost")]
        subprocess.run(shell, cwd=folder, check=True, capture_output=True)
    authority = Authority(folder / "clients", name="clients")
    both = folder / "both.pem"
    both.write_bytes((folder / "ca.pem").read_bytes() + authority.ca.read_bytes())
    port = free_port()
    configuration = _documented_configuration()
    assert configuration.pop("listeners.ssl.default") == "5671"
    paths = {"cacertfile": both, "certfile": folder / "server.pem", "keyfile": folder / "server.key"}
    for name, path in paths.items():
        assert configuration[f"ssl_options.{name}"].startswith("/etc/rabbitmq/tls/")
        configuration[f"ssl_options.{name}"] = str(path)
    node = start_node(folder / "node", **{**configuration, "listeners.ssl.1": f"127.0.0.1:{port}"})
    yield TlsNode(node, port, folder / "ca.pem", authority.client("worker"), Authority(folder / "other"))
    node.private.kill()


@pytest.fixture
def environment(tls_node: TlsNode) -> dict[str, str]:
    """What a worker needs, as the document says."""
    return {
        "SCHEDY_BROKER_URL": tls_node.url(),
        "SCHEDY_BROKER_CA_FILE": str(tls_node.ca),
        "SCHEDY_BROKER_CERT_FILE": str(tls_node.client.cert),
        "SCHEDY_BROKER_KEY_FILE": str(tls_node.client.key),
    }


def _schedy(environment: dict[str, str], command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "schedy_cli.main", *shlex.split(command)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_everything_works_over_tls_with_client_certificates(environment: dict[str, str], tmp_path: Path) -> None:
    made = _schedy(environment, "broker setup")
    assert "created queue schedy.reports" in made.stdout, made.stderr
    serving = {**environment, "SCHEDY_STORE_URL": f"sqlite:///{tmp_path}/store.sqlite"}
    service = subprocess.Popen([sys.executable, "-m", "schedy_cli.main", "serve"], env={**os.environ, **serving})
    try:
        wait_until(lambda: _schedy(environment, "doctor").returncode == 0, seconds=60, what="a good doctor's report")
        doctor = _schedy(environment, "doctor").stdout
        assert "user admin, with TLS." in doctor
        assert "ok       answers: The results service answers." in doctor
        assert _schedy(environment, "add E manual").returncode == 0
        assert _schedy(environment, "push E -p x 3").returncode == 0
        worker = subprocess.run(
            [sys.executable, "-c", WORKER], env={**os.environ, **environment}, timeout=60, check=False
        )
        assert worker.returncode == 0
        listed = _schedy(environment, "list -l E").stdout
        assert "Status: DONE" in listed
        assert " - r: 9" in listed
    finally:
        service.terminate()
        service.wait(30)


def test_the_library_reconnects_over_tls(environment: dict[str, str], tmp_path: Path) -> None:
    settings = load_settings(environment={**environment, "SCHEDY_STORE_URL": f"sqlite:///{tmp_path}/store.sqlite"})
    with running_service(settings), schedy.SchedyDB(config_override=settings.model_dump()) as db:
        experiment = schedy.ManualSearch("Again")
        db.add_experiment(experiment)
        experiment.add_job({"x": 1})
        with experiment.next_job() as job:
            db.session.calls.connection.drop()
            job.put()
        experiment.delete()


def _said(tls_node: TlsNode, url: str, **files: Path) -> str:
    """Return what the library says; doctor and setup say it in words, too."""
    variables = {f"SCHEDY_BROKER_{name.upper()}": str(path) for name, path in files.items()}
    settings = load_settings(
        override={"service_wait_seconds": 1.0}, environment={"SCHEDY_BROKER_URL": url, **variables}
    )
    with schedy.SchedyDB(config_override=settings.model_dump()) as db:
        with pytest.raises(BrokerError) as library:
            db.get_experiment("E")
    check = broker_checks(url, tls=settings.broker_tls)[0]
    assert check.status is Status.FAILED
    with pytest.raises(schedy.SchedyError) as made:
        setup(url, tls=settings.broker_tls)
    texts = [str(library.value), f"{check.detail} {check.remedy}", str(made.value)]
    assert not TEXT.search(" ".join(texts))
    assert all(f" at {urlsplit(url).hostname}:{urlsplit(url).port} " in text for text in texts)
    return texts[0]


def test_an_authority_that_is_not_trusted(tls_node: TlsNode) -> None:
    for files in ({}, {"ca_file": tls_node.other.ca}):
        told = _said(tls_node, tls_node.url(), **files)
        assert "is not trusted (" in told
        assert "Set SCHEDY_BROKER_CA_FILE to the certificate of the authority" in told


def test_the_certificate_of_another_host(tls_node: TlsNode) -> None:
    told = _said(tls_node, tls_node.url("127.0.0.1"), ca_file=tls_node.ca)
    assert "is for another host (IP address mismatch, certificate is not valid for '127.0.0.1')" in told
    assert "Use the host name in the certificate in SCHEDY_BROKER_URL" in told


def test_a_client_certificate_that_is_missing(tls_node: TlsNode) -> None:
    told = _said(tls_node, tls_node.url(), ca_file=tls_node.ca)
    assert "client certificate" in told
    assert "SCHEDY_BROKER_CERT_FILE" in told


def test_a_client_certificate_that_nobody_knows(tls_node: TlsNode) -> None:
    stranger = tls_node.other.client("stranger")
    told = _said(tls_node, tls_node.url(), ca_file=tls_node.ca, cert_file=stranger.cert, key_file=stranger.key)
    assert "client certificate" in told
    assert "SCHEDY_BROKER_CERT_FILE" in told


def test_tls_at_the_plain_port(tls_node: TlsNode) -> None:
    told = _said(tls_node, tls_node.url(port=tls_node.plain_port), ca_file=tls_node.ca)
    assert "No TLS connection" in told
    assert "usually 5672, write amqp://" in told


def test_no_tls_at_the_tls_port(tls_node: TlsNode) -> None:
    told = _said(tls_node, tls_node.url(scheme="amqp"))
    assert "does not speak" in told
    assert "amqps://" in told


def test_the_command_line_says_it_in_words(tls_node: TlsNode, environment: dict[str, str], tmp_path: Path) -> None:
    environment |= {"SCHEDY_BROKER_CA_FILE": str(tls_node.other.ca), "SCHEDY_DATA_DIR": str(tmp_path)}
    for command, code in (("list", 1), ("push E -p x 1", 1), ("doctor", 1), ("broker setup", 1)):
        told = _schedy(environment, command)
        assert told.returncode == code, command
        assert "is not trusted (self-signed certificate in certificate chain)" in told.stdout + told.stderr, command
        assert "Traceback" not in told.stderr
    missing = _schedy({**environment, "SCHEDY_BROKER_CA_FILE": "/none"}, "list")
    assert missing.returncode == 2
    assert "/none cannot be read: No such file or directory." in missing.stderr
