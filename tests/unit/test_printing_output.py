"""What programs have written, on a terminal: nothing of it acts there but the ends of lines."""

import io
import sys

import pytest

from schedy_cli.printing.output import OutputPrinter, harmless


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("50 %\r100 %\n\ttab é", "50 %\r100 %\n\ttab é"),
        ("\x1b[1;31mred\x1b[0m \x1b[2J\x1b]0;title\x07\x1bcend", "red end"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("bell \x07 delete \x7f c1 \x9b31m \u202e", "bell \\x07 delete \\x7f c1 \\x9b31m \\u202e"),
    ],
)
def test_escape_sequences_are_left_out_and_other_controls_escaped(text: str, shown: str) -> None:
    assert harmless(text) == shown


@pytest.mark.parametrize("cut", range(1, 20))
def test_a_sequence_that_comes_in_two_parts_is_left_out(monkeypatch: pytest.MonkeyPatch, cut: int) -> None:
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    text = "a\x1b[1;31mb\x1b]0;c\x1b\\d"
    printer = OutputPrinter()
    printer.show(text[:cut])
    printer.show(text[cut:])
    printer.end_line()
    assert terminal.getvalue() == "abd\n"
