"""`schedy down`."""

import signal

import click

from schedy_broker_setup.node.processes import wait_until_ended
from schedy_cli.context import settings_of
from schedy_cli.interruption import accounted
from schedy_cli.up.lock import AlreadyUpError, exclusive, stop_leftovers
from schedy_cli.up.run_record import RunRecord

_STOP_SECONDS = 90.0
_KILL_SECONDS = 5.0


@click.command("down", epilog="Example: schedy down")
@click.pass_context
def down_command(ctx: click.Context) -> None:
    """Stop what `schedy up` has started on this machine.

    The data stays. Workers continue with their jobs, and report once Schedy is up again.
    """
    settings = settings_of(ctx)
    record = RunRecord.load(settings.run_file)
    if record is not None and record.is_up:
        with accounted(str, nothing="What is stopping goes on stopping; run `schedy down` again to wait for it."):
            record.supervisor.send(signal.SIGTERM)
            if wait_until_ended([record.supervisor], timeout_seconds=_STOP_SECONDS):
                record.supervisor.send(signal.SIGKILL)
                wait_until_ended([record.supervisor], timeout_seconds=_KILL_SECONDS)
            stop_leftovers(settings)
        click.echo("Schedy is down; the data stays.")
        return
    try:
        with exclusive(settings):
            pass
    except AlreadyUpError:
        raise click.ClickException("Another `schedy up` is starting. Try again in a moment.") from None
    click.echo("Schedy was not up." if record is None else "Schedy is down; it had been killed before.")
