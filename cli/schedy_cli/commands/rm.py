"""`schedy rm`."""

import uuid

import click

from schedy.wire.changes import DeleteExperiment, DeleteJob
from schedy.wire.records import ExperimentRecord
from schedy_cli.context import ask_first, session_and_reader, settings_of
from schedy_cli.interruption import OneChange, accounted, schedy_words
from schedy_cli.parsing.option_groups import FORCE_OPTION
from schedy_cli.printing.messages import print_message
from schedy_cli.reading import Reader, find_experiment, find_job

_MANY_JOBS = 10_000
"""What so many jobs leave takes the service about a second."""


@click.command("rm", epilog="Example: schedy rm MinimizeManual fVKGjg")
@click.argument("name")
@click.argument("job", required=False)
@FORCE_OPTION
@click.pass_context
def rm_command(ctx: click.Context, name: str, *, job: str | None, force: bool) -> None:
    """Remove the experiment NAME with all its jobs, or one JOB of it.

    The worker of a removed job learns of it with its next report, and continues with the next job.
    """
    what = f"the experiment {name}" if job is None else f"job {job} of {name}"
    check = schedy_words("show", name) if job is None else schedy_words("show", name, job)
    removal = OneChange(f"{what} was removed", check=check)
    with accounted(removal.account), session_and_reader(settings_of(ctx)) as (session, reader):
        experiment = find_experiment(reader, name)
        question = _question(reader, experiment, job)
        if not force:
            ask_first(question)
        if job is None:
            removal.send(session, DeleteExperiment(request_id=uuid.uuid4().hex, experiment_uid=experiment.uid))
            _tell_of_rest(experiment)
        else:
            removal.send(session, DeleteJob(request_id=uuid.uuid4().hex, experiment_uid=experiment.uid, job_id=job))


def _tell_of_rest(experiment: ExperimentRecord) -> None:
    jobs = sum(experiment.job_counts.values())
    if jobs >= _MANY_JOBS:
        print_message(
            f"{experiment.name} was removed, and its name is free. The results service goes on to delete what its"
            f" {jobs:,} jobs have left in the store, between its other work: `schedy status` says how many are left."
        )


def _question(reader: Reader, experiment: ExperimentRecord, job_id: str | None) -> str:
    """Return the question to ask before removal. Raises NotFoundError for a job that does not exist."""
    if job_id is None:
        return f"Remove the experiment {experiment.name} with {sum(experiment.job_counts.values())} job(s)?"
    job = find_job(reader, experiment, job_id)
    running = f" It is RUNNING on {job.worker}." if job.status == "RUNNING" else ""
    return f"Remove job {job_id} of {experiment.name}?{running}"
