"""`schedy add` and `schedy rm`."""

import difflib
import sys
import uuid

import click

from schedy.messages import (
    AddExperiment,
    DeleteExperiment,
    DeleteJob,
    GetJobs,
    JobsAnswer,
    check_experiment_name,
)
from schedy_cli.context import find_experiment, reader_for, session_for, settings_of

_SCHEDULERS = ("manual",)


@click.command("add")
@click.argument("name")
@click.argument("scheduler")
@click.option("-s", "--status", type=click.Choice(["RUNNING", "DONE"]), default="RUNNING", show_default=True)
@click.pass_context
def add_command(ctx: click.Context, name: str, scheduler: str, status: str) -> None:
    """Add the experiment NAME. SCHEDULER says where its jobs come from: `manual`, from `schedy push`."""
    check_experiment_name(name)
    if scheduler not in _SCHEDULERS:
        close = difflib.get_close_matches(scheduler, _SCHEDULERS, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else f" There is: {', '.join(_SCHEDULERS)}."
        raise click.UsageError(f"There is no scheduler {scheduler!r}.{hint}")
    change = AddExperiment.model_validate(
        {"request_id": uuid.uuid4().hex, "name": name, "scheduler": scheduler, "status": status}
    )
    with session_for(settings_of(ctx)) as session:
        session.change(change)


@click.command("rm")
@click.argument("name")
@click.argument("job", required=False)
@click.option("-f", "--force", is_flag=True, help="Do not ask first.")
@click.pass_context
def rm_command(ctx: click.Context, name: str, job: str | None, force: bool) -> None:
    """Remove the experiment NAME with all its jobs, or one JOB of it.

    A worker that runs a removed job learns it with its next report, and goes on with the next job.
    """
    settings = settings_of(ctx)
    with session_for(settings) as session:
        with reader_for(settings) as reader:
            experiment = find_experiment(reader, name)
            question = f"Remove the experiment {name} with {sum(experiment.job_counts.values())} job(s)?"
            if job is not None:
                answer = reader.ask(GetJobs(experiment_uid=experiment.uid, job_id=job))
                found = answer.jobs[0] if isinstance(answer, JobsAnswer) else None
                running = f" It is RUNNING on {found.worker}." if found and found.status == "RUNNING" else ""
                question = f"Remove job {job} of {name}?{running}"
        if not force:
            _ask(question)
        if job is None:
            session.change(DeleteExperiment(request_id=uuid.uuid4().hex, experiment_uid=experiment.uid))
        else:
            session.change(DeleteJob(request_id=uuid.uuid4().hex, experiment_uid=experiment.uid, job_id=job))


def _ask(question: str) -> None:
    if not sys.stdin.isatty():
        raise click.UsageError(f"{question} There is no terminal to ask at; --force removes without asking.")
    click.confirm(question, abort=True, err=True)
