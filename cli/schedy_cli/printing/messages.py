"""Messages on stderr and lines of a log: nothing in them acts on the terminal, or passes for a line of its own."""

import logging

import click

from schedy.escaping import indented_lines, printable, printable_lines


def print_message(text: str) -> None:
    """Print a message on stderr, line by line, with the control characters escaped."""
    click.echo(printable_lines(text), err=True)


class EscapingFormatter(logging.Formatter):
    """Writes a record as one line, with the control characters in it escaped: names, reasons and routing keys come
    from others. The lines of a traceback follow, indented, so that none of them looks like a record."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = printable(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: "logging._SysExcInfoType") -> str:
        return indented_lines(super().formatException(ei))
