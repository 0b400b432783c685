"""A private PgBouncer in transaction mode, before the tests' PostgreSQL."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import psycopg

from schedy_broker_setup.node.node import free_port
from tests.support import PostgreSQL, missing_server, wait_until

_CONFIG = """
[databases]
* = host=127.0.0.1 port={server_port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = {pool_size}
"""


def _program() -> str | None:
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


class PgBouncer:
    """Gives each transaction one of `pool_size` connections of the server. Its folder may be entered by any user."""

    def __init__(self, server: PostgreSQL, *, pool_size: int) -> None:
        program = _program()
        if program is None:
            missing_server("PgBouncer")
        self.port = free_port()
        self._server = server
        self._folder = Path(tempfile.mkdtemp(prefix="schedy-pgbouncer-"))
        self._folder.chmod(0o755)
        (self._folder / "users").write_text(f'"{server.user}" ""\n')
        config = self._folder / "pgbouncer.ini"
        config.write_text(
            _CONFIG.format(server_port=server.port, port=self.port, folder=self._folder, pool_size=pool_size)
        )
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.getuid() == 0 else []
        with (self._folder / "log").open("w") as log:
            self._process = subprocess.Popen([*as_user, str(program), str(config)], stdout=log, stderr=log, cwd="/")
        wait_until(self._answers, what="PgBouncer's answer")

    def url(self, url: str) -> str:
        """Return the URL of a database of the server, by way of PgBouncer."""
        return url.replace(f":{self._server.port}/", f":{self.port}/")

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._folder)

    def _answers(self) -> bool:
        try:
            psycopg.connect(f"host=127.0.0.1 port={self.port} user={self._server.user} dbname=postgres").close()
        except psycopg.OperationalError:
            return False
        return True
