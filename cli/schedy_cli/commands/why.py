"""`schedy why`."""

import click

from schedy.results.why import why_lines
from schedy.wire.requests import GetWhy
from schedy_cli.context import reader_for, settings_of
from schedy_cli.parsing.option_groups import JSON_OPTION
from schedy_cli.printing.text import JsonForm, json_line
from schedy_cli.reading import find_experiment, find_job


@click.command("why", epilog="Example: schedy why MinimizeRandom fVKGjg")
@click.argument("name")
@click.argument("job")
@JSON_OPTION
@click.pass_context
def why_command(ctx: click.Context, name: str, *, job: str, as_json: JsonForm | None) -> None:
    """Explain how the search of the experiment NAME has come to a JOB.

    Which algorithm has made it, from how many jobs, what was expected of it, and from which jobs it continues.
    """
    with reader_for(settings_of(ctx)) as reader:
        experiment = find_experiment(reader, name)
        found = find_job(reader, experiment, job)
        why = reader.ask(GetWhy(experiment_uid=experiment.uid, job_id=job))
    if as_json is not None:
        click.echo(json_line({"id": job, **why.model_dump(exclude={"kind"})}, as_json))
        return
    for line in why_lines(experiment, found, why):
        click.echo(line)
