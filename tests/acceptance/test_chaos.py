"""A short run of `make chaos`: everything is broken at least once, and every promise is kept."""

import re
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from chaos.crew import ROOT
from chaos.faults import lanes
from schedy_broker_setup.node.files import find_server
from schedy_broker_setup.node.node import NodeError
from tests.support import missing_server, postgresql_program

_SECONDS = 35


@pytest.mark.alone
@pytest.mark.xdist_group("timed")
@pytest.mark.timeout(200)
def test_every_promise_is_kept_while_everything_breaks(tmp_path: Path) -> None:
    try:
        find_server()
    except NodeError:
        missing_server("RabbitMQ")
    if postgresql_program("postgres") is None:
        missing_server("PostgreSQL")
    seed = secrets.randbelow(1_000_000)
    store = ("sqlite", "postgresql")[seed % 2]
    options = ["--seconds", str(_SECONDS), "--jobs", "200", "--seed", str(seed), "--store", store]
    done = subprocess.run(
        [sys.executable, "-m", "chaos", *options, "--folder", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, f"python -m chaos {' '.join(options)}\n{done.stdout}\n{done.stderr}"
    assert f"seed {seed}" in done.stdout.splitlines()[0]
    assert "\n0 violations" in done.stdout
    for lane in lanes(database=store == "postgresql", new_queues=False):
        for kind in lane.faults:
            assert re.search(rf"^  {kind} +[1-9]", done.stdout, re.MULTILINE), f"{kind} did not occur:\n{done.stdout}"
