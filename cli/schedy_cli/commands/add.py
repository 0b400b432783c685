"""`schedy add`."""

import click

from schedy.search.algorithms import ALGORITHMS, DEFAULT
from schedy.wire.base import EXPERIMENT_STATUSES, ExperimentStatus, check_experiment_name
from schedy_cli.context import session_for, settings_of
from schedy_cli.interruption import OneChange, accounted, schedy_words
from schedy_cli.parsing.limits import BudgetOptions, LimitOptions, budget_options, limit_options
from schedy_cli.parsing.new_experiment import parse_experiment, source_option
from schedy_cli.parsing.option_groups import StatusChoice
from schedy_cli.parsing.push_files import is_whole_search
from schedy_cli.parsing.search_options import SearchOptions, search_options
from schedy_cli.parsing.space_line import SpaceCommand
from schedy_cli.pushing import check_rest, push_rest

_EXAMPLE = """\b
Examples:
  schedy add MinimizeManual manual
  schedy add Tuned --lr 'loguniform(1e-5, 0.1)' --batch-size 'choice(16, 32, 64)' \\
      --minimize loss --max-jobs 100 --pruner asha"""


_HELP = f"""Add the experiment NAME.

ALGORITHM makes its jobs: {", ".join(ALGORITHMS)}, or one of your own. With --minimize or --maximize it may be left out,
and is {DEFAULT}. With `manual` you push the jobs: see `schedy push`.
Each hyperparameter of a search is an option with its distribution: --lr 'loguniform(1e-5, 0.1)'. --batch-size is named
batch_size; -p takes any name. There are uniform(LOW, HIGH), loguniform(LOW, HIGH), int(LOW, HIGH), quniform(LOW, HIGH,
STEP), normal(MEAN, STD), lognormal(MEAN, STD), choice(VALUE, VALUE, ...), ordinal(VALUE, VALUE, ...)
and const(VALUE).

`schedy show --definition` prints a file for --from; options override it. `schedy export --definition` writes one with
the jobs, which are pushed then.
"""


@click.command("add", cls=SpaceCommand, help=_HELP, epilog=_EXAMPLE)
@click.argument("name")
@click.argument("algorithm", required=False)
@click.option(
    "-s",
    "--status",
    type=StatusChoice(EXPERIMENT_STATUSES),
    default="RUNNING",
    show_default=True,
    help="Jobs of a DONE experiment are not started.",
)
@source_option
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
    new = parse_experiment(ctx, algorithm=algorithm, source=source, search=search, budget=budget, limits=limits)
    has_jobs = source is not None and is_whole_search(source)
    if has_jobs:
        check_rest(settings, str(source), new)
    change = new.creation(name, status=status, limit_bytes=settings.max_message_bytes)
    one = OneChange(f"the experiment {name} was added", check=schedy_words("show", name))
    with accounted(one.account), session_for(settings) as session:
        one.send(session, change)
    if has_jobs:
        push_rest(settings, name, str(source))
