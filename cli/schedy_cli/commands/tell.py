"""`schedy tell`."""

import click

from schedy.wire.base import check_experiment_name
from schedy_cli.commands.push import HYPERPARAMETERS_OPTION, RESULTS_OPTION
from schedy_cli.context import settings_of
from schedy_cli.parsing.argv import PairsCommand, given_pairs
from schedy_cli.parsing.push_files import check_pushed_job
from schedy_cli.pushing import push_one


@click.command("tell", cls=PairsCommand, epilog="Example: schedy tell MinimizeRandom -p x 1 y 2 -r result 5")
@click.argument("name")
@HYPERPARAMETERS_OPTION
@RESULTS_OPTION
@click.pass_context
def tell_command(ctx: click.Context, name: str) -> None:
    """Store a result that was found elsewhere as a job of the experiment NAME that is DONE.

    A search learns from it as from its own jobs. What to try next: `schedy ask`.
    """
    check_experiment_name(name)
    settings = settings_of(ctx)
    results = given_pairs(ctx, "results")
    if not results:
        raise click.UsageError("Give the results: -r NAME VALUE.")
    fields = {"hyperparameters": given_pairs(ctx, "hyperparameters"), "results": results, "status": "DONE"}
    push_one(settings, name, check_pushed_job(fields, limit_bytes=settings.max_message_bytes), form=None)
