"""The files and the environment of a private RabbitMQ node: all of it is in the node's data folder."""

import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from schedy_broker_setup.node.settings import NodeError, NodeSettings

PACKAGED_SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""The server itself on Debian and Red Hat; their /usr/sbin/rabbitmq-server first switches to the user rabbitmq."""

_YEAR_MILLISECONDS = 365 * 24 * 3600 * 1000
_KEPT_VARIABLES = ("PATH", "TZ", "TMPDIR", "LD_LIBRARY_PATH")
_MISSING_SERVER = (
    "RabbitMQ is not installed here. Either `apt-get install rabbitmq-server` (its system service is not needed), "
    "or run a broker in a container: `docker run -d --name rabbitmq "
    "-p 127.0.0.1:5672:5672 -p 127.0.0.1:15672:15672 rabbitmq:4-management`."
)


def find_server(*, packaged: Path = PACKAGED_SERVER, search_path: str | None = None) -> Path:
    """Return the program that runs RabbitMQ. `search_path` replaces PATH. Raises NodeError if there is none."""
    if packaged.is_file():
        return packaged
    found = shutil.which("rabbitmq-server", path=search_path)
    if found is None:
        raise NodeError(_MISSING_SERVER)
    return Path(found).resolve()


def find_erlang_program(name: str) -> Path | None:
    """Return the path of `epmd` or `erl_call`: on PATH, or in the Erlang installation that `erl` belongs to."""
    found = shutil.which(name)
    if found is not None:
        return Path(found)
    erl = shutil.which("erl")
    if erl is None:
        return None
    erlang_root = Path(erl).resolve().parent.parent
    return next(iter(sorted(erlang_root.glob(f"erts-*/bin/{name}"), reverse=True)), None)


class NodeFolder:
    """The data folder and its layout. Only its owner can read it and the files in it: it holds secrets."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir.absolute()
        self.logs = self.path / "log"
        self.console = self.logs / "console.log"
        self.lock = self.path / "lock"
        self.record = self.path / "node.json"
        self._cookie = self.path / ".erlang.cookie"
        self._hosts = self.path / "inetrc"

    def create(self) -> None:
        """Create the folder. Raises NodeError if it cannot be written, or belongs to another user."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.chmod(0o700)
            self.logs.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise NodeError(
                f"The node's data folder {self.path} cannot be used: {error.strerror}. "
                "Choose another folder, or start the node as its owner."
            ) from error

    def write_settings(self, settings: NodeSettings) -> None:
        """Write all files that the server reads. The cookie is created once and kept."""
        write_private(self.path / "rabbitmq.conf", _configuration(settings))
        write_private(self.path / "enabled_plugins", "[rabbitmq_management].\n")
        # Erlang must resolve localhost even without a line for it in /etc/hosts, or without the file.
        write_private(self._hosts, '{lookup, [file, native]}.\n{host, {127,0,0,1}, ["localhost"]}.\n')
        if not self._cookie.exists():
            write_private(
                self._cookie, settings.cookie or secrets.token_hex(24), mode=0o400
            )  # Erlang refuses a wider mode

    def environment(self, settings: NodeSettings, *, epmd_port: int, dist_port: int) -> dict[str, str]:
        """Return the environment of the server; it replaces every default that points outside the folder."""
        return {
            **erlang_environment(self.path, epmd_port=epmd_port),
            "ERL_INETRC": str(self._hosts),
            "ERL_CRASH_DUMP": str(self.logs / "erl_crash.dump"),
            "ERL_CRASH_DUMP_SECONDS": "5",
            # With this the start script becomes the server instead of remaining as its parent.
            "RUNNING_UNDER_SYSTEMD": "true",
            "RABBITMQ_NODENAME": settings.name,
            "RABBITMQ_DIST_PORT": str(dist_port),
            "RABBITMQ_CONF_ENV_FILE": str(self.path / "no-rabbitmq-env.conf"),
            "RABBITMQ_CONFIG_FILE": str(self.path / "rabbitmq.conf"),
            "RABBITMQ_CONFIG_FILES": str(self.path / "no-conf.d"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.path / "no-advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.path / "enabled_plugins"),
            "RABBITMQ_MOTD_FILE": str(self.path / "no-motd"),
            "RABBITMQ_MNESIA_BASE": str(self.path / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.logs),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(self.path / "generated"),
            "RABBITMQ_SCHEMA_DIR": str(self.path / "schema"),
            "RABBITMQ_PLUGINS_EXPAND_DIR": str(self.path / "plugins"),
            "RABBITMQ_PID_FILE": str(self.path / "rabbitmq.pid"),
            # Two schedulers, bound to no processor, and small tables: starts faster and leaves room for others.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "-kernel inet_dist_use_interface {127,0,0,1} +S 2:2 +stbt u +P 262144 +t 2097152"
            ),
        }

    def last_log_lines(self, count: int = 16) -> str:
        """Return the end of the log; after a failed start the cause, which Erlang's crash reports follow."""
        logs = sorted(self.logs.glob("*.log"), key=lambda path: path.stat().st_mtime_ns)
        if not logs:
            return "    (nothing was written)"
        text = logs[-1].read_text(encoding="utf-8", errors="replace")
        lines = [line for line in text.splitlines() if line.strip()]
        failed = next((number for number, line in enumerate(lines) if "BOOT FAILED" in line), None)
        end = len(lines) if failed is None else failed + count // 2
        return "\n".join(f"    {line}" for line in lines[max(0, end - count) : end])


def erlang_environment(home: Path, *, epmd_port: int) -> dict[str, str]:
    """Return the environment of an Erlang program of the node: its own cookie and epmd, few of our variables."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    return {
        **kept,
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "ERL_EPMD_PORT": str(epmd_port),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
    }


def write_private(path: Path, text: str, *, mode: int = 0o600) -> None:
    """Replace the file atomically; other users cannot read it at any time."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)


def _configuration(settings: NodeSettings) -> str:
    lines: Mapping[str, object] = {
        **{
            f"listeners.tcp.{number}": f"{host}:{port}"
            for number, (host, port) in enumerate(settings.listeners(), start=1)
        },
        "management.tcp.ip": "127.0.0.1",
        "management.tcp.port": settings.management_port,
        "default_user": settings.user,
        "default_pass": settings.password,
        # A job may run for months; by default RabbitMQ closes the channel of a message held for 30 minutes.
        "consumer_timeout": _YEAR_MILLISECONDS,
        # Quorum queues share one log per node; its default size of 512 MiB also determines the memory needed.
        "raft.wal_max_size_bytes": 64_000_000,
        "log.file.rotation.size": 10_000_000,
        "log.file.rotation.count": 3,
        **settings.extra_config,
    }
    return "".join(f"{key} = {value}\n" for key, value in lines.items())
