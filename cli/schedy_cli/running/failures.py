"""The reasons why a program failed, from its exit code and the end of its output."""

import re
import signal

from schedy.settings import STOP_SIGNALS
from schedy_cli.running.output_lines import plain

_TRACEBACK = "Traceback (most recent call last):"
_CHAINED = (
    "\n\nDuring handling of the above exception, another exception occurred:\n\n",
    "\n\nThe above exception was the direct cause of the following exception:\n\n",
)
_LONGEST_LAST_LINE = 500
_USAGE = re.compile(r"^\s*usage:", re.IGNORECASE | re.MULTILINE)
_MOST_USAGE_LINES = 40
REFUSED = 2
"""Exit code of programs that refuse their arguments."""
_SHELL_SIGNAL = 128
"""A shell ends with this and the signal of a program that was killed."""


def exit_text(code: int) -> str:
    """Return the exit code of `subprocess`, which is negative for a signal, in words."""
    if code < 0:
        return _signal_text(-code)
    if code > 0 and _is_of_signal(code):
        return f"exit code {code}: {_signal_text(code - _SHELL_SIGNAL)}"
    return f"exit code {code}"


def _signal_text(number: int) -> str:
    if number == signal.SIGKILL:
        return "killed by signal 9, perhaps out of memory"
    return f"killed by signal {number} ({signal.Signals(number).name})" if _is_signal(number) else f"signal {number}"


def _is_of_signal(code: int) -> bool:
    return code < 0 or (code > _SHELL_SIGNAL and _is_signal(code - _SHELL_SIGNAL))


def _is_signal(number: int) -> bool:
    return number in set(signal.Signals)


def is_stop(code: int) -> bool:
    """Return True for the exit code of a program that a stop signal has ended."""
    number = -code if code < 0 else code - _SHELL_SIGNAL
    return number in {signal.Signals[f"SIG{name}"] for name in STOP_SIGNALS}


def failure_text(code: int, output: str) -> str:
    """Return the reason of a failure: the exception or the last line of the output, and the exit code.

    A signal comes first: the last line says nothing of it.
    """
    found = last_traceback(output)
    last = last_line(found or output)
    if not last:
        return exit_text(code)
    return f"{exit_text(code)}. Last line: {last}" if _is_of_signal(code) else f"{last} ({exit_text(code)})"


def last_line(output: str) -> str:
    """Return the last line of output that is not empty."""
    lines = re.split(r"[\r\n]+", _plain(output).strip())
    return lines[-1].strip()[:_LONGEST_LAST_LINE]


def last_traceback(output: str) -> str | None:
    """Return the last traceback of Python in output, with those that led to it."""
    text = _plain(output).replace("\r\n", "\n")
    start = text.rfind(_TRACEBACK)
    if start < 0:
        return None
    end = _end_of_traceback(text, start)
    while text[:start].endswith(_CHAINED):
        before = text.rfind(_TRACEBACK, 0, start)
        if before < 0:
            break
        start = before
    return text[start:end].rstrip()


def _end_of_traceback(text: str, start: int) -> int:
    """Return the end of the traceback: frames are indented, and the exception's lines go on to an empty one."""
    place = text.find("\n", start) + 1
    for line in re.finditer(r".*\n?", text[place:]):
        if line[0][:1] not in (" ", "\t"):
            end = text.find("\n\n", place + line.start())
            return len(text) if end < 0 else end
    return len(text)


def usage_text(output: str) -> str:
    """Return the usage that a program printed, or the end of its output."""
    text = _plain(output).strip()
    starts = [found.start() for found in _USAGE.finditer(text)]
    lines = text[starts[-1] if starts else 0 :].strip().splitlines()
    return "\n".join(lines[-_MOST_USAGE_LINES:])


def _plain(text: str) -> str:
    return plain(text.encode("utf-8", "replace")).decode("utf-8", "replace")
