"""Messages on stderr and lines of a log: nothing in them acts on the terminal, or passes for a line of its own."""

import logging
import shlex

import click

from schedy.escaping import indented_lines, printable, printable_lines

_options: list[str] = []


def name_options(config: str | None, data_dir: str | None) -> None:
    """Have the commands that messages name carry the options that were given before the command in this call."""
    given = {"--config": config, "--data-dir": data_dir}
    _options[:] = [word for option, value in given.items() if value for word in (option, shlex.quote(value))]


def with_options(text: str) -> str:
    """Return a message whose commands, in backquotes, are those to type here; see `name_options`."""
    return text.replace("`schedy ", f"`{' '.join(['schedy', *_options])} ")


def print_message(text: str) -> None:
    """Print a message on stderr, line by line, with the control characters escaped."""
    click.echo(printable_lines(with_options(text)), err=True)


class EscapingFormatter(logging.Formatter):
    """Writes a record as one line, with the control characters in it escaped: names, reasons and routing keys come
    from others. The lines of a traceback follow, indented, so that none of them looks like a record."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = printable(with_options(record.message))
        return super().formatMessage(record)

    def formatException(self, ei: "logging._SysExcInfoType") -> str:
        return indented_lines(super().formatException(ei))
