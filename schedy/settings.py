"""Settings: environment over the config file over what a running `schedy up` recorded over defaults.

They are read once, by `load_settings`, and passed on. `docs/settings.md` lists them all.
"""

import difflib
import json
import os
import re
import socket
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from schedy.errors import SettingsError
from schedy.tls import TlsFiles, tls_context
from schedy.urls import BROKER_URL_FORM, checked_url, split_urls, without_password

ENVIRONMENT_PREFIX = "SCHEDY_"
DEFAULT_BROKER_URL = "amqp://guest:guest@127.0.0.1:5672/%2F"
RUN_FILE = "run.json"
_TLS_SETTINGS = ("broker_ca_file", "broker_cert_file", "broker_key_file")


class Settings(BaseModel):
    """All settings. Durations are in seconds, sizes in bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    data_dir: Path = Field(default_factory=lambda: Path.home() / ".schedy")
    """Folder of the SQLite store, the private broker, logs and the run file."""

    broker_url: str = Field(default=DEFAULT_BROKER_URL, repr=False)
    """Where RabbitMQ is: ``amqp://user:password@host:port/vhost`` (``amqps`` for TLS); of a cluster, several URLs
    with commas between them, the first to be tried first."""

    broker_ca_file: Path | None = None
    """Certificates of the authorities that are trusted to sign the broker's, in PEM; unset: the system's."""

    broker_cert_file: Path | None = None
    """The client certificate to show to a broker that wants one, in PEM."""

    broker_key_file: Path | None = None
    """Its key, without a passphrase; unset: it is in `broker_cert_file`, too."""

    store_url: str | None = Field(default=None, repr=False)
    """The database as an SQLAlchemy URL; unset: SQLite in `data_dir`."""

    lease_seconds: float = Field(default=30.0, ge=0.5)
    """How long a worker may be silent before its job goes to another (set on the service)."""

    amqp_heartbeat_seconds: int = Field(default=20, ge=2)
    """Silence after which broker and client take their connection for dead."""

    reconnect_max_seconds: float = Field(default=5.0, gt=0)
    """The longest pause between two attempts to reach the broker or the database."""

    claim_retry_seconds: float = Field(default=5.0, gt=0)
    """How often a claim or a read without an answer is asked again."""

    claim_patience_seconds: float = Field(default=30.0, gt=0)
    """How long a `next_job` whose timeout is over waits for the answer to a claim it has sent."""

    ticket_hold_seconds: float = Field(default=1200.0, gt=0)
    """How long a running job keeps its ticket unacknowledged (to be seen in the management UI)."""

    service_wait_seconds: float = Field(default=300.0, gt=0)
    """How long the library waits for the broker and the results service before it gives up."""

    store_wait_seconds: float = Field(default=10.0, gt=0)
    """How long a push waits to be stored before it says that the broker has it and the store will."""

    close_seconds: float = Field(default=5.0, gt=0)
    """How long closing waits for the broker to take what was not sent yet."""

    max_message_bytes: int = Field(default=1_048_576, ge=1024, le=16_000_000)
    """The largest hyperparameters and results of one job, as JSON."""

    max_attempts: int = Field(default=3, ge=1)
    """How many workers may be lost on a job before it is CRASHED (set on the service)."""

    crash_limit: int = Field(default=5, ge=0)
    """How many jobs in a row may crash within `crash_seconds` each before a worker takes no more; 0: any number."""

    crash_seconds: float = Field(default=5.0, ge=0)
    """A job that crashes sooner counts for `crash_limit`."""

    stop_after_seconds: float = Field(default=0.0, ge=0)
    """How long a worker may run, as a batch system sees it, counted from its `SchedyDB`; 0: for ever."""

    stop_margin_seconds: float = Field(default=120.0, ge=0)
    """How long before that it takes no job any more."""

    batch_messages: int = Field(default=500, ge=1)
    """How many messages the service applies in one transaction at most."""

    ticket_window: int = Field(default=500, ge=1)
    """How many tickets the service has on their way to the broker at most."""

    search_seconds: float = Field(default=300.0, gt=0)
    """How long a search algorithm may take for one answer before its process is ended and started anew."""

    log_level: str = "INFO"
    """DEBUG, INFO, WARNING or ERROR; for commands that run a service."""

    @field_validator("broker_url")
    @classmethod
    def _amqp(cls, url: str) -> str:
        for each in split_urls(url):
            try:
                checked_url(each)
            except ValueError as fault:
                raise ValueError(f"{fault}; expected {BROKER_URL_FORM}") from None
        return url

    @field_validator(*_TLS_SETTINGS)
    @classmethod
    def _home(cls, path: Path | None) -> Path | None:
        return None if path is None else path.expanduser()

    @field_validator("log_level")
    @classmethod
    def _level(cls, level: str) -> str:
        if level.upper() not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
            raise ValueError("expected DEBUG, INFO, WARNING or ERROR")
        return level.upper()

    @property
    def broker_urls(self) -> tuple[str, ...]:
        """The URLs in `broker_url`: one, or those of the nodes of a cluster."""
        return split_urls(self.broker_url)

    @property
    def broker_tls(self) -> TlsFiles:
        """The certificates for connections to the broker."""
        return TlsFiles(self.broker_ca_file, self.broker_cert_file, self.broker_key_file)

    @property
    def run_file(self) -> Path:
        """Where `schedy up` records what it runs."""
        return self.data_dir / RUN_FILE

    @property
    def sqlite_path(self) -> Path:
        """The file of the default store."""
        return self.data_dir / "schedy.sqlite"

    @property
    def effective_store_url(self) -> str:
        """`store_url`, or the URL of the default SQLite file."""
        path = str(self.sqlite_path).replace("%", "%25").replace("?", "%3f")
        return self.store_url or f"sqlite:///{path}"


def load_settings(
    config_path: str | os.PathLike[str] | None = None,
    *,
    override: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """Read the settings.

    `override` wins over everything; `environment` is ``os.environ`` unless given. Raises SettingsError naming the
    file, the line and the key.
    """
    environment = os.environ if environment is None else environment
    named = config_path or environment.get(ENVIRONMENT_PREFIX + "CONFIG")
    own = {**_from_environment(environment), **(override or {})}
    data_dir = Path(own.get("data_dir") or Path.home() / ".schedy").expanduser()
    from_file = _from_file(Path(named or data_dir / "config.toml"), required=named is not None)
    data_dir = Path(own.get("data_dir") or from_file.get("data_dir") or data_dir).expanduser()
    merged = {**_from_run_file(data_dir / RUN_FILE), **from_file, **own, "data_dir": data_dir}
    _check_keys(merged)
    try:
        settings = Settings(**merged)
    except ValidationError as error:
        raise SettingsError(_explain(error)) from None
    if settings.broker_tls:
        _check_tls(settings)
    return settings


def _check_tls(settings: Settings) -> None:
    """See now, not at every attempt to connect, that the certificates can be used."""
    if settings.broker_key_file and not settings.broker_cert_file:
        raise SettingsError("The setting broker_key_file needs broker_cert_file, the certificate that the key is of.")
    for url in settings.broker_urls:
        if url.startswith("amqp:"):
            name = next(name for name in _TLS_SETTINGS if getattr(settings, name))
            raise SettingsError(
                f"The setting {name} ({ENVIRONMENT_PREFIX}{name.upper()}) is for TLS, but broker_url"
                f" {without_password(url)} is without: write amqps:// (the port is usually 5671), or unset {name}."
            )
    tls_context(settings.broker_tls)


def read_run_file(path: Path) -> dict[str, Any]:
    """Return what `schedy up` recorded on this host, or an empty dict if it did not, or another user wrote the file."""
    try:
        if path.stat().st_uid not in {os.getuid(), 0}:
            return {}
        recorded = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    if not isinstance(recorded, dict) or recorded.get("host") != socket.gethostname():
        return {}
    return recorded


def _from_run_file(path: Path) -> dict[str, Any]:
    recorded = read_run_file(path)
    return {key: recorded[key] for key in ("broker_url", "store_url") if recorded.get(key)}


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in Settings.model_fields:
        value = environment.get(ENVIRONMENT_PREFIX + field.upper())
        if value:
            found[field] = value
    return found


def _from_file(path: Path, *, required: bool) -> dict[str, Any]:
    try:
        text = path.expanduser().read_text()
    except FileNotFoundError:
        if required:
            raise SettingsError(f"The config file {path} does not exist.") from None
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"The config file {path} cannot be read: {error}.") from None
    try:
        loaded = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"The config file {path} is not TOML: {error}.") from None
    _check_keys(loaded, origin=path, text=text)
    try:
        Settings(**loaded)
    except ValidationError as error:
        raise SettingsError(f"{path}: {_explain(error)}") from None
    return loaded


def _check_keys(found: Mapping[str, Any], *, origin: Path | None = None, text: str = "") -> None:
    for key in found:
        if key not in Settings.model_fields:
            close = difflib.get_close_matches(key, Settings.model_fields, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else " docs/settings.md lists the settings."
            raise SettingsError(f"{_place(origin, text, key)}unknown setting {key!r}.{hint}")


def _place(origin: Path | None, text: str, key: str) -> str:
    if origin is None:
        return "The settings: "
    pattern = re.compile(rf"^\s*\[?\[?\s*[\"']?{re.escape(key)}\b")
    for number, line in enumerate(text.splitlines(), start=1):
        if pattern.match(line):
            return f"{origin}, line {number}: "
    return f"{origin}: "


def _explain(error: ValidationError) -> str:
    fault = error.errors(include_url=False, include_input=False)[0]
    key = str(fault["loc"][0]) if fault["loc"] else "settings"
    return f"The setting {key} ({ENVIRONMENT_PREFIX}{key.upper()}) is unusable: {fault['msg']}."
