"""`schedy broker`: the exchanges, queues and users on a RabbitMQ broker that others run."""

import json
import os
from pathlib import Path

import click

from schedy.errors import BrokerError
from schedy.escaping import printable
from schedy.settings import Settings
from schedy.tls import TlsFiles
from schedy_broker_setup.connecting import addresses_of
from schedy_broker_setup.declaring import setup
from schedy_broker_setup.definitions_file import definitions
from schedy_broker_setup.doctor.check import Status
from schedy_broker_setup.management import Management
from schedy_broker_setup.permissions import Role, users_from
from schedy_broker_setup.users import create_users
from schedy_cli.context import settings_of
from schedy_cli.interruption import accounted
from schedy_cli.policy_check import policies
from schedy_cli.printing.messages import print_message

_PASSWORDS = ", ".join(role.password_variable for role in Role)


@click.group("broker", epilog="Example: schedy broker setup")
def broker_command() -> None:
    """Set up exchanges, queues and users on an existing RabbitMQ broker."""


@broker_command.command(
    "setup",
    epilog="Example: schedy broker setup --url amqp://admin:PASSWORD@mq.lab:5672/%2F",
    short_help="Create exchanges, queues and users.",
)
@click.option(
    "--url", metavar="URL", help="Broker URL of an administrator or the service user (default: as configured)."
)
@click.option(
    "--management-url",
    envvar="SCHEDY_MANAGEMENT_URL",
    show_envvar=True,
    metavar="URL",
    help="Also create users, through the management API at URL.",
)
@click.pass_context
def setup_command(ctx: click.Context, *, url: str | None, management_url: str | None) -> None:
    """Create the exchanges and queues of Schedy on the broker, and print what was missing.

    Safe to repeat: what exists stays as it is, with its messages.

    URLs are amqp://USER:PASSWORD@HOST:5672/VHOST and, for --management-url, http://ADMIN:PASSWORD@HOST:15672. Users
    get their passwords from SCHEDY_SERVICE_PASSWORD, SCHEDY_WORKER_PASSWORD and SCHEDY_PUSHER_PASSWORD; a user whose
    variable is not set is not created.
    """
    settings = settings_of(ctx, broker_url=url)
    with accounted(str, nothing="Some of it may exist by now. Run the command again: it is safe to repeat."):
        _set_up(settings, management_url)
    for check in policies(settings, management_url=management_url):
        if check.status in {Status.WARNING, Status.FAILED}:
            print_message(f"Warning: {check.name}: {check.detail} {check.remedy}")


def _set_up(settings: Settings, management_url: str | None) -> None:
    broker_url, tls = settings.broker_url, settings.broker_tls
    try:
        users = _set_up_users(management_url, tls, vhost=addresses_of(broker_url)[0].vhost) if management_url else []
        _print(users)  # at once: the next step may fail
        topology = setup(broker_url, tls=tls)
        _print(topology)
    except BrokerError as error:
        raise click.ClickException(str(error)) from error
    if not users + topology:
        click.echo("Nothing to do: everything exists.")


def _print(changes: list[str]) -> None:
    for change in changes:
        click.echo(printable(change))


def _set_up_users(management_url: str, tls: TlsFiles, *, vhost: str) -> list[str]:
    users = users_from(os.environ)
    if not users:
        raise click.UsageError(f"--management-url creates users: set passwords in {_PASSWORDS}.")
    return create_users(Management(management_url, tls=tls), users, vhost=vhost)


@broker_command.command(
    "definitions",
    epilog="Example: schedy broker definitions -o definitions.json",
    short_help="Print the same as a RabbitMQ definitions file.",
)
@click.option(
    "--vhost",
    default="/",
    show_default=True,
    metavar="VHOST",
    help="Virtual host of the exchanges, queues and permissions.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to FILE, readable only by you (default: standard output).",
)
def definitions_command(*, vhost: str, output: Path | None) -> None:
    """Print the exchanges, queues and users of Schedy as a RabbitMQ definitions file.

    A node imports it when it first starts. The file has the users whose passwords are in SCHEDY_SERVICE_PASSWORD,
    SCHEDY_WORKER_PASSWORD and SCHEDY_PUSHER_PASSWORD, as salted hashes.
    """
    document = json.dumps(definitions(users_from(os.environ), vhost=vhost), indent=2)
    if output is None:
        click.echo(document)
        return
    with os.fdopen(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(document + "\n")
