"""`schedy push`."""

import click

from schedy.wire.base import check_experiment_name
from schedy_cli.context import settings_of
from schedy_cli.parsing.argv import PairsCommand, given_pairs, pairs_option
from schedy_cli.parsing.push_files import PUSHED_STATUSES, check_pushed_job
from schedy_cli.printing.text import JsonForm
from schedy_cli.pushing import push_file, push_one

HYPERPARAMETERS_OPTION = pairs_option(
    "-p",
    "--hyperparameters",
    name="hyperparameters",
    metavar="NAME VALUE ...",
    example="x 1 y 2",
    help_text="Hyperparameters, names and values in turn: -p x 1 opt adam.",
)
RESULTS_OPTION = pairs_option(
    "-r",
    "--results",
    name="results",
    metavar="NAME VALUE ...",
    example="loss 0.5 accuracy 0.9",
    help_text="Results that are already known, in the same form.",
)


@click.command("push", cls=PairsCommand, epilog="Example: schedy push MinimizeManual -p x 1 y 2")
@click.argument("name")
@HYPERPARAMETERS_OPTION
@RESULTS_OPTION
@click.option(
    "-s",
    "--status",
    default="QUEUED",
    show_default=True,
    callback=lambda _ctx, _option, word: word.upper(),
    metavar="STATUS",
    help=f"Status of the job: {', '.join(PUSHED_STATUSES[:-1])} or {PUSHED_STATUSES[-1]}.",
)
@click.option(
    "-q", "--quality", type=float, default=0.0, show_default=True, metavar="NUMBER", help="Quality of the job."
)
@click.option(
    "--from", "source", metavar="FILE", help="Push many jobs from FILE, JSON lines or CSV (-: standard input)."
)
@click.option("--json", "as_json", is_flag=True, help="Print the job as one line of JSON.")
@click.option("--nan", is_flag=True, help="With --json or --from, NaN and infinities are text, not null.")
@click.pass_context
def push_command(
    ctx: click.Context, name: str, *, status: str, quality: float, source: str | None, as_json: bool, nan: bool
) -> None:
    """Push a job to the experiment NAME, and print it once it is stored.

    Values are JSON or plain text. A line of a JSON lines file has "hyperparameters" and optionally "results",
    "status" and "quality"; a CSV file has a header with the names of hyperparameters, and result.NAME for results.

    If the results service does not answer within 10 seconds, the broker keeps the job until it does; a message on
    stderr says so, and the exit code is 0.
    """
    check_experiment_name(name)
    settings = settings_of(ctx)
    hyperparameters, results = given_pairs(ctx, "hyperparameters"), given_pairs(ctx, "results")
    if source is not None:
        if hyperparameters or results or status != "QUEUED" or quality or as_json:
            raise click.UsageError("--from takes everything from the file: leave out -p, -r, -s, -q and --json.")
        push_file(settings, name, source, nan_as_text=nan)
        return
    if nan and not as_json:
        raise click.UsageError("--nan applies to --json and --from: give one of them.")
    fields = {"hyperparameters": hyperparameters, "results": results, "status": status, "quality": quality}
    checked = check_pushed_job(fields, limit_bytes=settings.max_message_bytes)
    push_one(settings, name, checked, form=JsonForm.of(as_json=as_json, nan_as_text=nan))
