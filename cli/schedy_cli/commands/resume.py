"""`schedy resume`."""

import click

from schedy_cli.changing import set_paused
from schedy_cli.context import settings_of


@click.command("resume", epilog="Example: schedy resume MinimizeManual")
@click.argument("name")
@click.pass_context
def resume_command(ctx: click.Context, name: str) -> None:
    """Resume the paused experiment NAME.

    Resuming an experiment that is not paused is not an error.
    """
    set_paused(settings_of(ctx), name, paused=False)
