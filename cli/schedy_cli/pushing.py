"""Pushing jobs from the command line: one, or those of a file."""

import contextlib
from collections.abc import Generator, Iterable
from typing import TYPE_CHECKING

import click

from schedy.errors import BrokerError, NotStoredYetError, ServiceUnavailableError
from schedy.pushing import CheckedJob, PushEnd, push_chunks
from schedy.search.pushed import PushedJobs
from schedy.settings import Settings
from schedy.wire.answers import PushAnswer
from schedy.wire.changes import NewJob
from schedy.wire.requests import GetExperiments
from schedy_cli.context import session_for
from schedy_cli.interruption import accounted, schedy_words
from schedy_cli.parsing.new_experiment import NewExperiment
from schedy_cli.parsing.push_files import PushFile, open_push_file
from schedy_cli.printing.jobs import job_json, job_paragraph
from schedy_cli.printing.messages import print_message
from schedy_cli.printing.progress import progress
from schedy_cli.printing.text import JsonForm

if TYPE_CHECKING:
    from schedy.worker.session import Session

_PATIENCE_SECONDS = 3.0
"""Time for reading the experiment before a file is pushed."""


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


def check_rest(settings: Settings, source: str, new: NewExperiment) -> None:
    """Raise click.UsageError for a job behind the definition in a file that the new experiment would refuse."""
    pushed = PushedJobs(new.scheduler, new.definition)
    with open_push_file(source, limit_bytes=settings.max_message_bytes, nan_as_text=True) as file:
        for _job in file.jobs(pushed):
            pass


def push_rest(settings: Settings, name: str, source: str) -> None:
    """Push the jobs behind the definition in a file with a whole search, if there are any."""
    push_file(settings, name, source, nan_as_text=True, may_be_empty=True)


def push_file(settings: Settings, name: str, source: str, *, nan_as_text: bool, may_be_empty: bool = False) -> None:
    """Check every line before the first job is sent, then push with a progress bar, and print the ids."""
    with open_push_file(source, limit_bytes=settings.max_message_bytes, nan_as_text=nan_as_text) as file:
        total = sum(1 for _ in file.jobs())
        if total == 0 and may_be_empty:
            return
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
