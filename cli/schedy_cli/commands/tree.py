"""`schedy tree`."""

import click

from schedy.escaping import printable
from schedy_cli.context import reader_for, settings_of
from schedy_cli.printing.tables import print_table
from schedy_cli.printing.tree import tree_rows
from schedy_cli.reading import find_experiment, jobs_by_age

_HEADER = ("job", "generation", "status", "quality", "changed")


@click.command("tree", epilog="Example: schedy tree Population")
@click.argument("name")
@click.pass_context
def tree_command(ctx: click.Context, name: str) -> None:
    """Print which jobs of the experiment NAME continue which, as a tree.

    A job that continues another stands below it. Where several continue the same, all but the last are branches.
    """
    with reader_for(settings_of(ctx)) as reader:
        experiment = find_experiment(reader, name)
        jobs = list(jobs_by_age(reader, experiment, statuses=[]))
    if not any(job.parent is not None for job in jobs):
        raise click.ClickException(f"No job of {printable(name)} continues another: `pbt` makes such jobs.")
    print_table(_HEADER, tree_rows(jobs), kept=("job",))
