"""`schedy status`."""

import functools

import click

from schedy.urls import without_password
from schedy.wire.requests import GetExperiments, GetRemoved, pages
from schedy.worker.undelivered import kept_files, named
from schedy_cli.context import broker_origin, session_for, settings_of
from schedy_cli.up.description import description
from schedy_cli.up.run_record import RunRecord

_PATIENCE_SECONDS = 3.0


@click.command("status", epilog="Example: schedy status")
@click.option("-v", "--verbose", is_flag=True, help="Show RabbitMQ's own pages, too.")
@click.pass_context
def status_command(ctx: click.Context, *, verbose: bool) -> None:
    """Show what runs on this machine, and check that the results service answers.

    The exit code is 1 if it does not.
    """
    settings = settings_of(ctx)
    record = RunRecord.load(settings.run_file)
    if record is not None and record.is_up:
        click.echo(description(record, settings, origin=broker_origin(ctx), verbose=verbose))
    else:
        broker = without_password(settings.broker_url)
        click.echo(f"`schedy up` does not run here. The configured broker is {broker}.")
    with session_for(settings) as session:
        read = functools.partial(session.read, patience_seconds=_PATIENCE_SECONDS)
        count = sum(len(page.experiments) for page in pages(read, GetExperiments(limit=1000)))
        removed = read(GetRemoved()).experiments
    click.echo(f"The results service answers. Experiments: {count}.")
    for experiment in removed:
        what = f"what its {experiment.jobs:,} jobs have left" if experiment.jobs else "the rest of it"
        click.echo(f"{experiment.name} was removed; {what} is being deleted from the store.")
    waiting = [job for file in kept_files(settings) for job in file.jobs]
    if waiting:
        click.echo(f"Results that were not delivered wait here: {named(waiting)}. See `schedy doctor`.")
