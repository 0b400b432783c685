"""`schedy pause`, `schedy resume`, `schedy cancel` and `schedy retry`."""

import itertools
import shlex
import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, get_args

import click
from pydantic import TypeAdapter, ValidationError

from schedy.errors import NotStoredYetError
from schedy.wire.answers import JobOutcome
from schedy.wire.base import FinalStatus, JobId
from schedy.wire.changes import CancelJobs, RetryJobs, UpdateExperiment
from schedy.wire.records import ExperimentRecord
from schedy_cli.commands.list import jobs_by_age
from schedy_cli.context import find_experiment, session_and_reader, settings_of
from schedy_cli.printing.jobs import printable

_JOBS_IN_A_MESSAGE = 500
_Kind = type[CancelJobs] | type[RetryJobs]
_WORDS: dict[_Kind, tuple[str, str]] = {
    CancelJobs: ("cancelled: ", "was not cancelled"),
    RetryJobs: ("", "was not queued again"),
}
_JOB_ID: TypeAdapter[str] = TypeAdapter(JobId)


@click.command("pause")
@click.argument("name")
@click.pass_context
def pause_command(ctx: click.Context, name: str) -> None:
    """Begin no more jobs of the experiment NAME; those that run go on.

    Workers that wait for a job go on waiting. Pausing twice is no error.
    """
    _set_paused(ctx, name, True)


@click.command("resume")
@click.argument("name")
@click.pass_context
def resume_command(ctx: click.Context, name: str) -> None:
    """Begin jobs of the paused experiment NAME again."""
    _set_paused(ctx, name, False)


def _set_paused(ctx: click.Context, name: str, paused: bool) -> None:
    with session_and_reader(settings_of(ctx)) as (session, reader):
        uid = find_experiment(reader, name).uid
        session.change(UpdateExperiment(request_id=uuid.uuid4().hex, experiment_uid=uid, paused=paused))


@click.command("cancel")
@click.argument("name")
@click.argument("jobs", metavar="JOB...", nargs=-1, required=True)
@click.pass_context
def cancel_command(ctx: click.Context, name: str, jobs: tuple[str, ...]) -> int:
    """End each JOB of the experiment NAME that nobody wants any more; it becomes PRUNED.

    A QUEUED job never runs. The worker of a RUNNING one is told, and may report once more; one that does not stop
    loses the job after a lease. Exit code 1 if a job is missing or has ended already; the others are cancelled.
    """
    with session_and_reader(settings_of(ctx)) as (session, reader):
        experiment = find_experiment(reader, name)
        _changed, left = _change_jobs(session, CancelJobs, experiment.uid, jobs)
    return 1 if left else 0


@click.command("retry")
@click.argument("name")
@click.argument("jobs", metavar="[JOB]...", nargs=-1)
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice(get_args(FinalStatus)),
    help="All jobs of this status; CRASHED if neither it nor a JOB is given. May be repeated.",
)
@click.pass_context
def retry_command(ctx: click.Context, name: str, jobs: tuple[str, ...], statuses: tuple[Any, ...]) -> int:
    """Queue jobs of the experiment NAME that have ended again, under their old ids.

    They begin anew, with as many attempts as a new job; what they had put is their job.previous_results. Exit code 1
    if a JOB is missing or has not ended; the others are queued.
    """
    if jobs and statuses:
        raise click.UsageError("Name jobs, or give --status, not both.")
    with session_and_reader(settings_of(ctx)) as (session, reader):
        experiment = find_experiment(reader, name)
        wanted = list(statuses or ["CRASHED"])
        ids = jobs or [job.job_id for job in jobs_by_age(reader, experiment, wanted)]
        if not ids:
            click.echo(f"{name} has no job that is {' or '.join(wanted)}; there is nothing to retry.", err=True)
            return 0
        changed, left = _change_jobs(session, RetryJobs, experiment.uid, ids)
    if changed:
        _warn_if_closed(experiment)
    return 1 if left else 0


def _warn_if_closed(experiment: ExperimentRecord) -> None:
    name = shlex.quote(experiment.name)
    if experiment.status == "DONE":
        click.echo(f"{experiment.name} is DONE: nothing runs until `schedy set {name} -s RUNNING`.", err=True)
    if experiment.paused:
        click.echo(f"{experiment.name} is paused: nothing runs until `schedy resume {name}`.", err=True)


def _change_jobs(session: Any, kind: _Kind, uid: str, ids: Sequence[str]) -> tuple[int, int]:
    """Change jobs and tell what became of each; return how many were changed and how many were not."""
    changed = left = 0
    for chunk in _chunks(dict.fromkeys(ids)):
        for outcome in _outcomes(session, kind, uid, chunk):
            _tell(outcome, kind)
            changed += outcome.changed
            left += not outcome.changed
    return changed, left


def _chunks(ids: Iterable[str]) -> Iterator[list[str]]:
    remaining = iter(ids)
    while chunk := list(itertools.islice(remaining, _JOBS_IN_A_MESSAGE)):
        yield chunk


def _outcomes(session: Any, kind: _Kind, uid: str, words: list[str]) -> Iterator[JobOutcome]:
    """Send one message; what nobody has answered in time is said and left out: the broker has it."""
    ids = [word for word in words if _is_job_id(word)]
    for word in words:
        if word not in ids:
            yield JobOutcome.model_construct(job_id=word, changed=False, detail="there is no such job.")
    if not ids:
        return
    try:
        answer = session.change(kind(request_id=uuid.uuid4().hex, experiment_uid=uid, job_ids=ids))
    except NotStoredYetError as error:
        click.echo(f"{len(ids)} job(s): {error}", err=True)
        return
    yield from answer.outcomes


def _is_job_id(word: str) -> bool:
    try:
        _JOB_ID.validate_python(word)
    except ValidationError:
        return False
    return True


def _tell(outcome: JobOutcome, kind: _Kind) -> None:
    done, not_done = _WORDS[kind]
    if outcome.changed:
        click.echo(f"{outcome.job_id}\t{done}{outcome.detail}")
    else:
        click.echo(f"{printable(outcome.job_id)} {not_done}: {outcome.detail}", err=True)
