"""The benchmarks run and print every row; what the figures say is not judged here."""

import subprocess
import sys
from pathlib import Path

import pytest

from schedy_broker_setup.node.files import find_server
from schedy_broker_setup.node.node import NodeError
from tests.support import missing_server

_MOST_SECONDS = 600
"""Ten times what it takes on two idle cores: it shares them with other tests, and machines differ."""
_ROOT = Path(__file__).parent.parent.parent
_READS = (
    "show, one of 2,000 jobs",
    "best of 2,000 jobs",
    "list -s, 20 of 2,000 jobs",
    "list -t, 20 of 2,000 jobs",
    "watch of 2,000 jobs",
)
_ROWS = (
    "add_job, one by one",
    "add_jobs, 100 at once",
    "jobs done, 1 worker ",
    "jobs done, 2 workers",
    "jobs done, 4 workers",
    "push to first line, p50",
    "push to first line, p99",
    "4 workers; pika, pipelined",
    "1 worker; pika, pipelined",
    "prefetch=10; pika, pipelined",
    "memory after the load",
    "start to first answer",
    "others, pause of 2,000 jobs",
    "others, resume of 2,000 jobs",
    "others, end of 2,000 jobs",
    "others, removal of 2,000 jobs",
    "suggestion, random",
    "suggestion, sobol",
    "suggestion, cmaes",
    "suggestion, tpe",
    "suggestion, auto",
    "suggestion by auto, 200 jobs",
    "a job beside a busy tpe",
    "schedy --help",
    "schedy list, 10 jobs",
    "list 2,000 jobs, first line",
    "list 2,000 jobs, peak memory",
    *_READS,
    "list all of 2,000 jobs",
    "export 2,000 jobs, CSV ",
    "export 2,000 jobs, CSV, peak memory",
    "export 2,000 jobs, Parquet ",
    "export 2,000 jobs, Parquet, peak memory",
)
_PAGES = (
    "schedy ui, start to first answer",
    "page of 2,000 jobs, first paint",
    "page of 2,000 jobs, rows",
    "page of 2,000 jobs, charts",
    "page of 2,000 jobs, another order",
    "page of 2,000 jobs, sent",
    "page of 2,000 jobs, requests",
    "page of 2,000 jobs, heap",
    "200 viewers, processor",
    "200 viewers, p99",
    "200 viewers, nothing happens",
    "schedy ui, memory after that",
)
"""Those with nothing beside them, or only where the peers are installed."""


@pytest.fixture
def output(tmp_path: Path) -> str:
    """What a tiny run prints."""
    try:
        find_server()
    except NodeError:
        missing_server("RabbitMQ")
    command = [
        sys.executable,
        "-m",
        "benchmarks",
        "--quick",
        "--size",
        "0.1",
        "--rounds",
        "1",
        "--folder",
        str(tmp_path),
    ]
    run = subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        printed, said = run.communicate(timeout=_MOST_SECONDS)
    except subprocess.TimeoutExpired:
        run.terminate()  # so that it ends its servers, and the search that keeps a core busy
        printed, said = run.communicate(timeout=60)
        pytest.fail(f"It took more than {_MOST_SECONDS} s:\n{printed}\n{said}")
    assert run.returncode == 0, said
    assert not list(tmp_path.iterdir()), "the run left something behind"
    return printed


@pytest.mark.timeout(_MOST_SECONDS + 90)
def test_every_row_is_printed_with_its_figures(output: str) -> None:
    lines = output.splitlines()
    for name in (*_ROWS, *_PAGES):
        found = [line for line in lines if line.startswith(name)]
        assert len(found) == 1, f"{name!r} is not printed once:\n{output}"
        figures = sum(cell[:1].isdigit() for cell in found[0].removeprefix(name).split())
        assert figures >= (3 if name in _ROWS else 1), found[0]
    assert {"BROKER", "PEERS", "SERVICE", "HEARTBEATS", "GROWTH", "COMMANDS", "READS", "PAGES", "EXPORTS"} <= {
        line.split(" ", 1)[0] for line in lines if line
    }


def test_every_row_is_explained() -> None:
    page = (_ROOT / "docs" / "benchmarks.md").read_text()
    for name in (*_ROWS, *_PAGES):
        very_many = name.replace("of 2,000", "of 1,000,000") if name in (*_READS, *_PAGES) else name
        words = very_many.replace("2,000", "100,000").replace("100 at", "5,000 at").strip()
        assert words in page, f"docs/benchmarks.md does not have {words!r}"
