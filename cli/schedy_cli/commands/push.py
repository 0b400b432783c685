"""`schedy push`."""

import contextlib
import sys
from collections.abc import Callable, Iterator

import click

from schedy.errors import NotStoredYetError
from schedy.pushing import CheckedJob, push_chunks
from schedy.settings import Settings
from schedy.wire.base import check_experiment_name
from schedy_cli.context import session_for, settings_of
from schedy_cli.parsing.argv import PairsCommand, given_pairs, pairs_option
from schedy_cli.parsing.option_groups import JSON_OPTION
from schedy_cli.parsing.push_files import PUSHED_STATUSES, check_pushed_job, open_push_file, read_jobs
from schedy_cli.printing.jobs import job_json, job_paragraph
from schedy_cli.printing.messages import print_message
from schedy_cli.printing.text import JsonForm


@click.command("push", cls=PairsCommand, epilog="Example: schedy push MinimizeManual -p x 1 y 2")
@click.argument("name")
@pairs_option(
    "-p",
    "--hyperparameters",
    name="hyperparameters",
    help_text="Hyperparameters, names and values in turn: -p x 1 opt adam.",
)
@pairs_option("-r", "--results", name="results", help_text="Results that are already known, in the same form.")
@click.option(
    "-s",
    "--status",
    default="QUEUED",
    show_default=True,
    metavar="STATUS",
    help=f"Status of the job: {', '.join(PUSHED_STATUSES[:-1])} or {PUSHED_STATUSES[-1]}.",
)
@click.option(
    "-q", "--quality", type=float, default=0.0, show_default=True, metavar="NUMBER", help="Quality of the job."
)
@click.option(
    "--from", "source", metavar="FILE", help="Push many jobs from FILE, JSON lines or CSV (-: standard input)."
)
@JSON_OPTION
@click.pass_context
def push_command(
    ctx: click.Context, name: str, *, status: str, quality: float, source: str | None, as_json: JsonForm | None
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
        if hyperparameters or results or status != "QUEUED" or quality or as_json is not None:
            raise click.UsageError("--from takes everything from the file: leave out -p, -r, -s, -q and --json.")
        _push_file(settings, name, source)
        return
    fields = {"hyperparameters": hyperparameters, "results": results, "status": status, "quality": quality}
    _push_one(settings, name, check_pushed_job(fields, limit_bytes=settings.max_message_bytes), as_json=as_json)


def _push_one(settings: Settings, name: str, new: CheckedJob, *, as_json: JsonForm | None) -> None:
    with session_for(settings) as session:
        try:
            for _chunk, answer in push_chunks(session, name, None, [new]):
                (job,) = answer.jobs
                click.echo(job_paragraph(job) if as_json is None else job_json(job, as_json))
        except NotStoredYetError as error:
            print_message(str(error))


def _push_file(settings: Settings, name: str, source: str) -> None:
    """Check every line before the first job is sent, then push with a progress bar."""
    limit_bytes = settings.max_message_bytes
    with open_push_file(source) as file:
        total = sum(1 for _ in read_jobs(file, limit_bytes=limit_bytes))
        if total == 0:
            raise click.UsageError(f"There are no jobs in {source}.")
        with session_for(settings) as session, _progress(total) as advance:
            stored = 0
            try:
                for chunk, answer in push_chunks(session, name, None, read_jobs(file, limit_bytes=limit_bytes)):
                    stored += len(chunk)
                    click.echo("\n".join(job.job_id for job in answer.jobs))
                    advance(len(chunk))
            except NotStoredYetError as error:
                print_message(f"{stored} of {total} jobs are stored. {error}")


@contextlib.contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on stderr where that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _count: None
        return
    with click.progressbar(length=total, label="Pushing", file=sys.stderr) as bar:
        yield bar.update
