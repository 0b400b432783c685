"""`schedy run`."""

import re
import shutil

import click

from schedy.settings import STOP_SIGNALS
from schedy.wire.base import check_experiment_name
from schedy_cli.context import settings_of
from schedy_cli.interruption import schedy_words
from schedy_cli.parsing.limits import BudgetOptions, LimitOptions, budget_options, limit_options
from schedy_cli.parsing.new_experiment import is_defined, parse_experiment, source_option
from schedy_cli.parsing.push_files import is_whole_search
from schedy_cli.parsing.search_options import SearchOptions, search_options
from schedy_cli.parsing.space_line import SpaceCommand, given_line
from schedy_cli.running.command_line import STYLES, CommandLine, Style
from schedy_cli.running.options import RunOptions

_EXAMPLE = """\b
Examples:
  schedy run Digits -j 4 -- python train.py
  schedy run Digits -- python train.py --lr {lr} -b {batch_size} --out {dir}
  schedy run Digits --lr 'loguniform(1e-4, 1)' --batch-size 'choice(16, 32, 64)' \\
      --maximize val_acc --max-jobs 40 --pruner asha -j 4 -- python train.py"""

_HELP = """Run a program as the worker of the experiment NAME, until no job is left.

The hyperparameters of each job are added to its command line, as --batch-size 32, or take the place of {batch_size}.
Results are read from its output: lines such as "epoch 3 val_acc 0.97", "val_acc=0.97" or JSON. A line with the
objective is a point of the learning curve; the last value is the result.

With ALGORITHM or an objective, and the options of `schedy add`, an experiment that is missing is added first.
"""


def _patterns(_ctx: click.Context, _option: click.Parameter, words: tuple[str, ...]) -> list[re.Pattern[str]]:
    patterns = []
    for word in words:
        try:
            pattern = re.compile(word)
        except re.error as error:
            raise click.BadParameter(f"{word!r} is no regular expression: {error}.") from None
        if not set(pattern.groupindex) - {"step"}:
            raise click.BadParameter(f"{word!r} has no named group. Write (?P<NAME>...) around the value of NAME.")
        patterns.append(pattern)
    return patterns


def _signal(_ctx: click.Context, _option: click.Parameter, words: tuple[str, ...]) -> list[str]:
    names = [word.upper().removeprefix("SIG") for word in words]
    for name in names:
        if name not in STOP_SIGNALS:
            raise click.BadParameter(f"{name!r} is none of {', '.join(STOP_SIGNALS)}.")
    return names


@click.command("run", cls=SpaceCommand, takes_program=True, help=_HELP, epilog=_EXAMPLE)
@click.argument("name")
@click.argument("algorithm", required=False)
@click.option("-j", "--jobs", type=click.IntRange(1, 1000), default=1, metavar="N", help="Run N trials at once.")
@click.option(
    "--style",
    type=click.Choice(STYLES),
    default="dash",
    help="How hyperparameters are passed: --a-b 1, --a_b 1, a_b=1, as variables, as JSON.",
)
@click.option(
    "--report",
    "patterns",
    multiple=True,
    callback=_patterns,
    metavar="REGEX",
    help="Read results from lines that match, by named groups (step: the step).",
)
@click.option(
    "--grace",
    type=click.FloatRange(0, 86_400),
    default=10.0,
    metavar="SECONDS",
    help="Seconds between SIGTERM and SIGKILL for a trial (default: 10).",
)
@click.option(
    "--stop-signal",
    "stop_signals",
    multiple=True,
    callback=_signal,
    metavar="NAME",
    help="Also stop on this signal, as USR1; repeatable.",
)
@click.option("--until-empty", is_flag=True, help="End when no job is queued, instead of waiting for more.")
@click.option("--verbose", is_flag=True, help="Print the output of the trials, each line with the job before it.")
@click.option("--try", "is_try", is_flag=True, help="Run one trial, print what was found, and change nothing.")
@source_option
@search_options
@budget_options
@limit_options
@click.pass_context
def run_command(
    ctx: click.Context,
    name: str,
    *,
    algorithm: str | None,
    jobs: int,
    style: Style,
    patterns: list[re.Pattern[str]],
    grace: float,
    stop_signals: list[str],
    until_empty: bool,
    verbose: bool,
    is_try: bool,
    source: str | None,
    search: SearchOptions,
    budget: BudgetOptions,
    limits: LimitOptions,
) -> int:
    from schedy_cli.running.experiment_run import ExperimentRun  # noqa: PLC0415 - imports the library
    from schedy_cli.running.trying import try_once  # noqa: PLC0415 - likewise

    check_experiment_name(name)
    settings = settings_of(ctx)
    program = given_line(ctx).program or []
    _check_program(program[0])
    new = None
    if is_defined(ctx, algorithm=algorithm, source=source, search=search, budget=budget, limits=limits):
        if source is not None and is_whole_search(source):
            words = schedy_words("add", name, "--from", source)
            raise click.UsageError(f"{source} may have jobs, too: add it by `{words}`, then run without --from.")
        new = parse_experiment(ctx, algorithm=algorithm, source=source, search=search, budget=budget, limits=limits)
    options = RunOptions(
        command=CommandLine(program, style),
        jobs=jobs,
        patterns=patterns,
        grace_seconds=grace,
        stop_signals=sorted({*settings.stop_signal_names, *stop_signals}),
        until_empty=until_empty,
        verbose=verbose,
    )
    if is_try:
        return try_once(settings, name, new, options)
    return ExperimentRun(settings, name, new, options).work()


def _check_program(program: str) -> None:
    """Raise click.UsageError for a program that cannot be started, unless a token stands in its name."""
    if "{" in program or "%" in program or shutil.which(program):
        return
    if shutil.which(program, mode=0):
        raise click.UsageError(
            f"{program} is not executable. Write its interpreter before it, as python {program}, or run chmod +x on it."
        )
    raise click.UsageError(f"There is no program {program!r}.")
