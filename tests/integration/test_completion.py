"""Completion in a shell: commands, options, and what is in the store; and silence where something is wrong."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import pytest

from schedy_cli.completion import PATHS, SHELLS, VARIABLE, WORDS
from schedy_cli.main import run
from schedy_store import completion_words
from schedy_store.schema.engine import Store
from tests.integration.test_reading import LOSS, ended, search
from tests.integration.test_store import Desk
from tests.unit.test_docs_cli import COMMANDS


@pytest.fixture
def desk(store_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    store = Store.open(store_url)
    monkeypatch.setenv("SCHEDY_STORE_URL", store_url)
    yield Desk(store)
    store.close()


def filled(desk: Desk) -> list[str]:
    """Add two experiments, one with jobs; return their ids."""
    search(desk, name="Old ones", objectives=[LOSS])
    return desk.push(
        search(desk, name="Digits", objectives=[LOSS]), *(ended({"loss": n, "a b": 1}) for n in range(200))
    )


def completed(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, line: str, shell: str = "bash"
) -> list[str]:
    """Answer a shell; the last word of the line is being typed."""
    words = ["schedy", *line.split(" ")]
    position = words[-1] if shell == "fish" else str(len(words) - 1)
    with monkeypatch.context() as environment:
        environment.setenv(VARIABLE, f"{shell}_complete")
        environment.setenv("COMP_WORDS", " ".join(words))
        environment.setenv("COMP_CWORD", position)
        assert run([]) == 0
    printed = capfd.readouterr()
    assert printed.err == ""
    return [line for line in printed.out.splitlines() if line]


def plain(words: Sequence[str]) -> list[str]:
    return [f"plain,{word}" for word in words]


def test_the_store_is_read(desk: Desk, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = filled(desk)

    def words(line: str) -> list[str]:
        return completed(capfd, monkeypatch, line)

    assert words("show ") == plain(["Digits", "'Old ones'"])
    assert words("show O") == plain(["'Old ones'"])
    assert words("add ") == []
    assert words("add New tpe --from-experiment D") == plain(["Digits"])
    assert words("show Digits ") == plain(reversed(jobs[-completion_words.MOST_WORDS :]))  # type: ignore[arg-type]
    start = jobs[7][:2]
    same = [job for job in jobs if job.startswith(start)]
    for line in (f"show Digits {start}", f"cancel Digits {jobs[0]} {start}"):
        assert sorted(words(line)) == sorted(plain(same))
    assert words("history Nix ") == []
    assert words("list -l Digits -s l") == plain(["loss"])
    assert words("list Digits -f ")[-4:] == plain(["error", "'a b'", "loss", "x"])
    assert words("push Digits -p ") == plain(["'a b'", "loss", "x"])
    assert "plain,show" in words("")
    assert words("--data-dir /nowhere show D") == plain(["Digits"]), "the store is configured"


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("s", ["status", "serve", "show", "set", "store"]),
        ("broker ", ["definitions", "setup"]),
        ("list --sta", ["--status"]),
        ("list E --status C", ["CRASHED"]),
        ("push E -p x 1 -s D", ["DONE"]),
        ("add E t", ["tpe"]),
        ("add E tpe --lr int(1,8) --max-j", ["--max-jobs"]),
        ("set E --pruner h", ["hyperband"]),
        ("completion z", ["zsh"]),
    ],
)
def test_words_that_no_store_knows(
    line: str, words: list[str], store_url: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCHEDY_STORE_URL", store_url)
    assert completed(capfd, monkeypatch, line) == plain(words)


@pytest.mark.parametrize("shell", ["zsh", "fish"])
@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_other_shells_quote_by_themselves(
    shell: str, desk: Desk, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(desk)
    answer = completed(capfd, monkeypatch, "show Ol", shell)
    assert answer == (["plain", "Old ones", "_"] if shell == "zsh" else ["plain,Old ones"])


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_bash_completes(desk: Desk, tmp_path: Path) -> None:
    """The script in a real bash, whose process imports no SQLAlchemy: that takes longer than all the rest."""
    filled(desk)
    script = 'eval "$(schedy completion bash)"; COMP_WORDS=(schedy show Old); COMP_CWORD=2; $(complete -p schedy |'
    script += " sed -E 's/.*-F ([^ ]+) .*/\\1/') schedy; printf '%s\\n' \"${COMPREPLY[@]}\""
    (tmp_path / "sqlalchemy.py").write_text("raise SystemExit('SQLAlchemy was imported')\n")
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(tmp_path),
    }
    done = subprocess.run(
        ["bash", "--norc", "-c", script], env=environment, capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.stdout, done.stderr) == ("'Old ones'\n", "")


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_gets_its_script(shell: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", shell]) == 0
    assert f"{VARIABLE}={shell}_complete" in capfd.readouterr().out


def test_what_is_wrong_is_silent(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "torn.sqlite").write_bytes(b"SQLite format 3\0 and no more")
    for url in (f"sqlite:///{tmp_path}/none.sqlite", f"sqlite:///{tmp_path}/torn.sqlite", "oracle://x", "://"):
        monkeypatch.setenv("SCHEDY_STORE_URL", url)
        assert completed(capfd, monkeypatch, "show ") == []
        assert completed(capfd, monkeypatch, "show E ") == []
    monkeypatch.setenv("SCHEDY_LEASE", "long")
    assert completed(capfd, monkeypatch, "show ") == []
    monkeypatch.setenv(VARIABLE, "tcsh_complete")
    assert run([]) == 1
    assert not (tmp_path / "none.sqlite").exists()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_argument_can_be_completed(name: str) -> None:
    arguments = [param for param in COMMANDS[name].params if isinstance(param, click.Argument)]
    texts = [param.name for param in arguments if isinstance(param.type, click.types.StringParamType)]
    assert set(texts) <= {*WORDS, *PATHS}, "add it to schedy_cli/completion.py"
