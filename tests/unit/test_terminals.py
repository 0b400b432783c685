"""Output on terminals: wide characters stay in their columns, and colours are left out where they are not wanted."""

import sys
from collections.abc import Sequence
from typing import Any

import click
import pytest

from schedy_cli.main import run
from schedy_cli.printing.tables import print_table
from schedy_cli.printing.width import padded, width


def pretend_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the captured output look like a terminal. In a test, since each phase of one has a stream of its own."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr("click._compat.isatty", lambda _stream: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("abc", 3),
        ("", 0),
        ("é", 1),
        ("e\u0301", 1),
        ("学習率", 6),
        ("ﾃｽﾄ", 3),
        ("🚀x", 3),
        ("a\u200db", 2),
        (click.style("学", fg="red"), 2),
    ],
)
def test_the_width_of_a_text(text: str, columns: int) -> None:
    assert width(text) == columns
    assert width(padded(text, 9)) == 9


def test_the_columns_of_a_table_with_wide_characters(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend_terminal(monkeypatch)
    print_table(("名前", "opt", "x"), [("学習率", "adam", "1"), ("lr", "e\u0301té", "2"), ("🚀", "", "3")])
    lines = click.unstyle(capsys.readouterr().out).splitlines()
    places = [width(line[: line.rindex(cell)]) for line, cell in zip(lines, "x123", strict=True)]
    assert places == [14] * 4


def printed_table(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    columns: int,
    **options: Any,
) -> list[str]:
    """Return the lines of a table on a terminal of that width."""
    pretend_terminal(monkeypatch)
    monkeypatch.setenv("COLUMNS", str(columns))
    print_table(header, rows, **options)
    return click.unstyle(capsys.readouterr().out).splitlines()


def test_a_narrow_terminal_names_the_columns_that_it_has_no_room_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    header = ["id", *(f"hyperparameter{number}" for number in range(5))]
    lines = printed_table(monkeypatch, capsys, header, [["a"] + ["1"] * 5], columns=36, kept=["id"])
    assert lines == [
        "id  hyperparameter0  hyperparameter1",
        "a   1                1",
        "No room for: hyperparameter2, hyperparameter3, hyperparameter4. A wider terminal or a pipe has all.",
    ]


def test_long_cells_are_cut_with_a_mark(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [["a", click.style("学" * 30, fg="red"), "x"]]
    lines = printed_table(monkeypatch, capsys, ["id", "path", "y"], rows, columns=20, kept=["id", "path", "y"])
    assert lines == ["id  path           y", "a   学学学学学学…  x"]
    assert max(map(width, lines)) == 20


def test_a_column_with_one_value_is_said_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [["a", "DONE", "60", ""], ["b", "DONE", "60", ""]]
    options: dict[str, Any] = {"columns": 80, "kept": ["id", "status"], "dull": ["epochs", "note"]}
    header = ["id", "status", "epochs", "note"]
    lines = printed_table(monkeypatch, capsys, header, rows, **options)
    assert lines == ["id  status", "a   DONE", "b   DONE", "In all rows: epochs 60."]
    assert printed_table(monkeypatch, capsys, header, rows[:1], **options)[1] == "a   DONE    60"


def test_a_pipe_has_all_of_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["id", "epochs"], [["a", "60" * 100], ["b", "60" * 100]], dull=["epochs"])
    assert capsys.readouterr().out == f"id\tepochs\na\t{'60' * 100}\nb\t{'60' * 100}\n"


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [({}, True), ({"NO_COLOR": ""}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
    ids=str,
)
def test_colours_where_they_are_wanted(
    environment: dict[str, str], coloured: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend_terminal(monkeypatch)
    monkeypatch.setenv("SCHEDY_BROKER_URL", "amqp://u:p@127.0.0.1:1/%2F")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert run(["doctor"]) == 1
    output = capsys.readouterr().out
    assert "failed" in output
    assert ("\x1b[" in output) is coloured
