"""The life of a job as pure functions: (job, event) gives a verdict. SQL and broker are elsewhere.

::

    push/searcher ─▶ QUEUED ──claim granted──▶ RUNNING ──finish──▶ DONE | CRASHED | PRUNED
                       ▲                          │
                       └── released, or its worker is lost (attempts left) ──┘   no attempt left ─▶ CRASHED

A token names one taking of a ticket. It fences reports: only the row's token counts, while the job is RUNNING, or
QUEUED again and not yet claimed by another.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from schedy.messages import CRASHED, FINAL_STATUSES, QUEUED, RUNNING, FinalStatus, JobStatus

STORED = "stored"
GIVEN_BACK = "given back"
"""Reasons of verdicts on reports that change the job; an accepted report without one changes nothing."""


@dataclass(frozen=True, slots=True)
class JobState:
    """What decides about a job. `dispatched`: a ticket is out."""

    status: JobStatus
    token: str | None = None
    attempt: int = 0
    sequence: int = 0
    lease_until: datetime | None = None
    dispatched: bool = False

    @property
    def is_final(self) -> bool:
        return self.status in FINAL_STATUSES


@dataclass(frozen=True, slots=True)
class Terms:
    """What the experiment lays down. `open`: neither paused nor DONE."""

    open: bool
    max_attempts: int
    lease: timedelta


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state after the event. `accepted` is the answer to who asked; `reason` says why not, or what happened."""

    state: JobState
    accepted: bool
    reason: str = ""


def claim(job: JobState, terms: Terms, token: str, now: datetime) -> Verdict:
    """May the holder of `token` run the job?"""
    if job.status == RUNNING and job.token != token and _lease_is_over(job, now):
        job = lease_over(job, terms).state
    if job.is_final:
        return Verdict(job, False, f"it is {job.status}.")
    if job.status == QUEUED and not terms.open:
        return Verdict(replace(job, dispatched=False), False, "its experiment is paused or done.")
    if job.token == token:
        return Verdict(_kept(job, terms, now), True)
    if job.status == RUNNING:
        return Verdict(job, False, "another worker is running it.")
    granted = JobState(
        RUNNING, token, attempt=job.attempt + 1, lease_until=now + terms.lease, dispatched=job.dispatched
    )
    return Verdict(granted, True)


def heartbeat(job: JobState, terms: Terms, token: str, now: datetime) -> Verdict:
    """The holder lives."""
    if job.token != token or job.is_final:
        return Verdict(job, False, _not_yours(job, token))
    return Verdict(_kept(job, terms, now), True)


def progress(job: JobState, terms: Terms, token: str, sequence: int, now: datetime) -> Verdict:
    """The holder has intermediate results."""
    refused = _stale(job, token, sequence)
    return refused or Verdict(replace(_kept(job, terms, now), sequence=sequence), True, STORED)


def finish(job: JobState, token: str, sequence: int, status: FinalStatus) -> Verdict:
    """The holder is done."""
    refused = _stale(job, token, sequence)
    return refused or Verdict(replace(job, status=status, sequence=sequence, lease_until=None), True, STORED)


def release(job: JobState, token: str, sequence: int) -> Verdict:
    """The holder gives the job back; the attempt does not count."""
    refused = _stale(job, token, sequence)
    return refused or Verdict(JobState(QUEUED, attempt=job.attempt - 1), True, GIVEN_BACK)


def lease_over(job: JobState, terms: Terms) -> Verdict:
    """The holder was silent for a whole lease. Its token still counts until another has claimed.

    With no attempt left the job is over, and the token forgotten, so that a late holder is told.
    """
    if job.attempt >= terms.max_attempts:
        times = "once" if job.attempt == 1 else f"{job.attempt} times"
        return Verdict(replace(job, status=CRASHED, token=None, lease_until=None), True, f"worker lost {times}")
    return Verdict(replace(job, status=QUEUED, lease_until=None, dispatched=False), True, "worker lost")


def expire(job: JobState, terms: Terms, now: datetime) -> Verdict:
    """A tick judges the lease."""
    if job.status == RUNNING and _lease_is_over(job, now):
        return lease_over(job, terms)
    return Verdict(job, False, "its lease is alive.")


def ticket_lost(job: JobState) -> Verdict:
    """The ticket of a QUEUED job has gone, or must not count: it wants a new one."""
    if job.status != QUEUED or not job.dispatched:
        return Verdict(job, False, "it has no ticket out.")
    return Verdict(replace(job, dispatched=False), True)


def _lease_is_over(job: JobState, now: datetime) -> bool:
    return job.lease_until is not None and job.lease_until <= now


def _kept(job: JobState, terms: Terms, now: datetime) -> JobState:
    return replace(job, status=RUNNING, lease_until=now + terms.lease)


def _stale(job: JobState, token: str, sequence: int) -> Verdict | None:
    """A verdict on a report that changes nothing: of another token, repeated, or overtaken by a newer one."""
    if job.token == token and sequence <= job.sequence:
        return Verdict(job, True)
    if job.token != token or job.is_final:
        return Verdict(job, False, _not_yours(job, token))
    return None


def _not_yours(job: JobState, token: str) -> str:
    if job.is_final and job.token == token:
        return f"it is already {job.status}."
    if job.is_final and job.token is None:
        return f"it is {job.status}: its worker was silent for too long."
    if job.is_final:
        return f"another attempt ended it as {job.status}."
    if job.status == RUNNING:
        return "its lease ran out and another worker has taken it."
    return "it was given back and is queued again."
