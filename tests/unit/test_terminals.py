"""Output on terminals: wide characters stay in their columns, and colours are left out where they are not wanted."""

import sys

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


def test_the_names_of_all_columns_are_printed_on_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend_terminal(monkeypatch)
    monkeypatch.setenv("COLUMNS", "20")
    header = [f"hyperparameter{number}" for number in range(12)]
    print_table(header, [["1"] * 12])
    assert click.unstyle(capsys.readouterr().out).split()[:12] == header


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
