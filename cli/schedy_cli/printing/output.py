"""What programs have written, so that nothing in it acts on a terminal but the ends of lines."""

import re
import sys

from schedy.escaping import printable

_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-Z\\^-~])")
"""Escape sequences of terminals: of control, of titles, and short ones."""
_BEGUN = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|\][^\x07\x1b]{0,200}\x1b?|[ -/]*)?\Z")
"""The beginning of one at the end of a part."""
_OTHERS = re.compile(r"[^\n\r\t\x20-\x7e]+")


class OutputPrinter:
    """Prints an output part by part: on a terminal without its escape sequences, in a pipe as it is."""

    def __init__(self) -> None:
        self._is_terminal = sys.stdout.isatty()
        self._begun = ""
        self._ends_line = True

    def show(self, text: str) -> None:
        """Print a part."""
        if self._is_terminal:
            text = self._begun + text
            begun = _BEGUN.search(text)
            self._begun = begun[0] if begun else ""
            text = harmless(text.removesuffix(self._begun))
        if text:
            sys.stdout.write(text)
            sys.stdout.flush()
            self._ends_line = text.endswith("\n")

    def end_line(self) -> None:
        """End the last line, on a terminal also where the program has not."""
        if self._is_terminal and not self._ends_line:
            self.show("\n")


def harmless(text: str) -> str:
    """Return an output without escape sequences, and with other control characters escaped.

    Carriage returns stay: progress bars are drawn by them.
    """
    return _OTHERS.sub(lambda found: printable(found[0]), _SEQUENCE.sub("", text))
