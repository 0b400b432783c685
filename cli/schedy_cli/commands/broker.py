"""`schedy broker`: what Schedy needs on a RabbitMQ node that somebody else runs."""

import json
import os
from pathlib import Path

import click

from schedy.errors import BrokerError
from schedy.tls import TlsFiles
from schedy_broker_setup.connecting import addresses_of
from schedy_broker_setup.definitions_file import definitions
from schedy_broker_setup.management import Management
from schedy_broker_setup.permissions import Role, users_from
from schedy_broker_setup.topology import setup
from schedy_broker_setup.users import create_users
from schedy_cli.context import settings_of

PASSWORDS = ", ".join(role.password_variable for role in Role)


@click.group("broker")
def broker_command() -> None:
    """Set up exchanges, queues and users on a RabbitMQ node."""


@broker_command.command("setup")
@click.option(
    "--url",
    metavar="URL",
    help="The broker, as an administrator or as the service user: amqp://USER:PASSWORD@HOST:5672/VHOST. "
    "Unset: the broker of the settings (SCHEDY_BROKER_URL).",
)
@click.option(
    "--management-url",
    envvar="SCHEDY_MANAGEMENT_URL",
    metavar="URL",
    help="Make the users too, through the management API: http://ADMIN:PASSWORD@HOST:15672, with their "
    f"passwords in {PASSWORDS}; a user without one is left out. [env: SCHEDY_MANAGEMENT_URL]",
)
@click.pass_context
def setup_command(ctx: click.Context, url: str | None, management_url: str | None) -> None:
    """Make what Schedy needs on the broker and print what was missing.

    Safe to repeat: what exists stays as it is, with its messages.
    """
    settings = settings_of(ctx, **({"broker_url": url} if url else {}))
    url, tls = settings.broker_url, settings.broker_tls
    try:
        users = _set_up_users(management_url, tls, vhost=addresses_of(url)[0].vhost) if management_url else []
        _print(users)  # at once: what follows may fail
        topology = setup(url, tls=tls)
        _print(topology)
    except BrokerError as error:
        raise click.ClickException(str(error)) from error
    if not users + topology:
        click.echo("Nothing to do: all is there.")


def _print(changes: list[str]) -> None:
    for change in changes:
        click.echo(change)


def _set_up_users(management_url: str, tls: TlsFiles, *, vhost: str) -> list[str]:
    users = users_from(os.environ)
    if not users:
        raise click.UsageError(f"--management-url makes users: set passwords in {PASSWORDS}.")
    return create_users(Management(management_url, tls=tls), users, vhost=vhost)


@broker_command.command("definitions")
@click.option("--vhost", default="/", show_default=True, help="The vhost to put everything in.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to this file, readable by you alone, instead of to the standard output.",
)
def definitions_command(vhost: str, output: Path | None) -> None:
    """Print what Schedy needs as a RabbitMQ definitions file.

    For a node that imports it when it first starts. It has the users whose passwords are in
    SCHEDY_SERVICE_PASSWORD, SCHEDY_WORKER_PASSWORD and SCHEDY_PUSHER_PASSWORD, as salted hashes.
    """
    document = json.dumps(definitions(users_from(os.environ), vhost=vhost), indent=2)
    if output is None:
        click.echo(document)
        return
    with os.fdopen(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(document + "\n")
