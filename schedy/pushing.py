"""Pushing jobs: checked and written as JSON once, sent in chunks of bounded size, a few of them under way at a time."""

import time
import uuid
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from typing import Any

from schedy.errors import InvalidValueError, NotStoredYetError, SchedyError, is_refusal
from schedy.job_values import checked_quality
from schedy.user_text import shown_value
from schedy.wire.answers import PushAnswer, expected
from schedy.wire.base import JOB_STATUSES, JobStatus
from schedy.wire.changes import NewJob, Push
from schedy.wire.values import checked_values
from schedy.worker.call import Call
from schedy.worker.session import CHANGE_RESEND_SECONDS, Session

_CHUNK_JOBS = 200
_CHUNK_BYTES = 262_144
_CHUNKS_UNDER_WAY = 3
_REFUSAL_SECONDS = 2.0
"""Time within which the other chunks under way hear what one has heard: that they are refused, too."""
_JOB_FIELDS = {"hyperparameters", "status", "results", "quality"}


@dataclass(frozen=True, slots=True)
class CheckedJob:
    """A job that can be sent, and the size of its values as JSON."""

    new: NewJob
    size: int


def check_fields(job: Mapping[str, Any], *, limit_bytes: int) -> CheckedJob:
    """Return the job with these arguments of `Experiment.add_job`. Raises InvalidValueError."""
    if not isinstance(job, Mapping):
        raise InvalidValueError(f"A job is a dict with the arguments of add_job, not {shown_value(job)}.")
    unknown = set(job) - _JOB_FIELDS
    if unknown:
        raise InvalidValueError(
            f"A job has no {' or '.join(sorted(map(repr, unknown)))}; it has {', '.join(sorted(_JOB_FIELDS))}."
        )
    return check_new_job(**job, limit_bytes=limit_bytes)


def check_new_job(
    hyperparameters: Mapping[str, Any] | None = None,
    status: JobStatus = "QUEUED",
    results: Mapping[str, Any] | None = None,
    quality: float = 0.0,
    *,
    limit_bytes: int,
) -> CheckedJob:
    """Return the job as it will be sent. Raises InvalidValueError."""
    if status not in JOB_STATUSES:
        raise InvalidValueError(f"The status of a job is one of {', '.join(JOB_STATUSES)}, not {shown_value(status)}.")
    sent_hyperparameters, size = checked_values(
        {} if hyperparameters is None else hyperparameters, limit_bytes=limit_bytes, what="hyperparameters"
    )
    sent_results, results_size = checked_values(
        {} if results is None else results,
        limit_bytes=limit_bytes - size,
        what="results (beside the hyperparameters)",
    )
    new = NewJob(
        hyperparameters=sent_hyperparameters,
        status=status,
        results=sent_results,
        quality=checked_quality(quality),
        token=uuid.uuid4().hex if status == "RUNNING" else None,
    )
    return CheckedJob(new, size + results_size)


@dataclass(slots=True)
class PushEnd:
    """The jobs of a push, other than those that were yielded, that were sent when it ended early."""

    sent: int = 0
    """They may be stored, or may be stored later."""


def chunks(jobs: Iterable[CheckedJob]) -> Iterator[list[NewJob]]:
    """Cut jobs into messages of bounded number and size, so that a bulk push never starves claims."""
    chunk: list[NewJob] = []
    size = 0
    for job in jobs:
        if chunk and (len(chunk) >= _CHUNK_JOBS or size + job.size > _CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(job.new)
        size += job.size
    if chunk:
        yield chunk


def push_chunks(
    session: Session, name: str, uid: str | None, jobs: Iterable[CheckedJob], *, end: PushEnd | None = None
) -> Generator[tuple[list[NewJob], PushAnswer], None, None]:
    """Push jobs in chunks, a few under way at a time; yield each chunk with its answer, in order.

    Without answers it goes on until the broker has everything, then raises NotStoredYetError. Raises NotFoundError when
    the experiment is gone, and BrokerError when the broker cannot be reached. However it ends, no chunk is sent later,
    and `end` counts what was.
    """
    under_way = _ChunksUnderWay(session)
    try:
        for chunk in chunks(jobs):
            under_way.send(
                Push(
                    request_id=uuid.uuid4().hex,
                    experiment_name=name,
                    experiment_uid=uid,
                    jobs=chunk,
                    worker=session.worker,
                )
            )
            if len(under_way) >= _CHUNKS_UNDER_WAY:
                yield from under_way.oldest()
        while under_way:
            yield from under_way.oldest()
    finally:
        if end is not None:
            end.sent = under_way.sent
        under_way.cancel()
    under_way.check_all_answered()


class _ChunksUnderWay:
    """The chunks that were sent, oldest first. Lives in the thread that pushes."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._calls: deque[tuple[Push, Call]] = deque()
        self._unanswered = 0

    def __len__(self) -> int:
        return len(self._calls)

    @property
    def sent(self) -> int:
        """The number of jobs that were sent, and of which no answer was yielded."""
        return self._unanswered + sum(len(push.jobs) for push, call in self._calls if call.times_sent)

    def send(self, push: Push) -> None:
        patience = self._session.settings.service_wait_seconds
        call = self._session.calls.call(push, resend_seconds=CHANGE_RESEND_SECONDS, patience_seconds=patience)
        self._calls.append((push, call))

    def oldest(self) -> Iterator[tuple[list[NewJob], PushAnswer]]:
        """Wait for the oldest chunk; yield it with its answer, or nothing if only the broker has it."""
        push, call = self._calls[0]
        try:
            answer = self._answer(push, call)
        except SchedyError as error:
            if is_refusal(error):
                self._drop_refused()
            raise
        self._session.calls.cancel(call)
        self._calls.popleft()
        if answer is None:
            self._unanswered += len(push.jobs)
        else:
            yield push.jobs, answer

    def _answer(self, push: Push, call: Call) -> PushAnswer | None:
        """Wait until the broker has a chunk, and then for the answer; None if that does not come.

        Once an answer is missing, those to later chunks are not waited for.
        """
        settings = self._session.settings
        try:
            call.stored.result(settings.service_wait_seconds)
            return expected(push, call.answer.result(0.0 if self._unanswered else settings.store_wait_seconds))
        except FutureTimeoutError:
            if call.is_stored:
                return None
            raise self._session.calls.why_unanswered(call) from None

    def _drop_refused(self) -> None:
        """Forget the chunks that are never stored, as far as that is known soon."""
        deadline = time.monotonic() + _REFUSAL_SECONDS
        for under_way in list(self._calls):
            if _is_refused(*under_way, wait_seconds=max(0.0, deadline - time.monotonic())):
                self._session.calls.cancel(under_way[1])
                self._calls.remove(under_way)

    def cancel(self) -> None:
        """Send none of the chunks again."""
        for _push, call in self._calls:
            self._session.calls.cancel(call)
        self._calls.clear()

    def check_all_answered(self) -> None:
        """Raise NotStoredYetError if the broker has chunks that no service has answered."""
        if self._unanswered:
            raise NotStoredYetError(
                f"The broker has {self._unanswered} job(s), and they will be stored when the results service is back;"
                " if it refuses them, `schedy log` has the reason. `schedy doctor` looks for the cause of its silence."
            )


def _is_refused(push: Push, call: Call, *, wait_seconds: float) -> bool:
    """Return true if a chunk is never stored; waits for what becomes of it."""
    try:
        expected(push, call.answer.result(wait_seconds))
    except FutureTimeoutError:
        return False
    except SchedyError as error:
        return is_refusal(error)
    return False
