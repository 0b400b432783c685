"""`schedy push`."""

import contextlib
from collections.abc import Generator, Iterable
from typing import TYPE_CHECKING

import click

from schedy.errors import BrokerError, NotStoredYetError, ServiceUnavailableError
from schedy.pushing import CheckedJob, PushEnd, push_chunks
from schedy.search.pushed import PushedJobs
from schedy.settings import Settings
from schedy.wire.answers import PushAnswer
from schedy.wire.base import check_experiment_name
from schedy.wire.changes import NewJob
from schedy.wire.requests import GetExperiments
from schedy_cli.context import session_for, settings_of
from schedy_cli.interruption import accounted, schedy_words
from schedy_cli.parsing.argv import PairsCommand, given_pairs, pairs_option
from schedy_cli.parsing.push_files import PUSHED_STATUSES, PushFile, check_pushed_job, open_push_file
from schedy_cli.printing.jobs import job_json, job_paragraph
from schedy_cli.printing.messages import print_message
from schedy_cli.printing.progress import progress
from schedy_cli.printing.text import JsonForm

if TYPE_CHECKING:
    from schedy.worker.session import Session

_PATIENCE_SECONDS = 3.0
"""Time for reading the experiment before a file is pushed."""
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
        _push_file(settings, name, source, nan_as_text=nan)
        return
    if nan and not as_json:
        raise click.UsageError("--nan applies to --json and --from: give one of them.")
    fields = {"hyperparameters": hyperparameters, "results": results, "status": status, "quality": quality}
    checked = check_pushed_job(fields, limit_bytes=settings.max_message_bytes)
    push_one(settings, name, checked, form=JsonForm.of(as_json=as_json, nan_as_text=nan))


def push_one(settings: Settings, name: str, new: CheckedJob, *, form: JsonForm | None) -> None:
    """Push a job, and print it once it is stored."""
    push = _Push(name, total=1)
    with accounted(push.account), session_for(settings) as session:
        try:
            for _chunk, answer in push.chunks(session, [new]):
                (job,) = answer.jobs
                click.echo(job_paragraph(job) if form is None else job_json(job, form))
                if not job.hyperparameters:
                    print_message("The job has no hyperparameters; -p gives them.")
        except NotStoredYetError as error:
            print_message(str(error))


def _push_file(settings: Settings, name: str, source: str, *, nan_as_text: bool) -> None:
    """Check every line before the first job is sent, then push with a progress bar."""
    with open_push_file(source, limit_bytes=settings.max_message_bytes, nan_as_text=nan_as_text) as file:
        total = sum(1 for _ in file.jobs())
        if total == 0:
            raise click.UsageError(f"There are no jobs in {source}.")
        if file.running_lines:
            print_message(f"RUNNING in the file, pushed as QUEUED: {len(file.running_lines)} job(s).")
        push = _Push(name, total=total)
        with accounted(push.account), session_for(settings) as session, progress("Pushing", total) as advance:
            _check_lines(session, name, file)
            try:
                with contextlib.closing(push.chunks(session, file.jobs())) as chunks:
                    for chunk, answer in chunks:
                        click.echo("\n".join(job.job_id for job in answer.jobs))
                        advance(len(chunk))
            except NotStoredYetError as error:
                print_message(f"{push.stored} of {total} jobs are stored. {error}")


def _check_lines(session: "Session", name: str, file: PushFile) -> None:
    """Raise click.UsageError for a line that the experiment would refuse; without an answer it will check by itself."""
    try:
        (experiment,) = session.read(GetExperiments(name=name), patience_seconds=_PATIENCE_SECONDS).experiments
    except (ServiceUnavailableError, BrokerError):
        return
    pushed = PushedJobs.of(experiment)
    if pushed is not None:
        for _job in file.jobs(pushed):
            pass


class _Push:
    """A push of many jobs, of which it knows how many are stored."""

    def __init__(self, name: str, *, total: int) -> None:
        self._name = name
        self._total = total
        self._end = PushEnd()
        self.stored = 0

    def chunks(
        self, session: "Session", jobs: Iterable[CheckedJob]
    ) -> Generator[tuple[list[NewJob], PushAnswer], None, None]:
        """Push the jobs; yield each chunk with its answer."""
        with contextlib.closing(push_chunks(session, self._name, None, jobs, end=self._end)) as pushed:
            for chunk, answer in pushed:
                self.stored += len(chunk)
                for warning in answer.warnings:
                    print_message(warning)
                yield chunk, answer

    def account(self) -> str:
        """Return what was done, and what may yet be done, for `accounted`."""
        if not self.stored and not self._end.sent:
            return ""
        text = f"{self.stored} of {self._total} job(s) are stored."
        if not self._end.sent:
            return f"{text} No other will be."
        newest = schedy_words("list", self._name, "-d", "--limit", str(self._end.sent))
        return (
            f"{text} {self._end.sent} more may be stored, now or once the service has them: look with `{newest}`"
            " before you push them again. No other will be."
        )
