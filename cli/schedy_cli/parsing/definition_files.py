"""The files of `schedy add NAME --from FILE`, as `schedy show NAME --definition` prints them."""

import json
import sys
from pathlib import Path

import click

from schedy.errors import InvalidValueError
from schedy.search.errors import message_of, neutrally
from schedy.search.written import WrittenDefinition, read_written
from schedy_cli.parsing.push_files import definition_of, is_whole_search


def read_definition_file(source: str) -> WrittenDefinition:
    """Read TOML if the name ends in .toml, of .jsonl the first line, else JSON; ``-`` is the standard input, as JSON.

    Raises click.ClickException if the file cannot be read, click.UsageError if it is not a definition.
    """
    text = _definition_in(source) if is_whole_search(source) else _text(source)
    try:
        return read_written(text, "TOML" if source.lower().endswith(".toml") else "JSON")
    except InvalidValueError as error:
        name = "The standard input" if source == "-" else source
        raise click.UsageError(f"{name}: {message_of(error, neutrally)}") from None


def _definition_in(source: str) -> str:
    """Return the definition in the first line of a file with a whole search, as JSON."""
    try:
        with Path(source).open(encoding="utf-8-sig") as lines:
            definition = definition_of(lines.readline())
    except OSError as error:
        raise click.ClickException(f"{source} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise click.ClickException(f"{source} cannot be read: {error}. Write it in UTF-8.") from None
    if definition is None:
        raise click.UsageError(
            f"{source} has no definition in its first line. `schedy export NAME FILE.jsonl --definition` writes such a"
            " file; jobs alone are pushed by `schedy push`."
        )
    return json.dumps(definition)


def _text(source: str) -> str:
    try:
        found = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
        return found.decode("utf-8-sig")
    except OSError as error:
        raise click.ClickException(f"{source} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise click.ClickException(f"{source} cannot be read: {error}. Write it in UTF-8.") from None
