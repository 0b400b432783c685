"""`schedy retry`."""

import shlex
from typing import get_args

import click

from schedy.wire.base import FinalStatus
from schedy.wire.changes import RetryJobs
from schedy.wire.records import ExperimentRecord
from schedy_cli.changing import JobChanges
from schedy_cli.context import session_and_reader, settings_of
from schedy_cli.interruption import accounted
from schedy_cli.parsing.option_groups import StatusChoice
from schedy_cli.printing.messages import print_message
from schedy_cli.reading import find_experiment, ids_by_age


@click.command("retry", epilog="Example: schedy retry MinimizeManual --status CRASHED --status PRUNED")
@click.argument("name")
@click.argument("jobs", metavar="[JOB]...", nargs=-1)
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=StatusChoice(get_args(FinalStatus)),
    help="Retry all jobs of this status; repeatable (default without JOB: CRASHED).",
)
@click.pass_context
def retry_command(ctx: click.Context, name: str, *, jobs: tuple[str, ...], statuses: tuple[FinalStatus, ...]) -> int:
    """Queue finished jobs of the experiment NAME again, under their old ids.

    They start from the beginning, with as many attempts as a new job; their results so far become
    job.previous_results. The exit code is 1 if a JOB is missing or has not ended; the others are queued.
    """
    if jobs and statuses:
        raise click.UsageError("Give jobs or --status, not both.")
    with session_and_reader(settings_of(ctx)) as (session, reader):
        experiment = find_experiment(reader, name)
        wanted = statuses or ("CRASHED",)
        ids = jobs or ids_by_age(reader, experiment, statuses=wanted)
        if not ids:
            print_message(f"{name} has no {' or '.join(wanted)} job; there is nothing to retry.")
            return 0
        changes = JobChanges(session, RetryJobs, experiment, verb="queued again")
        with accounted(changes.account):
            changes.make(ids)
        if any(outcome.changed for outcome in changes.outcomes):
            _warn_if_closed(find_experiment(reader, name))  # as it is now: a retry starts an ended search again
    return 0 if all(outcome.changed for outcome in changes.outcomes) else 1


def _warn_if_closed(experiment: ExperimentRecord) -> None:
    name = shlex.quote(experiment.name)
    if experiment.status == "DONE":
        print_message(f"{experiment.name} is DONE: nothing runs until `schedy set {name} -s RUNNING`.")
    if experiment.paused:
        print_message(f"{experiment.name} is paused: nothing runs until `schedy resume {name}`.")
