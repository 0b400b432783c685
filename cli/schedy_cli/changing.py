"""Changes that two commands make: pausing an experiment, and changing jobs by their ids."""

import itertools
import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import click
from pydantic import TypeAdapter, ValidationError

from schedy.errors import NotStoredYetError
from schedy.settings import Settings
from schedy.wire.answers import JobOutcome
from schedy.wire.base import JobId
from schedy.wire.changes import CancelJobs, RetryJobs, UpdateExperiment
from schedy_cli.context import session_and_reader
from schedy_cli.printing.messages import print_message
from schedy_cli.printing.text import printable
from schedy_cli.reading import find_experiment

if TYPE_CHECKING:
    from schedy.worker.session import Session

_Kind = type[CancelJobs] | type[RetryJobs]

_JOBS_IN_A_MESSAGE = 500
_JOB_ID: TypeAdapter[str] = TypeAdapter(JobId)


def set_paused(settings: Settings, name: str, *, paused: bool) -> None:
    """Pause or resume the experiment of that name. Raises NotFoundError."""
    with session_and_reader(settings) as (session, reader):
        uid = find_experiment(reader, name).uid
        session.change(UpdateExperiment(request_id=uuid.uuid4().hex, experiment_uid=uid, paused=paused))


def change_jobs(
    session: "Session", kind: _Kind, experiment_uid: str, ids: Iterable[str], *, done: str, not_done: str
) -> list[JobOutcome]:
    """Send changes of jobs, and print the outcome of each: `done` before the detail, or `not_done` on stderr.

    Return the outcomes; those that the service has not answered in time are missing: the broker has them.
    """
    outcomes: list[JobOutcome] = []
    for chunk in _chunks(dict.fromkeys(ids)):
        for outcome in _change_chunk(session, kind, experiment_uid, chunk):
            if outcome.changed:
                click.echo(f"{outcome.job_id}\t{printable(done + outcome.detail)}")
            else:
                print_message(f"{outcome.job_id} {not_done}: {outcome.detail}")
            outcomes.append(outcome)
    return outcomes


def _chunks(ids: Iterable[str]) -> Iterator[list[str]]:
    remaining = iter(ids)
    while chunk := list(itertools.islice(remaining, _JOBS_IN_A_MESSAGE)):
        yield chunk


def _change_chunk(session: "Session", kind: _Kind, experiment_uid: str, words: Sequence[str]) -> Iterator[JobOutcome]:
    ids = [word for word in words if _is_job_id(word)]
    for word in words:
        if word not in ids:
            yield JobOutcome.model_construct(job_id=word, changed=False, detail="there is no such job.")
    if not ids:
        return
    try:
        answer = session.change(kind(request_id=uuid.uuid4().hex, experiment_uid=experiment_uid, job_ids=ids))
    except NotStoredYetError as error:
        print_message(f"{len(ids)} job(s): {error}")
        return
    yield from answer.outcomes


def _is_job_id(word: str) -> bool:
    try:
        _JOB_ID.validate_python(word)
    except ValidationError:
        return False
    return True
