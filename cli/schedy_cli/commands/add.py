"""`schedy add`."""

import uuid

import click

from schedy.search.algorithms import ALGORITHMS, MANUAL
from schedy.wire.base import EXPERIMENT_STATUSES, ExperimentStatus, check_experiment_name
from schedy.wire.changes import AddExperiment
from schedy.wire.values import checked_size
from schedy_cli.context import session_for, settings_of
from schedy_cli.interruption import OneChange, accounted, schedy_words
from schedy_cli.parsing.definition_files import DefinitionFile, read_definition_file
from schedy_cli.parsing.limits import (
    BudgetOptions,
    LimitOptions,
    absolute,
    budget_options,
    changed_limits,
    limit_options,
    parse_budget,
    parse_limits,
)
from schedy_cli.parsing.search_options import SearchOptions, merged_definition, parse_search, search_options
from schedy_cli.parsing.space_line import SpaceCommand, given_line

_EXAMPLE = """\b
Examples:
  schedy add MinimizeManual manual
  schedy add Tuned tpe --lr 'loguniform(1e-5, 0.1)' --batch-size 'choice(16, 32, 64)' \\
      --minimize loss --max-jobs 100 --pruner asha"""


_HELP = f"""Add the experiment NAME.

ALGORITHM makes its jobs: {", ".join(ALGORITHMS)}, or one of your own. With `manual` you push them: see `schedy push`.
Each hyperparameter of a search is an option with its distribution: --lr 'loguniform(1e-5, 0.1)'. --batch-size is named
batch_size; -p takes any name. There are uniform(LOW, HIGH), loguniform(LOW, HIGH), int(LOW, HIGH), quniform(LOW, HIGH,
STEP), normal(MEAN, STD), lognormal(MEAN, STD), choice(VALUE, VALUE, ...) and const(VALUE).

`schedy show --definition` prints a file for --from; options override it.
"""


@click.command("add", cls=SpaceCommand, help=_HELP, epilog=_EXAMPLE)
@click.argument("name")
@click.argument("algorithm", required=False)
@click.option(
    "-s",
    "--status",
    type=click.Choice(EXPERIMENT_STATUSES),
    default="RUNNING",
    show_default=True,
    help="Jobs of a DONE experiment are not started.",
)
@click.option(
    "--from",
    "source",
    metavar="FILE",
    help="Read the definition from FILE, JSON or .toml (-: standard input).",
)
@search_options
@budget_options
@limit_options
@click.pass_context
def add_command(
    ctx: click.Context,
    name: str,
    *,
    algorithm: str | None,
    status: ExperimentStatus,
    source: str | None,
    search: SearchOptions,
    budget: BudgetOptions,
    limits: LimitOptions,
) -> None:
    check_experiment_name(name)
    settings = settings_of(ctx)
    given = parse_search(search, given_line(ctx))
    file = DefinitionFile() if source is None else read_definition_file(source)
    scheduler = _scheduler(algorithm, file.scheduler)
    definition = merged_definition(
        scheduler, file.settings, {**given, **absolute(parse_budget(budget), file.settings)}
    ).as_json()
    checked_size(definition, limit_bytes=settings.max_message_bytes, what="settings of the experiment")
    change = AddExperiment(
        request_id=uuid.uuid4().hex,
        name=name,
        scheduler=scheduler,
        settings=definition,
        status=status,
        limits=changed_limits(file.limits, parse_limits(limits)),
    )
    one = OneChange(f"the experiment {name} was added", check=schedy_words("show", name))
    with accounted(one.account), session_for(settings) as session:
        one.send(session, change)


def _scheduler(algorithm: str | None, in_file: str | None) -> str:
    """Return the algorithm of the command line or the file. Raises click.UsageError for none, and for two."""
    if algorithm is not None and in_file is not None and algorithm != in_file:
        raise click.UsageError(f"The file has {in_file!r} and the command line {algorithm!r}. Remove one of them.")
    found = algorithm or in_file
    if not found:
        raise click.UsageError(f"Missing argument 'ALGORITHM'. Choose from {MANUAL}, {', '.join(ALGORITHMS)}.")
    return found
