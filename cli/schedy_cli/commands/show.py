"""`schedy show`."""

import shlex

import click

from schedy.search.algorithms import DEFAULT
from schedy.wire.records import ExperimentRecord
from schedy.wire.requests import GetCurve, GetJobs, GetMadeBy, GetOutput
from schedy_cli.context import reader_for, settings_of
from schedy_cli.parsing.option_groups import JSON_OPTION
from schedy_cli.printing.curves import curve_lines
from schedy_cli.printing.experiments import definition_text, experiment_json, experiment_paragraph
from schedy_cli.printing.jobs import beside, job_json, job_paragraph
from schedy_cli.printing.tables import print_table
from schedy_cli.printing.text import JsonForm
from schedy_cli.reading import Reader, find_experiment, find_job


@click.command("show", epilog="Example: schedy show MinimizeManual fVKGjg")
@click.argument("name")
@click.argument("jobs", metavar="[JOB]...", nargs=-1)
@click.option("-v", "--verbose", is_flag=True, help="Also print attempt, worker, times and events.")
@click.option("--definition", "as_definition", is_flag=True, help="Print a file for `schedy add --from`.")
@JSON_OPTION
@click.pass_context
def show_command(
    ctx: click.Context,
    name: str,
    *,
    jobs: tuple[str, ...],
    verbose: bool,
    as_definition: bool,
    as_json: JsonForm | None,
) -> None:
    """Show the experiment NAME, one JOB of it, or several beside each other."""
    if as_definition and (jobs or verbose or as_json is not None):
        raise click.UsageError("--definition prints an experiment, as JSON: leave out JOB, -v and --json.")
    if verbose and len(jobs) > 1:
        raise click.UsageError("-v prints one JOB.")
    with reader_for(settings_of(ctx)) as reader:
        experiment = find_experiment(reader, name)
        if as_definition:
            click.echo(definition_text(experiment))
        elif len(jobs) > 1 and as_json is None:
            header, rows = beside([find_job(reader, experiment, job) for job in jobs])
            print_table(header, rows, kept=header[:1])
        elif jobs:
            for job in jobs:
                _show_job(reader, experiment, job, verbose=verbose, as_json=as_json)
        elif as_json is not None:
            click.echo(experiment_json(experiment, as_json))
        else:
            asks_several = experiment.made and experiment.scheduler == DEFAULT
            made_by = reader.ask(GetMadeBy(experiment_uid=experiment.uid)).algorithms if asks_several else []
            click.echo(experiment_paragraph(experiment, verbose=verbose, made_by=made_by))


def _show_job(
    reader: Reader, experiment: ExperimentRecord, job_id: str, *, verbose: bool, as_json: JsonForm | None
) -> None:
    answer = reader.ask(GetJobs(experiment_uid=experiment.uid, job_id=job_id))
    job = answer.jobs[0]
    ended = reader.ask(GetOutput(experiment_uid=experiment.uid, job_id=job_id)) if job.error is not None else None
    traceback = None if ended is None else ended.traceback
    if as_json is not None:
        click.echo(job_json(job, as_json, answer.events, traceback=traceback))
        return
    if traceback is not None and not verbose:
        traceback = f"(`schedy output {shlex.quote(experiment.name)} {job_id}` prints it)"
    click.echo(job_paragraph(job, verbose=verbose, events=answer.events, traceback=traceback))
    for line in curve_lines(reader.ask(GetCurve(experiment_uid=experiment.uid, job_id=job_id)).points):
        click.echo(line)
