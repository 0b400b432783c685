"""`schedy completion`."""

import click
from click.shell_completion import get_completion_class

from schedy_cli.completion import SHELLS, VARIABLE


@click.command("completion", epilog="Example: schedy completion bash")
@click.argument("shell", metavar="SHELL", type=click.Choice(SHELLS))
@click.pass_context
def completion_command(ctx: click.Context, *, shell: str) -> None:
    """Print the script with which SHELL completes words: bash, zsh or fish.

    It completes commands, options, experiments, jobs, fields and more. Add the line of your shell to its file:

    \b
      ~/.bashrc:                   eval "$(schedy completion bash)"
      ~/.zshrc, after compinit:    eval "$(schedy completion zsh)"
      ~/.config/fish/config.fish:  schedy completion fish | source

    New shells have it then.
    """
    found = get_completion_class(shell)
    if found is not None:
        click.echo(found(ctx.find_root().command, {}, "schedy", VARIABLE).source())
