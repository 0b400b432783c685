"""`schedy add`, `schedy set` and `schedy rm`."""

import difflib
import uuid
from typing import Any

import click

from schedy.messages import (
    AddExperiment,
    DeleteExperiment,
    DeleteJob,
    GetJobs,
    JobsAnswer,
    Limits,
    UpdateExperiment,
    check_experiment_name,
)
from schedy_cli.context import ask_first, find_experiment, session_and_reader, session_for, settings_of
from schedy_cli.limits import changed_limits, limit_options

_SCHEDULERS = ("manual",)


@click.command("add")
@click.argument("name")
@click.argument("scheduler")
@click.option("-s", "--status", type=click.Choice(["RUNNING", "DONE"]), default="RUNNING", show_default=True)
@limit_options
@click.pass_context
def add_command(ctx: click.Context, /, name: str, scheduler: str, status: str, **limits: Any) -> None:
    """Add the experiment NAME. SCHEDULER says where its jobs come from: `manual`, from `schedy push`."""
    check_experiment_name(name)
    if scheduler not in _SCHEDULERS:
        close = difflib.get_close_matches(scheduler, _SCHEDULERS, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else f" There is: {', '.join(_SCHEDULERS)}."
        raise click.UsageError(f"There is no scheduler {scheduler!r}.{hint}")
    change = AddExperiment.model_validate(
        {
            "request_id": uuid.uuid4().hex,
            "name": name,
            "scheduler": scheduler,
            "status": status,
            "limits": changed_limits(Limits(), limits) or Limits(),
        }
    )
    with session_for(settings_of(ctx)) as session:
        session.change(change)


@click.command("set")
@click.argument("name")
@click.option("-s", "--status", type=click.Choice(["RUNNING", "DONE"]), help="DONE: no more jobs begin.")
@limit_options
@click.pass_context
def set_command(ctx: click.Context, /, name: str, status: Any, **limits: Any) -> None:
    """Change the experiment NAME: its status, and what its jobs may cost.

    What is not given stays as it is. New limits hold for running jobs, too.
    """
    if status is None and changed_limits(Limits(), limits) is None:
        raise click.UsageError("Say what to change: --status, or a limit.")
    with session_and_reader(settings_of(ctx)) as (session, reader):
        experiment = find_experiment(reader, name)
        session.change(
            UpdateExperiment(
                request_id=uuid.uuid4().hex,
                experiment_uid=experiment.uid,
                status=status,
                limits=changed_limits(experiment.limits, limits),
            )
        )


@click.command("rm")
@click.argument("name")
@click.argument("job", required=False)
@click.option("-f", "--force", is_flag=True, help="Do not ask first.")
@click.pass_context
def rm_command(ctx: click.Context, name: str, job: str | None, force: bool) -> None:
    """Remove the experiment NAME with all its jobs, or one JOB of it.

    A worker that runs a removed job learns it with its next report, and goes on with the next job.
    """
    with session_and_reader(settings_of(ctx)) as (session, reader):
        experiment = find_experiment(reader, name)
        question = f"Remove the experiment {name} with {sum(experiment.job_counts.values())} job(s)?"
        if job is not None:
            answer = reader.ask(GetJobs(experiment_uid=experiment.uid, job_id=job))
            found = answer.jobs[0] if isinstance(answer, JobsAnswer) else None
            running = f" It is RUNNING on {found.worker}." if found and found.status == "RUNNING" else ""
            question = f"Remove job {job} of {name}?{running}"
        if not force:
            ask_first(question)
        if job is None:
            session.change(DeleteExperiment(request_id=uuid.uuid4().hex, experiment_uid=experiment.uid))
        else:
            session.change(DeleteJob(request_id=uuid.uuid4().hex, experiment_uid=experiment.uid, job_id=job))
