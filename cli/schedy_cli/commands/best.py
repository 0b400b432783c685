"""`schedy best`."""

import re

import click

from schedy.escaping import printable
from schedy.results.best import MOST_BEST, find_best
from schedy.results.options import option_words
from schedy.search.definition import read_definition
from schedy.wire.records import JobRecord
from schedy_cli.context import reader_for, settings_of
from schedy_cli.parsing.option_groups import JSON_OPTION
from schedy_cli.printing.best import best_paragraph, best_table
from schedy_cli.printing.jobs import job_json
from schedy_cli.printing.messages import print_message
from schedy_cli.printing.text import JsonForm
from schedy_cli.reading import find_experiment

_FRONT = 20
_SPLIT = re.compile(r"[\s*?\[\]\\]|^$")


@click.command("best", epilog="Example: schedy best Digits -n 5")
@click.argument("name")
@click.option(
    "-n",
    "count",
    type=click.IntRange(1, MOST_BEST),
    metavar="N",
    help="Print a table of the best N.",
)
@click.option("--args", "as_options", is_flag=True, help="Print only the hyperparameters, as options of a program.")
@JSON_OPTION
@click.pass_context
def best_command(
    ctx: click.Context, name: str, *, count: int | None, as_options: bool, as_json: JsonForm | None
) -> None:
    """Show the best job of the experiment NAME, and how to run it again.

    It is the best of the jobs that are DONE and keep the constraints. With several objectives, the jobs of the Pareto
    front are listed: none of all jobs is better by one objective and no worse by the others.
    """
    if as_options and (count is not None or as_json is not None):
        raise click.UsageError("--args prints one job: leave out -n and --json.")
    with reader_for(settings_of(ctx)) as reader:
        experiment = find_experiment(reader, name)
        definition = read_definition(experiment.settings)
        is_single = len(definition.objectives) == 1
        if as_options and len(definition.objectives) > 1:
            raise click.ClickException(
                f"{name} has several objectives, and no job is the best by all: `schedy best {name}` lists the front."
            )
        limit = count or (1 if is_single else _FRONT)
        answer = find_best(reader.ask, experiment.uid, experiment.name, definition, limit=limit)
    if as_options:
        click.echo(_options(answer.jobs[0]))
    elif as_json is not None:
        for job in answer.jobs:
            click.echo(job_json(job, as_json))
    elif count is None and is_single:
        click.echo(best_paragraph(experiment, definition, answer.jobs[0]))
    else:
        best_table(definition, answer.jobs)
        if answer.more and len(answer.jobs) < MOST_BEST and not is_single:
            print_message(f"These are {len(answer.jobs)} of the front; -n {MOST_BEST} prints more.")


def _options(job: JobRecord) -> str:
    """Return the options of a job as a shell splits them. Raises click.ClickException if it would split a value."""
    words = option_words(job.hyperparameters)
    for word in words:
        if _SPLIT.search(word):
            raise click.ClickException(
                f"A shell would split or change {printable(repr(word))} in $(...). Use --json instead."
            )
    return " ".join(words)
