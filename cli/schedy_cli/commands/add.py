"""`schedy add`, `schedy set` and `schedy rm`."""

import uuid
from typing import Any

import click

from schedy.search.checks import changed_definition
from schedy.search.definition import read_definition
from schedy.wire.base import check_experiment_name
from schedy.wire.changes import AddExperiment, DeleteExperiment, DeleteJob, UpdateExperiment
from schedy.wire.records import ExperimentRecord, Limits
from schedy.wire.requests import GetJobs
from schedy.wire.values import checked_size
from schedy_cli.context import ask_first, find_experiment, session_and_reader, session_for, settings_of
from schedy_cli.parsing.argv import ThreesCommand
from schedy_cli.parsing.definition_files import read_definition_file
from schedy_cli.parsing.limits import budget_options, changed_limits, changed_settings, limit_options
from schedy_cli.parsing.search_options import laid_down, search_options, told


@click.command("add", cls=ThreesCommand)
@click.argument("name")
@click.argument("algorithm", required=False)
@click.option("-s", "--status", type=click.Choice(["RUNNING", "DONE"]), default="RUNNING", show_default=True)
@click.option(
    "--from",
    "source",
    metavar="FILE",
    help="Read what is not told here from a JSON or TOML file, as show --definition prints; - is the standard input.",
)
@search_options
@budget_options
@limit_options
@click.pass_context
def add_command(
    ctx: click.Context, /, name: str, algorithm: str | None, status: str, source: str | None, **options: Any
) -> None:
    """Add the experiment NAME. ALGORITHM says where its jobs come from.

    With `manual` that is `schedy push`; a search (random, grid, sobol, tpe, cmaes, nsga2, gp, pbt) makes them itself,
    of hyperparameters that stand behind it in threes: x normal '{"mean": 0, "std": 5}' y const 1.
    """
    check_experiment_name(name)
    settings = settings_of(ctx)
    given = {**told(ctx, options), **changed_settings(options)}
    content = {} if source is None else read_definition_file(source)
    limits = content.pop("limits", Limits())
    scheduler = _scheduler(algorithm, content.pop("scheduler", None))
    definition = laid_down(scheduler, content, given).as_json()
    checked_size(definition, limit_bytes=settings.max_message_bytes, what="settings of the experiment")
    change = AddExperiment.model_validate(
        {
            "request_id": uuid.uuid4().hex,
            "name": name,
            "scheduler": scheduler,
            "settings": definition,
            "status": status,
            "limits": changed_limits(limits, options) or limits,
        }
    )
    with session_for(settings) as session:
        session.change(change)


def _scheduler(algorithm: str | None, in_file: str | None) -> str:
    """Return the algorithm that the command line or the file names. Raises click.UsageError for none, or for two."""
    if algorithm is None and in_file is None:
        raise click.UsageError("Missing argument 'ALGORITHM': manual, or an algorithm, as random.")
    if algorithm is not None and in_file is not None and algorithm != in_file:
        raise click.UsageError(f"The file says {in_file!r} and the command line {algorithm!r}. Leave one out.")
    return algorithm or in_file or ""


@click.command("set")
@click.argument("name")
@click.option("-s", "--status", type=click.Choice(["RUNNING", "DONE"]), help="DONE: no more jobs begin.")
@budget_options
@limit_options
@click.pass_context
def set_command(ctx: click.Context, /, name: str, status: Any, **options: Any) -> None:
    """Change the experiment NAME: its status, what its jobs may cost, and how many a search makes.

    What is not given stays as it is. New limits hold for running jobs, too.
    """
    changes = changed_settings(options)
    if status is None and not changes and changed_limits(Limits(), options) is None:
        raise click.UsageError("Say what to change: --status, or a limit.")
    with session_and_reader(settings_of(ctx)) as (session, reader):
        experiment = find_experiment(reader, name)
        session.change(
            UpdateExperiment(
                request_id=uuid.uuid4().hex,
                experiment_uid=experiment.uid,
                status=status,
                settings=_changed_settings(experiment, changes) if changes else None,
                limits=changed_limits(experiment.limits, options),
            )
        )


def _changed_settings(experiment: ExperimentRecord, changes: dict[str, Any]) -> dict[str, Any]:
    before = read_definition(experiment.settings)
    return changed_definition(experiment.scheduler, before, changes).as_json()


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
            found = reader.ask(GetJobs(experiment_uid=experiment.uid, job_id=job)).jobs[0]
            running = f" It is RUNNING on {found.worker}." if found.status == "RUNNING" else ""
            question = f"Remove job {job} of {name}?{running}"
        if not force:
            ask_first(question)
        if job is None:
            session.change(DeleteExperiment(request_id=uuid.uuid4().hex, experiment_uid=experiment.uid))
        else:
            session.change(DeleteJob(request_id=uuid.uuid4().hex, experiment_uid=experiment.uid, job_id=job))
