"""Settings: from the environment, the config file, the run file of `schedy up`, or defaults, in this order.

`load_settings` reads them once; they are passed on from there. `docs/settings.md` lists them all.
"""

import difflib
import functools
import json
import logging
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

_log = logging.getLogger(__name__)

ENVIRONMENT_PREFIX = "SCHEDY_"
DEFAULT_BROKER_URL = "amqp://guest:guest@127.0.0.1:5672/%2F"
RUN_FILE = "run.json"
STOP_SIGNALS = ("TERM", "HUP", "INT", "QUIT", "USR1", "USR2", "XCPU", "ALRM")
_OTHER_VARIABLES = {
    *("SCHEDY_CONFIG", "SCHEDY_MANAGEMENT_URL", "SCHEDY_LISTEN", "SCHEDY_STORE_PASSWORD", "SCHEDY_ADMIN_PASSWORD"),
    *("SCHEDY_SERVICE_PASSWORD", "SCHEDY_WORKER_PASSWORD", "SCHEDY_PUSHER_PASSWORD"),
    *("SCHEDY_EXPERIMENT", "SCHEDY_JOB", "SCHEDY_ATTEMPT", "SCHEDY_SLOT", "SCHEDY_DIR", "SCHEDY_HYPERPARAMETERS"),
    "SCHEDY_PARENT_DIR",
    "SCHEDY_RUN",
}
"""Variables that are no settings: of the command line, the broker setup, the compose file, and trials."""
_TLS_SETTINGS = ("broker_ca_file", "broker_cert_file", "broker_key_file")


class Settings(BaseModel):
    """All settings. Durations are in seconds, sizes in bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    data_dir: Path = Field(default_factory=lambda: Path.home() / ".schedy")
    """Folder of the SQLite store, the private broker, logs and the run file."""

    broker_url: str = Field(default=DEFAULT_BROKER_URL, repr=False)
    """RabbitMQ: ``amqp://user:password@host:port/vhost`` (``amqps`` for TLS); for a cluster, several URLs with commas
    between them, tried in this order."""

    broker_ca_file: Path | None = None
    """PEM file with the certificates of the authorities to trust; default: the system's."""

    broker_cert_file: Path | None = None
    """PEM file with the client certificate, for a broker that requires one."""

    broker_key_file: Path | None = None
    """PEM file with the key of the client certificate, without a passphrase; default: `broker_cert_file`."""

    store_url: str | None = Field(default=None, repr=False)
    """The database as an SQLAlchemy URL; default: SQLite in `data_dir`."""

    lease_seconds: float = Field(default=30.0, ge=0.5)
    """Time after which the job of a silent worker goes to another worker (set on the service)."""

    amqp_heartbeat_seconds: int = Field(default=20, ge=2)
    """Time after which broker and client regard a silent connection as lost."""

    reconnect_max_seconds: float = Field(default=5.0, gt=0)
    """Longest pause between two attempts to reach the broker or the database."""

    claim_retry_seconds: float = Field(default=5.0, gt=0)
    """Interval at which a claim or a read without an answer is sent again."""

    claim_patience_seconds: float = Field(default=30.0, gt=0)
    """Time that a `next_job` whose timeout is over waits for the answer to a claim it has sent."""

    ticket_hold_seconds: float = Field(default=1200.0, gt=0)
    """Time that a running job keeps its ticket unacknowledged, which the management UI shows."""

    service_wait_seconds: float = Field(default=300.0, gt=0)
    """Time that the library waits for the broker and the results service before it gives up."""

    store_wait_seconds: float = Field(default=10.0, gt=0)
    """Time that a push waits for the store before it raises NotStoredYetError: the broker has it."""

    close_seconds: float = Field(default=5.0, gt=0)
    """Time that closing waits for the broker to take unsent messages."""

    max_message_bytes: int = Field(default=1_048_576, ge=1024, le=16_000_000)
    """Largest size of the hyperparameters and results of one job, as JSON."""

    max_attempts: int = Field(default=3, ge=1)
    """Number of workers lost on a job after which it is CRASHED (set on the service)."""

    max_releases: int = Field(default=100, ge=0)
    """Times that a job is given back in a row, without a report in between, until it is CRASHED; 0: no limit."""

    crash_limit: int = Field(default=5, ge=0)
    """Number of crashes in a row, each within `crash_seconds`, after which a worker takes no more jobs; 0: no limit."""

    crash_seconds: float = Field(default=5.0, ge=0)
    """Jobs that crash within this time count towards `crash_limit`."""

    stop_after_seconds: float = Field(default=0.0, ge=0)
    """Time limit of a worker in a batch system, counted from the creation of its `SchedyDB`; 0: none."""

    stop_margin_seconds: float = Field(default=120.0, ge=0)
    """Time before the end of `stop_after_seconds` from which a worker takes no more jobs."""

    stop_signals: str = "TERM,HUP"
    """Signals that end a worker as Ctrl-C does, so that its job is given back, with commas between them."""

    batch_messages: int = Field(default=500, ge=1)
    """Largest number of messages that the service applies in one transaction."""

    ticket_window: int = Field(default=500, ge=1)
    """Largest number of tickets that the service has in flight to the broker."""

    keep_events_days: float = Field(default=0.0, ge=0)
    """Days after which the service deletes events, for `schedy history` and `schedy log`; 0: never."""

    keep_curves_days: float = Field(default=0.0, ge=0)
    """Days after the end of a job after which the service deletes its learning curves; 0: never."""

    keep_outputs_days: float = Field(default=0.0, ge=0)
    """Days after the end of a job after which the service deletes its outputs and tracebacks; 0: never."""

    search_seconds: float = Field(default=300.0, gt=0)
    """Time that a search algorithm may take for one answer before its process is restarted."""

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

    @field_validator("stop_signals", mode="before")
    @classmethod
    def _signals(cls, given: object) -> str:
        listed = given if isinstance(given, list | tuple) else str(given).split(",")
        names = [str(word).strip().upper().removeprefix("SIG") for word in listed if str(word).strip()]
        unknown = [name for name in names if name not in STOP_SIGNALS]
        if unknown:
            raise ValueError(f"{', '.join(unknown)}: expected some of {', '.join(STOP_SIGNALS)}")
        return ",".join(names)

    @field_validator("log_level")
    @classmethod
    def _level(cls, level: str) -> str:
        if level.upper() not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
            raise ValueError("expected DEBUG, INFO, WARNING or ERROR")
        return level.upper()

    @property
    def stop_signal_names(self) -> tuple[str, ...]:
        """The names in `stop_signals`, without SIG."""
        return tuple(self.stop_signals.split(",")) if self.stop_signals else ()

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
        """The file in which `schedy up` records what it runs."""
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

    `override` wins over everything; `environment` is ``os.environ`` by default. Raises SettingsError naming the
    file, the line and the key.
    """
    environment = os.environ if environment is None else environment
    _warn_of_unknown(environment)
    own = {**_from_environment(environment), **(override or {})}
    _path, from_file = _config_file(config_path, own, environment)
    data_dir = Path(own.get("data_dir") or from_file.get("data_dir") or _default_data_dir()).expanduser()
    merged = {**_from_run_file(data_dir / RUN_FILE), **from_file, **own, "data_dir": data_dir}
    _check_keys(merged)
    try:
        settings = Settings(**merged)
    except ValidationError as error:
        raise SettingsError(_explain(error)) from None
    if settings.broker_tls:
        _check_tls(settings)
    return settings


def origin_of(
    setting: str,
    config_path: str | os.PathLike[str] | None = None,
    *,
    override: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> str | None:
    """Return where a setting is set: the name of the variable, or the key and the file; None if nowhere.

    The arguments are those of `load_settings`; what `schedy up` recorded does not count.
    """
    environment = os.environ if environment is None else environment
    if environment.get(ENVIRONMENT_PREFIX + setting.upper()):
        return ENVIRONMENT_PREFIX + setting.upper()
    own = {**_from_environment(environment), **(override or {})}
    path, from_file = _config_file(config_path, own, environment)
    return f"{setting} in {path}" if setting in from_file else None


def _config_file(
    config_path: str | os.PathLike[str] | None, own: Mapping[str, Any], environment: Mapping[str, str]
) -> tuple[Path, dict[str, Any]]:
    """Return the path of the config file, and what is in it."""
    named = config_path or environment.get(ENVIRONMENT_PREFIX + "CONFIG")
    data_dir = Path(own.get("data_dir") or _default_data_dir()).expanduser()
    path = Path(named or data_dir / "config.toml")
    return path, _from_file(path, required=named is not None)


def _default_data_dir() -> Path:
    return Path.home() / ".schedy"


def _warn_of_unknown(environment: Mapping[str, str]) -> None:
    known = {ENVIRONMENT_PREFIX + name.upper() for name in Settings.model_fields}
    for name in environment:
        if name.startswith(ENVIRONMENT_PREFIX) and name not in known | _OTHER_VARIABLES and not _is_for_tests(name):
            own, names = name.removeprefix(ENVIRONMENT_PREFIX), [key.upper() for key in Settings.model_fields]
            _warn_of(name, *(ENVIRONMENT_PREFIX + close for close in difflib.get_close_matches(own, names, n=1)))


def _is_for_tests(name: str) -> bool:
    return name.startswith((f"{ENVIRONMENT_PREFIX}TEST_", f"{ENVIRONMENT_PREFIX}CHAOS_"))


@functools.cache
def _warn_of(name: str, close: str | None = None) -> None:
    """Warn once in a process."""
    hint = f"Did you mean {close}?" if close else "docs/settings.md lists the settings."
    _log.warning("The environment variable %s is not a setting of Schedy, and has no effect. %s", name, hint)


def _check_tls(settings: Settings) -> None:
    """Check the certificates now rather than at every attempt to connect."""
    if settings.broker_key_file and not settings.broker_cert_file:
        raise SettingsError("The setting broker_key_file needs broker_cert_file: set it to the certificate of the key.")
    for url in settings.broker_urls:
        if url.startswith("amqp:"):
            name = next(name for name in _TLS_SETTINGS if getattr(settings, name))
            raise SettingsError(
                f"The setting {name} ({ENVIRONMENT_PREFIX}{name.upper()}) is for TLS, but broker_url"
                f" {without_password(url)} is without it: write amqps:// (the port is usually 5671), or unset {name}."
            )
    tls_context(settings.broker_tls)


def read_run_file(path: Path) -> dict[str, Any]:
    """Return what `schedy up` recorded on this host; an empty dict without a record, or with another user's."""
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
            raise SettingsError(
                f"The config file {path} does not exist. Correct --config, SCHEDY_CONFIG or config_path."
            ) from None
        return {}
    except OSError as error:
        raise SettingsError(f"The config file {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise SettingsError(f"The config file {path} cannot be read: it is not UTF-8.") from None
    try:
        loaded = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"The config file {path} is not valid TOML: {error}.") from None
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
    reason = fault["msg"].removeprefix("Value error, ")
    return f"The setting {key} ({ENVIRONMENT_PREFIX}{key.upper()}) is invalid: {reason}."
