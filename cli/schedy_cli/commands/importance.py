"""`schedy importance`."""

import click

from schedy.escaping import printable
from schedy.results.plots.choosing import make_plots
from schedy.results.plots.hyperparameters import Importance
from schedy.search.definition import read_definition
from schedy_cli.context import reader_for, settings_of
from schedy_cli.printing.messages import print_message
from schedy_cli.printing.tables import print_table
from schedy_cli.reading import find_experiment


@click.command("importance", epilog="Example: schedy importance MinimizeRandom")
@click.argument("name")
@click.pass_context
def importance_command(ctx: click.Context, name: str) -> None:
    """Print how much each hyperparameter of the experiment NAME matters alone, the most important first.

    It is the share of the variance of the ranks of the objective that the hyperparameter explains. `schedy plot NAME
    importance` draws the same.
    """
    with reader_for(settings_of(ctx)) as reader:
        experiment = find_experiment(reader, name)
        chosen = make_plots(reader.ask, experiment, read_definition(experiment.settings), ["importance"])
    for plot in chosen.plots:
        assert isinstance(plot, Importance)  # noqa: S101 - the only kind that was asked for
        if len(chosen.plots) > 1:
            click.echo(f"{printable(plot.title)}:")
        rows = [[printable(each), f"{share * 100:.1f} %"] for each, share in zip(plot.names, plot.shares, strict=True)]
        print_table(("hyperparameter", "share"), rows)
    for sentence in chosen.missing:
        print_message(sentence)
