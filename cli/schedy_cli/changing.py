"""Changes that two commands make: pausing an experiment, and changing jobs by their ids."""

import itertools
import sys
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import click
from pydantic import TypeAdapter, ValidationError

from schedy.errors import NotStoredYetError, SchedyError, is_refusal
from schedy.escaping import printable
from schedy.settings import Settings
from schedy.wire.answers import JobOutcome
from schedy.wire.base import JobId
from schedy.wire.changes import JOBS_CHANGED_AT_ONCE, CancelJobs, RetryJobs, UpdateExperiment
from schedy.wire.records import ExperimentRecord
from schedy_cli.context import session_and_reader
from schedy_cli.interruption import OneChange, accounted, schedy_words
from schedy_cli.printing.messages import print_message
from schedy_cli.printing.progress import progress
from schedy_cli.reading import find_experiment

if TYPE_CHECKING:
    from schedy.worker.session import Session

_Kind = type[CancelJobs] | type[RetryJobs]

_MANY_JOBS = 1000
"""From this number of jobs on there is a progress bar, and on a terminal a sentence instead of a line for each job."""
_JOB_ID: TypeAdapter[str] = TypeAdapter(JobId)


def set_paused(settings: Settings, name: str, *, paused: bool) -> None:
    """Pause or resume the experiment of that name. Raises NotFoundError."""
    done = f"{name} was {'paused' if paused else 'resumed'}"
    change = OneChange(done, check=schedy_words("show", name))
    with accounted(change.account), session_and_reader(settings) as (session, reader):
        uid = find_experiment(reader, name).uid
        change.send(session, UpdateExperiment(request_id=uuid.uuid4().hex, experiment_uid=uid, paused=paused))


class JobChanges:
    """Changes of many jobs of an experiment, chunk by chunk."""

    def __init__(
        self, session: "Session", kind: _Kind, experiment: ExperimentRecord, *, verb: str, done: str = ""
    ) -> None:
        """`verb` completes "the job was ...", and `done` comes before the detail of a job that was changed."""
        self._session = session
        self._kind = kind
        self._experiment = experiment
        self._verb = verb
        self._done = done
        self._under_way = 0
        self.outcomes: list[JobOutcome] = []
        """The outcomes so far; those that the service has not answered in time are missing: the broker has them."""

    def make(self, ids: Iterable[str]) -> None:
        """Send the changes, and print the outcome of each: what was done on stdout, else on stderr."""
        wanted = list(dict.fromkeys(ids))
        if len(wanted) < _MANY_JOBS:
            self._make(wanted, has_lines=True, note=lambda _count: None)
            return
        has_lines = not sys.stdout.isatty()
        with progress("Changing jobs", len(wanted)) as note:
            self._make(wanted, has_lines=has_lines, note=note)
        if not has_lines:
            click.echo(f"{sum(outcome.changed for outcome in self.outcomes):,} job(s) were {self._verb}.")

    def _make(self, wanted: list[str], *, has_lines: bool, note: Callable[[int], None]) -> None:
        for chunk in _chunks(wanted):
            for outcome in self._change(chunk):
                self.outcomes.append(outcome)
                if not outcome.changed:
                    print_message(f"{outcome.job_id} was not {self._verb}: {outcome.detail}")
                elif has_lines:
                    click.echo(f"{outcome.job_id}\t{printable(self._done + outcome.detail)}")
            note(len(chunk))

    def account(self) -> str:
        """Return what was done, and what may yet be done, for `accounted`."""
        changed = sum(outcome.changed for outcome in self.outcomes)
        text = [f"{changed} job(s) were {self._verb}."] if changed else []
        if self._under_way and self._session.calls.could_send:
            command = schedy_words("list", self._experiment.name)
            text.append(f"{self._under_way} more may be {self._verb}, now or later: `{command}` shows the statuses.")
        return " ".join(text)

    def _change(self, words: Sequence[str]) -> Iterator[JobOutcome]:
        ids = [word for word in words if _is_job_id(word)]
        for word in words:
            if word not in ids:
                yield JobOutcome.model_construct(job_id=word, changed=False, detail="there is no such job.")
        if ids:
            yield from self._answered(ids)

    def _answered(self, ids: list[str]) -> Sequence[JobOutcome]:
        uid = self._experiment.uid
        self._under_way = len(ids)
        try:
            answer = self._session.change(self._kind(request_id=uuid.uuid4().hex, experiment_uid=uid, job_ids=ids))
        except NotStoredYetError as error:
            print_message(f"{len(ids)} job(s): {error}")
            return ()
        except SchedyError as error:
            if is_refusal(error):
                self._under_way = 0
            raise
        self._under_way = 0
        return answer.outcomes


def _chunks(ids: Iterable[str]) -> Iterator[list[str]]:
    remaining = iter(ids)
    while chunk := list(itertools.islice(remaining, JOBS_CHANGED_AT_ONCE)):
        yield chunk


def _is_job_id(word: str) -> bool:
    try:
        _JOB_ID.validate_python(word)
    except ValidationError:
        return False
    return True
