"""`schedy up`."""

import contextlib
from typing import Any
from urllib.parse import urlsplit

import click

from schedy.settings import Settings
from schedy_cli.context import broker_origin, settings_of
from schedy_cli.printing.messages import print_message
from schedy_cli.up.background import start_in_background
from schedy_cli.up.broker_choice import BrokerOptions
from schedy_cli.up.description import description, shell_command
from schedy_cli.up.lock import AlreadyUpError, exclusive
from schedy_cli.up.run_record import RunRecord
from schedy_cli.up.supervisor import Supervisor
from schedy_store.schema.engine import Store


@click.command("up", epilog="Example: schedy up --detach")
@click.option("--detach", is_flag=True, help="Run in the background; return once everything is ready.")
@click.option("--private", is_flag=True, help="Start a private RabbitMQ node even if a broker answers already.")
@click.option("--listen", metavar="ADDR", help="Accept workers from other machines on ADDR, an IP address of this one.")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    metavar="PORT",
    help="AMQP port of the private node (default: as last time, else 5672 if it is free).",
)
@click.option("--migrate", is_flag=True, help="Upgrade a store of an older version first; SQLite gets a backup.")
@click.pass_context
def up_command(
    ctx: click.Context, *, detach: bool, private: bool, listen: str | None, port: int | None, migrate: bool
) -> None:
    """Start a broker, the store and the results service on this machine.

    The broker is the one whose URL is configured. Without a URL it is the private RabbitMQ node of the data folder, if
    there is one, else a broker that answers on this machine, else a new private node. Ctrl-C or `schedy down` stops
    what this command has started; the data stays.
    """
    settings = settings_of(ctx)
    options = BrokerOptions(private=private, listen=listen, port=port)
    origin = broker_origin(ctx)
    try:
        if detach:
            record = start_in_background(_arguments(ctx, options, migrate=migrate), settings)
            click.echo(description(record, settings, origin=origin))
            click.echo(f"Stop it with `{shell_command(settings)} down`.")
            return
        with exclusive(settings):
            _supervise(settings_of(ctx), options, migrate=migrate, origin=origin)
    except AlreadyUpError as error:
        running = RunRecord.load(settings.run_file)
        if running is not None:
            _check_options(running, options, migrate=migrate)
            print_message(str(error))
            click.echo(description(running, settings, origin=origin))
        else:
            print_message(str(error))


def _check_options(running: RunRecord, options: BrokerOptions, *, migrate: bool) -> None:
    """Raise click.ClickException if what runs is other than what the options ask for."""
    if options.listen is not None and running.listen != options.listen:
        fault = f"does not listen on {options.listen}"
    elif options.want_private and not running.has_own_broker:
        fault = "uses a broker that is not a private one"
    elif options.port is not None and urlsplit(running.broker_url).port != options.port:
        fault = f"has port {urlsplit(running.broker_url).port}"
    elif migrate and _is_older(running.store_url):
        fault = "its store is of an older version"
    else:
        return
    raise click.ClickException(f"Schedy is already up, and {fault}. Stop it with `schedy down`, then run this again.")


def _is_older(store_url: str) -> bool:
    with contextlib.closing(Store.open(store_url, read_only=True)) as store:
        return store.is_older()


def _supervise(settings: Settings, options: BrokerOptions, *, migrate: bool, origin: str | None) -> None:
    def _announce(record: RunRecord) -> None:
        click.echo(description(record, settings, origin=origin))
        click.echo(f"Stop it with Ctrl-C, or with `{shell_command(settings)} down`.")

    Supervisor(settings, options, migrate=migrate, origin=origin, say=print_message).run(_announce)


def _arguments(ctx: click.Context, options: BrokerOptions, *, migrate: bool) -> list[str]:
    """Return the arguments of the same command without --detach."""
    before: dict[str, Any] = ctx.find_root().params
    arguments = [
        word
        for name in ("config", "data_dir")
        if before.get(name)
        for word in (f"--{name.replace('_', '-')}", before[name])
    ]
    private = ["--private"] if options.private else []
    listen = ["--listen", options.listen] if options.listen else []
    port = ["--port", str(options.port)] if options.port else []
    return [*arguments, "up", *private, *listen, *port, *(["--migrate"] if migrate else [])]
