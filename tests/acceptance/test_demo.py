"""The demo, as `make demo` runs it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"


@pytest.mark.timeout(400)
@pytest.mark.usefixtures("usual_ports")
def test_the_demo_ends_with_its_result_and_leaves_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(DEMO)],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=190,
        check=False,
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert "Status: DONE" in done.stdout
    assert " - result: 5\n" in done.stdout
    assert "pages were at http://127.0.0.1:" in done.stdout
    assert list(tmp_path.iterdir()) == []
