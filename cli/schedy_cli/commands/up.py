"""`schedy up`."""

from typing import Any

import click

from schedy.settings import Settings
from schedy_cli.context import settings_of
from schedy_cli.printing.messages import print_message
from schedy_cli.up.background import start_in_background
from schedy_cli.up.description import description, shell_command
from schedy_cli.up.lock import AlreadyUpError, exclusive
from schedy_cli.up.run_record import RunRecord
from schedy_cli.up.supervisor import Supervisor


@click.command("up", epilog="Example: schedy up --detach")
@click.option("--detach", is_flag=True, help="Run in the background; return once everything is ready.")
@click.option("--private", is_flag=True, help="Start a private RabbitMQ node even if a broker answers already.")
@click.option("--listen", metavar="ADDR", help="Accept workers from other machines on ADDR, an IP address of this one.")
@click.pass_context
def up_command(ctx: click.Context, *, detach: bool, private: bool, listen: str | None) -> None:
    """Start a broker, the store and the results service on this machine.

    The broker is the one that answers at the configured URL, else a private RabbitMQ node. Ctrl-C or `schedy down`
    stops what this command has started; the data stays.
    """
    settings = settings_of(ctx)
    try:
        if detach:
            record = start_in_background(_arguments(ctx, private=private, listen=listen), settings)
            click.echo(description(record, settings))
            click.echo(f"Stop it with `{shell_command(settings)} down`.")
            return
        with exclusive(settings):
            _supervise(settings_of(ctx), private=private, listen=listen)
    except AlreadyUpError as error:
        print_message(str(error))
        running = RunRecord.load(settings.run_file)
        if running is not None:
            click.echo(description(running, settings))


def _supervise(settings: Settings, *, private: bool, listen: str | None) -> None:
    def _announce(record: RunRecord) -> None:
        click.echo(description(record, settings))
        click.echo("Stop it with Ctrl-C, or with `schedy down`.")

    Supervisor(settings, private=private, listen=listen, say=print_message).run(_announce)


def _arguments(ctx: click.Context, *, private: bool, listen: str | None) -> list[str]:
    """Return the arguments of the same command without --detach."""
    options: dict[str, Any] = ctx.find_root().params
    arguments = [
        word
        for name in ("config", "data_dir")
        if options.get(name)
        for word in (f"--{name.replace('_', '-')}", options[name])
    ]
    return [*arguments, "up", *(["--private"] if private else []), *(["--listen", listen] if listen else [])]
