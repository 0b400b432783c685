"""Tables: separated by tabs in a pipe; on a terminal aligned, and no wider than it."""

import itertools
import shutil
import sys
from collections.abc import Collection, Iterable, Sequence

import click

from schedy_cli.printing.width import cut, padded, width

_WIDEST_CELL = 40
_SHORT_CELL = 16
_NARROWEST_CELL = 8
_GAP = "  "
_ROWS_MEASURED = 1000


def print_table(
    header: Sequence[str], rows: Iterable[Sequence[str]], *, kept: Collection[str] = (), dull: Collection[str] = ()
) -> None:
    """Print a table, row by row: in a pipe with tabs, so that `cut` and spreadsheets read it.

    On a terminal the first rows decide how wide the columns are. Long cells are cut, and where there is still no room,
    columns from the right are left out, but for those of the headings `kept`. A column of the headings `dull` that
    has one value in all rows is said once, below.
    """
    if sys.stdout.isatty():
        _print_fitting(header, rows, kept=kept, dull=dull)
        return
    for row in itertools.chain([header], rows):
        click.echo("\t".join(row))


def _print_fitting(
    header: Sequence[str], rows: Iterable[Sequence[str]], *, kept: Collection[str], dull: Collection[str]
) -> None:
    remaining = iter(rows)
    measured = list(itertools.islice(remaining, _ROWS_MEASURED))
    following = next(remaining, None)
    if following is not None:  # nobody knows yet whether a column has one value
        remaining, dull = itertools.chain([following], remaining), ()
    constant = _constant(header, measured, dull)
    columns = [column for column in range(len(header)) if column not in constant]
    natural = {column: min(_WIDEST_CELL, max(width(row[column]) for row in [header, *measured])) for column in columns}
    widths = _fitted(natural, [column for column in columns if header[column] not in kept])
    click.secho(_aligned(header, widths), bold=True)
    for row in itertools.chain(measured, remaining):
        click.echo(_aligned(row, widths))
    _print_rest(header, constant, [column for column in columns if column not in widths])


def _constant(header: Sequence[str], rows: Sequence[Sequence[str]], dull: Collection[str]) -> dict[int, str]:
    """Return the columns with one value in several rows, and that."""
    if len(rows) < 2:
        return {}
    return {
        column: rows[0][column]
        for column, heading in enumerate(header)
        if heading in dull and all(row[column] == rows[0][column] for row in rows)
    }


def _fitted(natural: dict[int, int], optional: Sequence[int]) -> dict[int, int]:
    """Return the columns that are printed, with their widths: long cells are cut first, then columns go."""
    room = shutil.get_terminal_size().columns
    leaving = list(optional)
    columns = list(natural)
    while True:
        widths = _narrowed({column: natural[column] for column in columns}, room, _SHORT_CELL)
        if _whole(widths) <= room:
            return widths
        if not leaving:
            return _narrowed(widths, room, _NARROWEST_CELL)
        columns.remove(leaving.pop())


def _narrowed(widths: dict[int, int], room: int, narrowest: int) -> dict[int, int]:
    """Return the widths with the widest made narrower until all fit, but none narrower than that."""
    while _whole(widths) > room:
        widest = max(widths, key=lambda column: widths[column])
        if widths[widest] <= narrowest:
            break
        widths = {**widths, widest: widths[widest] - 1}
    return widths


def _whole(widths: dict[int, int]) -> int:
    return sum(widths.values()) + len(_GAP) * (len(widths) - 1)


def _aligned(row: Sequence[str], widths: dict[int, int]) -> str:
    return _GAP.join(padded(cut(row[column], columns), columns) for column, columns in widths.items()).rstrip()


def _print_rest(header: Sequence[str], constant: dict[int, str], left_out: Sequence[int]) -> None:
    """Say what is not in the table."""
    said = {column: value for column, value in constant.items() if value}
    if said:
        listed = ", ".join(f"{header[column]} {cut(value, _WIDEST_CELL)}" for column, value in said.items())
        click.secho(f"In all rows: {listed}.", dim=True)
    if left_out:
        listed = ", ".join(header[column] for column in left_out)
        click.secho(f"No room for: {listed}. A wider terminal or a pipe has all.", dim=True)
