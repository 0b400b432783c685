"""Certificates in the settings: what cannot be used is said when the settings are read."""

import subprocess
from pathlib import Path

import pytest

from schedy.errors import SettingsError
from schedy.settings import load_settings
from tests.certificates import Authority

URL = "amqps://u:s3cret@h/"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


def load(**variables: object) -> object:
    environment = {f"SCHEDY_BROKER_{name.upper()}": str(value) for name, value in variables.items()}
    return load_settings(environment={"SCHEDY_BROKER_URL": URL, **environment}).broker_tls


def refused(**variables: object) -> str:
    with pytest.raises(SettingsError) as caught:
        load(**variables)
    assert "s3cret" not in str(caught.value)
    return str(caught.value)


def test_files_that_can_be_used(authority: Authority, tmp_path: Path) -> None:
    client = authority.client("worker")
    load(ca_file=authority.ca, cert_file=client.cert, key_file=client.key)
    both = tmp_path / "both.pem"
    both.write_bytes(client.key.read_bytes() + client.cert.read_bytes())
    load(cert_file="~/both.pem")


def test_a_file_that_is_missing(authority: Authority) -> None:
    client = authority.client("worker")
    assert "broker_ca_file (SCHEDY_BROKER_CA_FILE): /none/ca.pem cannot be read: No such file" in refused(
        ca_file="/none/ca.pem"
    )
    assert "broker_cert_file (SCHEDY_BROKER_CERT_FILE): /none cannot be read" in refused(cert_file="/none")
    assert "broker_key_file (SCHEDY_BROKER_KEY_FILE): /none cannot be read" in refused(
        cert_file=client.cert, key_file="/none"
    )


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    assert "cannot be read: Is a directory" in refused(cert_file=tmp_path)


def test_a_file_that_holds_something_else(authority: Authority, tmp_path: Path) -> None:
    client, other = authority.client("worker"), authority.client("other")
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("nothing")
    assert "It must hold certificates in PEM format" in refused(ca_file=wrong)
    assert "It must hold a certificate in PEM format" in refused(cert_file=wrong, key_file=client.key)
    assert "cannot be used" in refused(cert_file=client.cert)  # without its key
    assert "cannot be used" in refused(cert_file=client.cert, key_file=other.key)


def test_a_key_with_a_passphrase_is_refused_and_nobody_is_asked_for_it(authority: Authority, tmp_path: Path) -> None:
    client = authority.client("worker")
    locked = tmp_path / "locked.key"
    command = f"openssl pkey -in {client.key} -aes256 -passout pass:secret -out {locked}"
    subprocess.run(command.split(), check=True, capture_output=True)
    assert "without a passphrase" in refused(cert_file=client.cert, key_file=locked)


def test_a_key_without_a_certificate() -> None:
    assert "needs broker_cert_file" in refused(key_file="/none")


@pytest.mark.parametrize("url", ["amqp://u:s3cret@h/", "amqps://u:s3cret@a/,amqp://u:s3cret@h/"])
def test_certificates_for_a_connection_without_tls(authority: Authority, url: str) -> None:
    told = refused(url=url, ca_file=authority.ca)
    assert "broker_ca_file (SCHEDY_BROKER_CA_FILE) is for TLS, but broker_url amqp://u@h/ is without it" in told
    assert "write amqps://" in told


def test_a_file_may_give_the_certificates_and_the_environment_the_url(authority: Authority, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'broker_ca_file = "{authority.ca}"\n')
    settings = load_settings(config, environment={"SCHEDY_BROKER_URL": URL})
    assert settings.broker_tls.ca_file == authority.ca
