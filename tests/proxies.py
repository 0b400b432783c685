"""Private nginx and Caddy before the web pages, set up by the lines that docs/pages.md shows."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Self

from schedy_broker_setup.node.node import free_port
from tests.support import missing_server, wait_until

_DOCUMENTED_PORT = "8270"
_DOCUMENTED_NAME = "schedy.example.org"


class Proxy(ABC):
    """A proxy on a port of its own, which passes on what is below /schedy."""

    name: str

    def __init__(self, server_port: int, *, strips: bool) -> None:
        """`strips`: the proxy takes the prefix away."""
        program = shutil.which(self.name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if program is None:
            missing_server(self.name)
        self.port = free_port()
        self._folder = Path(tempfile.mkdtemp(prefix=f"schedy-{self.name}-"))
        lines = _documented(self.name).replace(_DOCUMENTED_PORT, str(server_port))
        config = self._folder / "config"
        config.write_text(self.config(self.stripping(lines) if strips else lines))
        environment = {**os.environ, "XDG_CONFIG_HOME": str(self._folder)}
        command = self.command(str(program), config)
        with (self._folder / "log").open("w") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd="/", env=environment)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}/schedy"

    def __enter__(self) -> Self:
        try:
            wait_until(self._answers, what=f"{self.name}'s answer")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self._process.terminate()
        self._process.wait(20)
        shutil.rmtree(self._folder)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
            return True
        return False

    @abstractmethod
    def config(self, lines: str) -> str:
        """Return a whole configuration, with the documented lines in it."""

    @abstractmethod
    def stripping(self, lines: str) -> str:
        """Return lines that strip the prefix."""

    @abstractmethod
    def command(self, program: str, config: Path) -> list[str]:
        """Return what runs it in the foreground."""


class Nginx(Proxy):
    name = "nginx"

    def config(self, lines: str) -> str:
        temporary = "".join(
            f"{kind}_temp_path {self._folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        return (
            f"daemon off; master_process off; pid {self._folder}/pid; error_log stderr; events {{}}\n"
            f"http {{ access_log off; {temporary} server {{ listen 127.0.0.1:{self.port};\n{lines}\n}} }}\n"
        )

    def stripping(self, lines: str) -> str:
        return re.sub(r"(proxy_pass http://[^;/]+);", r"\1/;", lines)

    def command(self, program: str, config: Path) -> list[str]:
        return [program, "-p", str(self._folder), "-c", str(config), "-e", "stderr"]


class Caddy(Proxy):
    name = "caddy"

    def config(self, lines: str) -> str:
        address = f"http://127.0.0.1:{self.port}"
        return f"{{\nadmin off\nstorage file_system {self._folder}/data\n}}\n" + lines.replace(
            _DOCUMENTED_NAME, address
        )

    def stripping(self, lines: str) -> str:
        return lines.replace("handle /schedy*", "handle_path /schedy*")

    def command(self, program: str, config: Path) -> list[str]:
        return [program, "run", "--config", str(config), "--adapter", "caddyfile"]


def _documented(name: str) -> str:
    """Return the lines below the comment that names the proxy."""
    text = (Path(__file__).parents[1] / "docs" / "pages.md").read_text()
    found = re.search(rf"^    # {name}\n((?:    .*\n)+)", text, re.MULTILINE | re.IGNORECASE)
    assert found is not None, f"docs/pages.md shows no lines for {name}"
    return found[1]
