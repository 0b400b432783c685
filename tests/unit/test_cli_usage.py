"""Usage errors, found before a broker is needed. There is none: a command that went further would exit with 1."""

import contextlib
import io
import re
import subprocess
import sys
from pathlib import Path

import pytest

from schedy_cli import main
from schedy_cli.main import run


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHEDY_BROKER_URL", "amqp://u:s3cret@127.0.0.1:1/%2F")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["add", "E", "manul"], "There is no algorithm 'manul'. Did you mean 'manual'?"),
        (["add", "E", "quantum"], "quantum needs at least one hyperparameter"),
        (["add", "E", "manual", "-s", "QUEUED"], "'QUEUED' is not one of 'RUNNING', 'DONE'"),
        (["add", "", "manual"], "An experiment name has 1 to 200 bytes"),
        (["add", "x" * 201, "manual"], "this one has 201"),
        (["add", "a\nb", "manual"], "control character"),
        (["add", "a\udcff", "manual"], "control character"),
        (["add", "--", "-x", "manual"], "begins with '-'"),
        (["add", "E", "manual", "--max-attempts", "0"], "'0' is not a whole number from 1 to 1000000."),
        (["add", "E", "manual", "--job-timeout", "1h"], "'1h' is not a number of seconds above 0"),
        (["set", "E", "--stall-timeout", "inf"], "'inf' is not a number of seconds above 0"),
        (["set", "E", "--job-timeout", "-1"], "Write none to remove the limit."),
        (["add", "E", "random", "--max-jobs", "+20"], "--max-jobs +20: there is no max_jobs to add to."),
        (["add", "E", "manual", "--job-timeout", "+1.5"], "--job-timeout +1.5: there is no job_timeout to add to."),
        (["set", "E", "--max-jobs", "+-20"], "'+-20' is not a whole number"),
        (["set", "E"], "Nothing to change: give --status, a limit, or --space."),
        (["cancel", "E"], "Give the jobs to cancel, or their --status."),
        (["cancel", "E", "abcdef", "--status", "QUEUED"], "Give the jobs to cancel, or their --status."),
        (["retry", "E", "fVKGjg", "--status", "DONE"], "Give jobs or --status, not both."),
        (["retry", "E", "--status", "QUEUED"], "'QUEUED' is not one of 'DONE', 'CRASHED', 'PRUNED'"),
        (["log", "-n", "-1"], "-1 is not in the range x>=0"),
        (["dead", "replay"], "Give the numbers that `schedy dead` prints, or --all."),
        (["dead", "drop", "1", "--all"], "Give the numbers that `schedy dead` prints, or --all."),
        (["dead", "replay", "0"], "0 is not in the range x>=1"),
        (["dead", "-v", "replay", "--all"], "-v and --json apply to the list"),
        (["dead", "reply"], "No such command 'reply'"),
        (["push", "é" * 101], "this one has 202"),
        (["push", "E", "-p", "x", "1", "y"], "'y' has no value"),
        (["push", "E", "-p", "", "1"], "A name has 1 to 200 characters"),
        (["push", "E", "-p", "n" * 201, "1"], "has 201"),
        (["push", "E", "-s", "RUNNING"], "A pushed job cannot be RUNNING"),
        (["push", "E", "-s", "ended"], "one of QUEUED, DONE, CRASHED, PRUNED, not 'ENDED'"),
        (["push", "E", "-s", "running"], "A pushed job cannot be RUNNING"),
        (["push", "E", "-q", "high"], "'high' is not a valid float"),
        (["push", "E", "-p", "x", '"' + "a" * 1_100_000 + '"'], "the limit is 1,048,576"),
        (["push", "E", "--from", "x", "-p", "x", "1"], "--from takes everything from the file"),
        (["push", "E", "-px", "1"], "-px: write names and values as separate words"),
        (["push"], "Missing argument 'NAME'"),
        (["pull"], "No such command 'pull'"),
        (["lst"], "No such command 'lst'. Did you mean 'list'?"),
        (["start"], "No such command 'start'. Did you mean 'up'?"),
        (["help", "frobnicate"], "No such command 'frobnicate'. `schedy --help` lists the commands."),
        (["broker", "setpu"], "No such command 'setpu'"),
        (["--config", "/no/such.toml", "list"], "The config file /no/such.toml does not exist."),
    ],
    ids=lambda value: " ".join(value)[:40].encode("ascii", "replace").decode() if isinstance(value, list) else "",
)
def test_wrong_usage_exits_with_2_and_a_reason(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    printed = capsys.readouterr()
    assert words in printed.err
    assert printed.out == ""
    assert "s3cret" not in printed.err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"hyperparameters": {"x": 1}}\n{"hyperparameters": {"x": }}\n', "Line 2 is not JSON: "),
        ('\n\n{"hyperparameters": {}}\n[1]\n', 'Line 4 has no "hyperparameters".'),
        ('{"results": {}}\n', 'Line 1 has no "hyperparameters".'),
        ('{"hyperparameters": {}, "qualty": 1}\n', "Line 1: unknown field 'qualty'. There are hyperparameters, "),
        ('{"hyperparameters": {}}\n{"hyperparameters": [1]}\n', "Line 2: Expected a mapping of names to values"),
        ('{"hyperparameters": {"": 1}}\n', "Line 1: A name has 1 to 200 characters"),
        ('{"hyperparameters": {}, "status": "RUNNING"}\n', "Line 1: A pushed job cannot be RUNNING"),
        ('{"hyperparameters": {}, "status": ["DONE"]}\n', "Line 1: The status of a pushed job is one of"),
        ('{"hyperparameters": {}, "quality": "high"}\n', "Line 1: The quality is a number, not 'high'."),
        ('{"hyperparameters": {}, "quality": null}\n', "Line 1: The quality is a number, not None."),
        ('{"hyperparameters": {}, "results": 5}\n', "Line 1: Expected a mapping of names to values, got int"),
        ('{"hyperparameters": 0}\n', "Line 1: Expected a mapping of names to values, got int"),
        ("{" + '"x":{' * 100_000 + "\n", "Line 1 is not JSON"),
        ("x,y\n1,2\n3\n", "Line 3 has 1 cells, the header has 2."),
        ("x,x\n1,2\n", "an empty or repeated name"),
        ("x,,y\n1,2,3\n", "an empty or repeated name"),
        ("x,y\n1,True\n", "Line 2, column y: True: write true for the JSON value"),
        ("x\n1\n\na b\n", "Line 4, column x: a b: it is not JSON"),
        ('x\n"1\n', "Line 2 is not CSV: unexpected end of data"),
        ('[{"hyperparameters": {}}]\n', "The file is a JSON list. Write one object per line instead."),
    ],
    ids=lambda text: ascii(text)[:40],
)
def test_a_file_with_a_fault_is_not_pushed_and_the_line_named(
    content: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written = ("\ufeff" + content).encode()
    (tmp_path / "jobs").write_bytes(written)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(written)))
    for source in (str(tmp_path / "jobs"), "-"):
        assert run(["push", "E", "--from", source]) == 2
        printed = capsys.readouterr()
        assert words in printed.err
        assert printed.err.rstrip().endswith("Nothing was pushed.")
        assert printed.out == ""


@pytest.mark.parametrize("content", ["", "\n\n", "x,y\n"], ids=ascii)
def test_a_file_without_jobs_is_an_error(content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "jobs").write_text(content)
    assert run(["push", "E", "--from", str(tmp_path / "jobs")]) == 2
    assert "There are no jobs in" in capsys.readouterr().err


def test_a_missing_file_and_one_that_is_not_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["push", "E", "--from", str(tmp_path / "none")]) == 1
    assert "none cannot be read: No such file or directory." in capsys.readouterr().err
    assert run(["push", "E", "--from", str(tmp_path)]) == 1
    assert "cannot be read: Is a directory." in capsys.readouterr().err
    (tmp_path / "latin").write_bytes(b"x\n\xe9\n")
    assert run(["push", "E", "--from", str(tmp_path / "latin")]) == 1
    assert "Write it in UTF-8." in capsys.readouterr().err


@pytest.mark.parametrize(
    "command",
    [["list"], ["list", "E"], ["show", "E"], ["show", "E", "abcdef"], ["history", "E"], ["log"], ["workers"]],
)
def test_reading_a_missing_store_fails_and_creates_none(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SCHEDY_STORE_URL", f"sqlite:///{tmp_path}/folder/store.sqlite")
    assert run(command) == 1
    assert "There is no store at" in capsys.readouterr().err
    assert not (tmp_path / "folder").exists()


def test_names_that_other_tools_have_for_commands() -> None:
    assert set(main._OTHER_NAMES) <= {*main._COMMANDS, "run", "best", "watch", "plot", "export"}
    others = [name for names in main._OTHER_NAMES.values() for name in names]
    assert len(set(others) - set(main._COMMANDS)) == len(others)


@pytest.mark.parametrize("words", [["version"], ["--version"]])
def test_the_version_is_a_word_or_an_option(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) == 0
    assert re.fullmatch(r"schedy, version [\d.]+\n", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("words", "usage"),
    [("help", "schedy [OPTIONS]"), ("help add", "schedy add"), ("help broker setup", "schedy broker setup")],
)
def test_help_is_a_word_or_an_option(words: str, usage: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words.split()) == 0
    assert f"Usage: {usage}" in capsys.readouterr().out


def test_the_package_is_the_command_line() -> None:
    command = [sys.executable, "-m", "schedy", "no-such-command"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("Error: No such command 'no-such-command'.")


def test_help_works_in_any_position(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["push", "--help"], ["push", "E", "-p", "x", "1", "--help"], ["push", "-h"]):
        assert run(arguments) == 0
        assert "Usage: schedy push" in capsys.readouterr().out


def test_commands_in_messages_carry_the_data_folder_of_this_call(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--data-dir", str(tmp_path), "dead", "replay"]) == 2
    assert f"Give the numbers that `schedy --data-dir {tmp_path} dead` prints" in capsys.readouterr().err
    assert run(["dead", "replay"]) == 2
    assert "Give the numbers that `schedy dead` prints" in capsys.readouterr().err


def test_a_full_disk_under_the_output_is_no_bug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    full = Path("/dev/full").open("w")  # noqa: SIM115 - closing it fails, too
    monkeypatch.setattr("sys.stdout", full)
    assert run(["--help"]) == 1
    assert capsys.readouterr().err == "Error: The output cannot be written: No space left on device.\n"
    with contextlib.suppress(OSError):
        full.close()
