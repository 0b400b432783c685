"""`schedy cancel`."""

import click

from schedy.wire.changes import CancelJobs
from schedy_cli.changing import JobChanges
from schedy_cli.context import session_and_reader, settings_of
from schedy_cli.interruption import accounted
from schedy_cli.reading import find_experiment


@click.command("cancel", epilog="Example: schedy cancel MinimizeManual fVKGjg tKrwWQ")
@click.argument("name")
@click.argument("jobs", metavar="JOB...", nargs=-1, required=True)
@click.pass_context
def cancel_command(ctx: click.Context, name: str, *, jobs: tuple[str, ...]) -> int:
    """Cancel queued or running jobs of the experiment NAME; they become PRUNED.

    A QUEUED job never runs. The worker of a RUNNING job is asked to stop, and may report once more; if it does not
    stop, it loses the job after its lease (30 s by default). The exit code is 1 if a job is missing or has ended
    already; the others are cancelled.
    """
    with session_and_reader(settings_of(ctx)) as (session, reader):
        changes = JobChanges(session, CancelJobs, find_experiment(reader, name), verb="cancelled", done="cancelled: ")
        with accounted(changes.account):
            changes.make(jobs)
    return 0 if all(outcome.changed for outcome in changes.outcomes) else 1
