"""The web pages as the compose file and the systemd unit start them; both give them a service's environment."""

import http.client
import json
import re
import shlex
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import schedy
from schedy.settings import Settings
from schedy_broker_setup.node.node import free_port
from schedy_web.tokens import TOKENS_FILE
from tests.support import wait_until

ROOT = Path(__file__).parents[2]


def command_of_compose() -> list[str]:
    text = (ROOT / "docker-compose.yml").read_text()
    [found] = re.findall(r'^    command: (\["ui",.*\])$', text, re.MULTILINE)
    words: list[str] = json.loads(found.replace("${SCHEDY_LISTEN:-127.0.0.1}", "127.0.0.1"))
    return words


def command_of_unit() -> list[str]:
    text = (ROOT / "packaging" / "schedy-ui.service").read_text()
    [found] = re.findall(r"^ExecStart=/opt/schedy/venv/bin/schedy (.*)$", text, re.MULTILINE)
    return shlex.split(found)


def ask(port: int, path: str, **headers: str) -> int | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers=headers)
        return connection.getresponse().status
    except ConnectionError:
        return None
    finally:
        connection.close()


@pytest.mark.parametrize("words", [command_of_compose(), command_of_unit()], ids=["compose", "unit"])
def test_pages_are_served_and_tell_no_token(words: list[str], settings: Settings, db: schedy.SchedyDB) -> None:
    port = free_port()
    words[words.index("8270")] = str(port)
    environment = {
        "SCHEDY_BROKER_URL": settings.broker_url,
        "SCHEDY_STORE_URL": settings.effective_store_url,
        "SCHEDY_DATA_DIR": str(settings.data_dir / "ui"),
        "HOME": str(settings.data_dir),
    }
    command = [sys.executable, "-m", "schedy_cli.main", *words]
    with subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as ui:
        try:
            wait_until(lambda: ask(port, "/healthz") == 200, what="the pages")
            kept = settings.data_dir / "ui" / TOKENS_FILE
            tokens = json.loads(kept.read_text())
            assert stat.S_IMODE(kept.stat().st_mode) == 0o600
            assert ask(port, "/api/v1/pulse") == 401
            assert ask(port, "/api/v1/pulse", Authorization=f"Bearer {tokens['watch']}") == 200
        finally:
            ui.terminate()
            said, _errors = ui.communicate(timeout=20)
    assert not any(token in said for token in tokens.values())
