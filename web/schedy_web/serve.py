"""Serving the pages: a socket, uvicorn, and an end within a second."""

import errno
import socket
from collections.abc import Callable
from dataclasses import dataclass

import uvicorn
from starlette.applications import Starlette

from schedy.errors import SettingsError

FIRST_PORT = 8270
_PORTS_TRIED = 20
_GRACE_SECONDS = 1
_KEEP_ALIVE_SECONDS = 15
"""Longer than a page waits between two questions."""


@dataclass(frozen=True)
class Place:
    """Where the server listens."""

    host: str
    port: int

    def link(self, prefix: str, token: str) -> str:
        """Return the address of the pages for those who have the token."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}{prefix}/?token={token}"


def listen(host: str, port: int | None) -> socket.socket:
    """Return a socket that listens on the port, or on the first free one from 8270 on. Raises SettingsError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for candidate in [port] if port is not None else range(FIRST_PORT, FIRST_PORT + _PORTS_TRIED):
        listener = socket.socket(family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, candidate or 0))
            listener.listen(128)
        except OSError as error:
            listener.close()
            if error.errno == errno.EADDRNOTAVAIL:
                raise SettingsError(f"{host} is no address of this machine. Choose another with --listen.") from None
            reason = error.strerror
        else:
            return listener
    raise SettingsError(
        f"The pages cannot be served on {host}, port {port if port is not None else FIRST_PORT}: {reason}."
        " Choose another port with --port, or stop what uses it."
    )


class PagesServer(uvicorn.Server):
    """Serves an application until SIGINT, SIGTERM, or `should_exit`."""

    def __init__(self, app: Starlette, announce: Callable[[], None]) -> None:
        """`announce` is called once it serves."""
        super().__init__(
            uvicorn.Config(
                app,
                log_level="warning",
                access_log=False,  # a link has its token in the address
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=_GRACE_SECONDS,
                lifespan="on",
            )
        )
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to serve."""
        await super().startup(sockets)
        if self.started:
            self._announce()
