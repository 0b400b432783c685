"""`schedy cancel`."""

import click

from schedy.wire.base import JobStatus
from schedy.wire.changes import CancelJobs
from schedy_cli.changing import JobChanges
from schedy_cli.context import session_and_reader, settings_of
from schedy_cli.interruption import accounted
from schedy_cli.parsing.option_groups import StatusChoice
from schedy_cli.printing.messages import print_message
from schedy_cli.reading import find_experiment, ids_by_age

_OPEN: tuple[JobStatus, ...] = ("QUEUED", "RUNNING")


@click.command("cancel", epilog="Example: schedy cancel MinimizeManual fVKGjg tKrwWQ")
@click.argument("name")
@click.argument("jobs", metavar="[JOB]...", nargs=-1)
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=StatusChoice(_OPEN),
    help="Cancel all jobs of this status instead; repeatable.",
)
@click.pass_context
def cancel_command(ctx: click.Context, name: str, *, jobs: tuple[str, ...], statuses: tuple[JobStatus, ...]) -> int:
    """Cancel queued or running jobs of the experiment NAME; they become PRUNED.

    A QUEUED job never runs. The worker of a RUNNING job is asked to stop, and may report once more; if it does not
    stop, it loses the job after its lease (30 s by default). The exit code is 1 if a JOB is missing or has ended
    already; the others are cancelled.
    """
    if bool(jobs) == bool(statuses):
        raise click.UsageError("Give the jobs to cancel, or their --status.")
    with session_and_reader(settings_of(ctx)) as (session, reader):
        experiment = find_experiment(reader, name)
        changes = JobChanges(session, CancelJobs, experiment, verb="cancelled", done="cancelled: ")
        # The newest first: workers take the oldest, so that few are begun meanwhile.
        ids = jobs or ids_by_age(reader, experiment, statuses=statuses)[::-1]
        if not ids:
            print_message(f"{name} has no {' or '.join(statuses)} job; there is nothing to cancel.")
        with accounted(changes.account):
            changes.make(ids)
    return 0 if statuses or all(outcome.changed for outcome in changes.outcomes) else 1
