"""The processes that Schedy starts: nothing in the current folder takes the place of a module."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from schedy.python_process import module_command

ROOT = Path(__file__).parents[2]
PACKAGES = ("schedy", "broker_setup", "store", "web", "cli")
PLANTED = "import pathlib\npathlib.Path(__file__).with_suffix('.ran').touch()\nraise SystemExit(3)\n"


@pytest.fixture
def shared_folder(tmp_path: Path) -> Path:
    for name in ("json", "queue", "click", "schedy"):
        (tmp_path / f"{name}.py").write_text(PLANTED)
    return tmp_path


def run(folder: Path, *command: str, typed: str = "", **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        module_command(*command),
        cwd=folder,
        input=typed,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("command", [("up", "--help"), ("serve", "--help")], ids=lambda command: command[0])
def test_the_supervisor_and_the_service_run_nothing_of_the_current_folder(
    shared_folder: Path, command: tuple[str, ...]
) -> None:
    done = run(shared_folder, "schedy_cli.main", *command)
    assert done.returncode == 0, done.stderr
    assert list(shared_folder.glob("*.ran")) == []


def test_the_search_process_runs_nothing_of_the_current_folder(shared_folder: Path) -> None:
    done = run(shared_folder, "schedy_store.search.runner", typed=f"sqlite:///{shared_folder}/store.sqlite\n")
    assert list(shared_folder.glob("*.ran")) == [], done.stderr
    assert "line 3, in <module>" not in done.stderr


def test_the_modules_of_pythonpath_are_found(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "own_algorithm.py").write_text("print('mine')\n")
    assert run(tmp_path, "own_algorithm", PYTHONPATH=str(tmp_path / "mine")).stdout == "mine\n"


def test_no_other_place_starts_python() -> None:
    """A second place would forget -P."""
    sources = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    assert len(sources) > 100
    found = [path.name for path in sources if re.search(r'sys\.executable, *"-', path.read_text())]
    assert found == ["python_process.py"]
