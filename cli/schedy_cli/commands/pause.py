"""`schedy pause`."""

import click

from schedy_cli.changing import set_paused
from schedy_cli.context import settings_of


@click.command("pause", epilog="Example: schedy pause MinimizeManual")
@click.argument("name")
@click.pass_context
def pause_command(ctx: click.Context, name: str) -> None:
    """Stop starting jobs of the experiment NAME.

    Running jobs continue, and waiting workers keep waiting. Pausing a paused experiment is not an error.
    """
    set_paused(settings_of(ctx), name, paused=True)
