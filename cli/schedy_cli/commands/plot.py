"""`schedy plot`."""

import io
import re
import shutil
import sys
from pathlib import Path

import click

from schedy.escaping import printable
from schedy.results.overview import ended_jobs
from schedy.results.packages import needed
from schedy.results.plots.choosing import KINDS, Chosen, make_plots
from schedy.search.definition import read_definition
from schedy.wire.base import JOB_STATUSES
from schedy.wire.records import ExperimentRecord
from schedy_cli.context import reader_for, settings_of
from schedy_cli.exporting.files import new_file
from schedy_cli.printing.messages import print_message
from schedy_cli.printing.plots import plot_lines
from schedy_cli.reading import find_experiment

_FORMATS = ("html", "png", "svg")
_COLUMNS_IN_A_PIPE = 80
_MARKS = {"html": b'<meta name="generator" content="Schedy">', "png": b"Software\0Schedy", "svg": b"<dc:title>Schedy<"}
"""What is near the beginning of a file that Schedy has written."""


@click.command("plot", epilog="Example: schedy plot Digits history -o digits.png")
@click.argument("name")
@click.argument("kind", required=False, type=click.Choice(KINDS), metavar=f"[{'|'.join(KINDS)}]")
@click.option("-o", "--output", metavar="FILE", help="Write FILE.html, .png or .svg (default: NAME.html here).")
@click.option("--terminal", is_flag=True, help="Draw in the terminal.")
@click.option("--force", is_flag=True, help="Replace a file that Schedy has not written.")
@click.pass_context
def plot_command(
    ctx: click.Context, name: str, kind: str | None, *, output: str | None, terminal: bool, force: bool
) -> None:
    """Draw plots of the experiment NAME: one kind, or all, into a file whose path is printed.

    A page of HTML is complete in itself: it opens without a network, and axes can be zoomed and brushed.
    """
    if terminal and output is not None:
        raise click.UsageError("--terminal writes no file: leave out -o.")
    path = _path(name, kind, output)
    form = path.suffix.removeprefix(".").lower()
    if form not in _FORMATS:
        raise click.UsageError(
            f"{printable(str(path))} ends with none of {', '.join(f'.{each}' for each in _FORMATS)}."
        )
    if not terminal:
        _check_packages(form)
        _check_free(path, form, force=force)
    with reader_for(settings_of(ctx)) as reader:
        experiment = find_experiment(reader, name)
        definition = read_definition(experiment.settings)
        chosen = make_plots(reader.ask, experiment, definition, KINDS if kind is None else [kind])
    if terminal:
        _draw(chosen)
    else:
        content = _content(experiment, chosen, form)
        with new_file(str(path), replace=True) as file:
            file.write(content)
        click.echo(printable(str(path)))
    for sentence in chosen.missing:
        print_message(sentence)


def _path(name: str, kind: str | None, output: str | None) -> Path:
    if output is not None:
        return Path(output)
    safe = re.sub(r"[^\w.+-]", "_", name).lstrip(".-")
    return Path(f"{safe or 'plot'}{f'-{kind}' if kind else ''}.html")


def _check_packages(form: str) -> None:
    if form == "html":
        needed("plotly", what="A page of plots", extra="plot")
    else:
        needed("matplotlib.figure", what="A picture of plots", extra="plot")


def _check_free(path: Path, form: str, *, force: bool) -> None:
    """Raise click.ClickException for a file that may not be replaced."""
    try:
        if path.is_dir():
            raise click.ClickException(f"{printable(str(path))} is a folder. Name a file with -o.")
        if force or not path.exists():
            return
        with path.open("rb") as file:
            is_ours = _MARKS[form] in file.read(4096)
    except OSError as error:
        raise _fault(path, error) from None
    if not is_ours:
        raise click.ClickException(
            f"{printable(str(path))} exists, and Schedy has not written it. --force replaces it; -o names another."
        )


def _content(experiment: ExperimentRecord, chosen: Chosen, form: str) -> bytes:
    if form == "html":
        from schedy.results.plots.page import page  # noqa: PLC0415 - of the extra `plot`

        counts = experiment.job_counts
        each = ", ".join(f"{counts[status]:,} {status}" for status in JOB_STATUSES if counts.get(status))
        sentences = [f"{experiment.scheduler}; {ended_jobs(experiment):,} jobs have ended ({each}).", *chosen.missing]
        return page(experiment.name, chosen.plots, sentences).encode()
    from schedy.results.plots.matplotlib import save  # noqa: PLC0415 - of the extra `plot`

    file = io.BytesIO()
    save(chosen.plots, file, form)
    return file.getvalue()


def _fault(path: Path, error: OSError) -> click.ClickException:
    return click.ClickException(f"{printable(str(path))} cannot be written: {error.strerror}.")


def _draw(chosen: Chosen) -> None:
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else _COLUMNS_IN_A_PIPE
    for number, plot in enumerate(chosen.plots):
        if number:
            click.echo()
        for line in plot_lines(plot, columns):
            click.echo(line)
