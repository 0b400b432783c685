"""Tables: aligned on a terminal, separated by tabs in a pipe."""

import itertools
import sys
from collections.abc import Iterable, Sequence

import click

from schedy_cli.printing.width import padded, width

_WIDEST_CELL = 40
_ROWS_MEASURED = 200


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table, row by row: in a pipe with tabs, so that `cut` and spreadsheets read it.

    On a terminal the first rows decide how wide the columns are.
    """
    if sys.stdout.isatty():
        _print_aligned(header, rows)
        return
    for row in itertools.chain([header], rows):
        click.echo("\t".join(row))


def _print_aligned(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    remaining = iter(rows)
    measured = list(itertools.islice(remaining, _ROWS_MEASURED))
    widths = [
        min(_WIDEST_CELL, max(width(row[column]) for row in [header, *measured])) for column in range(len(header))
    ]
    click.secho(_aligned(header, widths).rstrip(), bold=True)
    for row in itertools.chain(measured, remaining):
        click.echo(_aligned(row, widths).rstrip())


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(padded(cell, columns) for cell, columns in zip(row, widths, strict=True))
