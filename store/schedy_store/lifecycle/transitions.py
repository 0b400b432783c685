"""The life of a job as pure functions: (job, event) gives a verdict. SQL and broker are elsewhere.

::

    push/searcher ─▶ QUEUED ──claim granted──▶ RUNNING ──finish──▶ DONE | CRASHED | PRUNED ──retry──▶ QUEUED
                       ▲                          │
                       └── released, or its worker is lost (attempts left) ──┘   no attempt left ─▶ CRASHED

A token names one taking of a ticket. It fences reports: only the row's token counts, while the job is RUNNING, or
QUEUED again and not yet claimed by another.

A holder that is to stop (the job was cancelled, or exceeds a timeout) is notified, and its lease is not renewed any
more: it ends the job by itself within one lease, or loses it then. Either way the reason to stop decides what the job
becomes.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from schedy.wire.base import CRASHED, FINAL_STATUSES, PRUNED, QUEUED, RUNNING, FinalStatus, JobStatus
from schedy.wire.stopping import Stop

STORED = "stored"
GIVEN_BACK = "given back"
"""Reasons of verdicts on reports that change the job. A report that is accepted without a reason changes nothing."""


@dataclass(frozen=True, slots=True)
class JobState:
    """The state of a job, by which events are judged.

    `dispatched`: ticket number `ticket` is out. `attempts_forgiven`: those before the latest retry, which do not count
    against the experiment's maximum. `releases`: how often in a row it was given back without a report in between.
    """

    status: JobStatus
    token: str | None = None
    attempt: int = 0
    attempts_forgiven: int = 0
    sequence: int = 0
    lease_until: datetime | None = None
    stop: Stop | None = None
    dispatched: bool = False
    ticket: int = 1
    releases: int = 0

    @property
    def is_final(self) -> bool:
        return self.status in FINAL_STATUSES

    @property
    def counted_attempts(self) -> int:
        return self.attempt - self.attempts_forgiven


@dataclass(frozen=True, slots=True)
class Terms:
    """The rules of an experiment. `open`: neither paused nor DONE. `retry_timeouts`: a job over time runs again."""

    open: bool
    max_attempts: int
    lease: timedelta
    retry_timeouts: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state after an event. `accepted` is the answer to the sender; `reason` says why not, or what happened."""

    state: JobState
    accepted: bool
    reason: str = ""


# Reports of workers.


def claim(job: JobState, terms: Terms, token: str, now: datetime) -> Verdict:
    """Judge whether a worker may run the job. The lease of another that may be over is judged before, by `expire`."""
    if job.is_final:
        return Verdict(job, False, f"it is {job.status}.")
    if job.status == QUEUED and not terms.open:
        return Verdict(_without_ticket(job), False, "its experiment is paused or done.")
    if job.token == token:
        return Verdict(_kept(job, terms, now), True)
    if job.status == RUNNING:
        return Verdict(job, False, "another worker is running it.")
    granted = replace(
        job, status=RUNNING, token=token, attempt=job.attempt + 1, sequence=0, lease_until=now + terms.lease
    )
    return Verdict(granted, True)


def heartbeat(job: JobState, terms: Terms, token: str, now: datetime) -> Verdict:
    """Renew the lease for a sign of life."""
    if job.token != token or job.is_final:
        return Verdict(job, False, _not_yours(job, token))
    return Verdict(_kept(job, terms, now), True)


def progress(job: JobState, terms: Terms, token: str, sequence: int, now: datetime) -> Verdict:
    """Store intermediate results. A job that reports some gets on, so that it may be given back any number of times."""
    verdict = output(job, terms, token, sequence, now)
    return replace(verdict, state=replace(verdict.state, releases=0)) if verdict.reason == STORED else verdict


def output(job: JobState, terms: Terms, token: str, sequence: int, now: datetime) -> Verdict:
    """Store what the job has written: a sign of life, which does not say that it gets on."""
    refused = _stale(job, token, sequence)
    return refused or Verdict(replace(_kept(job, terms, now), sequence=sequence), True, STORED)


def finish(job: JobState, terms: Terms, token: str, sequence: int, status: FinalStatus) -> Verdict:
    """End the job. The reason for which its holder was to stop, if any, decides on the status."""
    refused = _stale(job, token, sequence)
    if refused:
        return refused
    job = replace(job, sequence=sequence)
    if job.stop is not None:
        return Verdict(_stopped(job, terms), True, STORED)
    return Verdict(replace(job, status=status, lease_until=None), True, STORED)


def release(
    job: JobState, terms: Terms, token: str, sequence: int, max_releases: int, *, begun: bool = True
) -> Verdict:
    """Give the job back; the attempt does not count.

    Other limits never end a job that is only ever given back, as by a program that ends itself under a restart loop:
    after `max_releases` in a row it is CRASHED, and the attempt counts. 0: no limit. One that was claimed ahead and not
    `begun` is as it was before: no timeout ends it.
    """
    refused = _stale(job, token, sequence)
    if refused:
        return refused
    if job.stop == "cancelled" or (job.stop is not None and begun):
        return Verdict(_stopped(replace(job, sequence=sequence), terms), True, GIVEN_BACK)
    releases = job.releases + 1 if begun else job.releases
    if 0 < max_releases <= releases:
        crashed = replace(job, status=CRASHED, sequence=sequence, lease_until=None, releases=releases)
        return Verdict(crashed, True, GIVEN_BACK)
    return Verdict(_as_before(job, releases), True, GIVEN_BACK)


# What a tick judges.


def expire(job: JobState, terms: Terms, now: datetime, *, begun: bool = True) -> Verdict:
    """Judge the lease."""
    if job.status == RUNNING and job.lease_until is not None and job.lease_until <= now:
        return lease_over(job, terms, begun=begun)
    return Verdict(job, False, "its lease is alive.")


def lease_over(job: JobState, terms: Terms, *, begun: bool = True) -> Verdict:
    """Take the job from a holder that was silent for a whole lease. Its token counts until another worker claims.

    With no attempt left the job ends, and the token is forgotten, so that reports of a late holder are refused; so is
    that of a holder that did not stop. One that was claimed ahead, is not known to be
    `begun`, has reported nothing and is not to stop is as it was before.
    """
    if not begun and job.sequence == 0 and job.stop is None:
        return Verdict(_as_before(job, job.releases), True, "worker lost before the job began")
    if job.stop is not None:
        return Verdict(replace(_stopped(job, terms), token=None), True, "the worker did not stop")
    if job.counted_attempts >= terms.max_attempts:
        times = "once" if job.counted_attempts == 1 else f"{job.counted_attempts} times"
        return Verdict(replace(job, status=CRASHED, token=None, lease_until=None), True, f"worker lost {times}")
    return Verdict(replace(_without_ticket(job), status=QUEUED, lease_until=None, releases=0), True, "worker lost")


def overdue(job: JobState, terms: Terms, stop: Stop, now: datetime) -> Verdict:
    """Have the holder of a job that exceeds a timeout stop, within one lease."""
    if job.status != RUNNING or job.stop is not None:
        return Verdict(job, False, "it is not running, or is to stop already.")
    return Verdict(replace(job, stop=stop, lease_until=now + terms.lease), True)


# What users do.


def cancel(job: JobState, terms: Terms, now: datetime) -> Verdict:
    """Cancel the job: it is PRUNED at once, or once its holder has stopped."""
    if job.is_final:
        return Verdict(job, False, f"it is already {job.status}.")
    if job.status == QUEUED:
        return Verdict(replace(_without_ticket(job), status=PRUNED, token=None), True, "it never runs.")
    if job.stop == "cancelled":
        return Verdict(job, True, "its worker has been told already.")
    return Verdict(replace(job, stop="cancelled", lease_until=now + terms.lease), True, "its worker is told to stop.")


def retry(job: JobState) -> Verdict:
    """Queue a final job again, with as many attempts as a new one has."""
    if not job.is_final:
        return Verdict(job, False, f"it is {job.status}, and only a job that has ended can be run again.")
    return Verdict(replace(_queued_again(job), attempts_forgiven=job.attempt), True, "it is queued again.")


# Tickets. Only tests call these three: the service judges many jobs in one statement, by the SQL of `tickets`, and the
# conformance tests hold it to what stands here.


def wants_ticket(job: JobState, terms: Terms) -> bool:
    """Tell whether a ticket is to be published (the rule; see above for what the service runs)."""
    return job.status == QUEUED and not job.dispatched and terms.open


def ticket_published(job: JobState, ticket: int) -> JobState:
    """Note that the broker has a ticket. Only the wanted number counts: the job may have been given back meanwhile."""
    return replace(job, dispatched=True) if ticket == job.ticket else job


def ticket_lost(job: JobState) -> JobState:
    """Count the ticket of a job no more: it was lost, its experiment closed, or its queue purged."""
    return _without_ticket(job) if job.status == QUEUED else job


def _without_ticket(job: JobState) -> JobState:
    return replace(job, dispatched=False, ticket=job.ticket + 1)


def _queued_again(job: JobState) -> JobState:
    """Return the job as QUEUED and without a holder."""
    return replace(_without_ticket(job), status=QUEUED, token=None, sequence=0, lease_until=None, stop=None, releases=0)


def _as_before(job: JobState, releases: int) -> JobState:
    """Return the job as it was before the claim, but for the number of its releases."""
    return replace(_queued_again(job), attempt=job.attempt - 1, releases=releases)


def _kept(job: JobState, terms: Terms, now: datetime) -> JobState:
    """Renew the lease, but not that of a holder that is to stop."""
    return job if job.stop is not None else replace(job, status=RUNNING, lease_until=now + terms.lease)


def _stopped(job: JobState, terms: Terms) -> JobState:
    """Return the job after its holder, which was to stop, has stopped or is lost."""
    if job.stop == "cancelled":
        return replace(job, status=PRUNED, lease_until=None)
    if terms.retry_timeouts and job.counted_attempts < terms.max_attempts:
        return _queued_again(job)
    return replace(job, status=CRASHED, lease_until=None)


def _stale(job: JobState, token: str, sequence: int) -> Verdict | None:
    """Return a verdict on a report of another token, a repeated or an overtaken one; None for one that counts."""
    if job.token == token and sequence <= job.sequence:
        return Verdict(job, True)
    if job.token != token or job.is_final:
        return Verdict(job, False, _not_yours(job, token))
    return None


def _not_yours(job: JobState, token: str) -> str:
    if job.is_final and job.token == token:
        return f"it is already {job.status}."
    if job.is_final and job.token is None:
        return f"it is {job.status}: its worker was silent for too long, or did not stop in time."
    if job.is_final:
        return f"another attempt ended it as {job.status}."
    if job.status == RUNNING:
        return "its lease ran out and another worker has taken it."
    return "it was given back and is queued again."
