"""Histories of workers, put together into attempts."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from chaos.history import Record

Ending = Literal["returned", "raised", "open"]


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One run of a job by one worker, as the worker saw it. Times are by CLOCK_MONOTONIC; None: it never came to it."""

    experiment: str
    job_id: str
    number: int
    worker: str
    nonce: str
    asked: float
    """When the job was asked for."""
    granted: float
    found: dict[str, object]
    """The results that the job had when it began."""
    puts: list[int] = field(default_factory=list)
    """The steps that were put, also by a `put` that told to stop."""
    refused_at: float | None = None
    """When a report raised UnsafeUpdateError."""
    stopped_at: float | None = None
    """When a `put` raised JobCancelledError."""
    left: float | None = None
    """When the user's code was over."""
    exit_status: str | None = None
    """How the job was to end, once the worker was about to say so."""
    finish: Ending | None = None
    """What became of the last report; `open`: the process ended, or was ended, on the way."""
    answered: bool = False
    """Whether the service said that it had stored the end."""
    ended: float | None = None
    """When the last record of the attempt was written."""

    @property
    def key(self) -> tuple[str, str]:
        return self.experiment, self.job_id

    def __str__(self) -> str:
        return f"job {self.job_id} of {self.experiment}, attempt {self.number} by {self.worker}"


def attempts_of(history: Iterable[Record]) -> list[Attempt]:
    """Return the attempts of one worker process, in order."""
    found: list[Attempt] = []
    asked = 0.0
    for record in history:
        if record["what"] == "claim":
            if record["state"] == "invoked":
                asked = record["at"]
            elif record["state"] == "returned":
                found.append(_begun(record, asked))
        elif record["what"] in {"put", "leave", "finish"}:
            _go_on(found[-1], record)
    return found


def _begun(record: Record, asked: float) -> Attempt:
    return Attempt(
        experiment=record["experiment"],
        job_id=record["job"],
        number=record["attempt"],
        worker=record["worker"],
        nonce=record["nonce"],
        asked=asked,
        granted=record["at"],
        found=record["found"],
    )


def _go_on(attempt: Attempt, record: Record) -> None:
    state = record["state"]
    attempt.ended = record["at"]
    if record["what"] == "leave" or (record["what"] == "finish" and state == "invoked"):
        attempt.left = attempt.left or record["at"]
    if state == "raised" and record["error"] == "UnsafeUpdateError":
        attempt.refused_at = attempt.refused_at or record["at"]
    if record["what"] == "put":
        if state == "raised" and record["error"] == "JobCancelledError":
            attempt.stopped_at = record["at"]
        if state == "returned" or attempt.stopped_at is not None:
            attempt.puts.append(record["step"])
    elif record["what"] == "finish" and state == "invoked":
        attempt.exit_status = record["status"]
        attempt.finish = "open"
    elif record["what"] == "finish" and attempt.exit_status is not None:
        attempt.finish = state
        attempt.answered = record["answered"]
