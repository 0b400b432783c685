"""`schedy compare`."""

import click

from schedy.wire.requests import GetOverview
from schedy_cli.context import reader_for, settings_of
from schedy_cli.printing.experiments import experiments_beside
from schedy_cli.printing.tables import print_table
from schedy_cli.reading import find_experiment


@click.command("compare", epilog="Example: schedy compare Wine Wine2")
@click.argument("names", metavar="NAME NAME...", nargs=-1, required=True)
@click.pass_context
def compare_command(ctx: click.Context, names: tuple[str, ...]) -> None:
    """Print experiments beside each other: their best jobs, how many have ended, and how long a job takes."""
    if len(names) < 2:
        raise click.UsageError("Name two experiments or more; `schedy best NAME` shows the best job of one.")
    with reader_for(settings_of(ctx)) as reader:
        uids = [find_experiment(reader, name).uid for name in names]
        header, rows = experiments_beside([reader.ask(GetOverview(experiment_uid=uid)) for uid in uids])
    print_table(header, rows, kept=header[:1])
