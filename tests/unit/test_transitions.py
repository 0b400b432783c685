"""The life of a job as a pure function: the claim table of docs/architecture.md, and every other rule."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from schedy.messages import CRASHED, DONE, FINAL_STATUSES, PRUNED, QUEUED, RUNNING, FinalStatus
from schedy_store import transitions
from schedy_store.transitions import JobState, Terms, Verdict

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
LEASE = timedelta(seconds=30)
ALIVE = NOW + timedelta(seconds=1)
OVER = NOW
MINE, OTHER = "mine", "other"
OPEN = Terms(open=True, max_attempts=3, lease=LEASE)
CLOSED = replace(OPEN, open=False)


def running(
    token: str = OTHER, *, attempt: int = 1, sequence: int = 0, lease_until: datetime = ALIVE, dispatched: bool = True
) -> JobState:
    return JobState(RUNNING, token, attempt, 0, sequence, lease_until, dispatched=dispatched)


def ended(status: FinalStatus, token: str | None = OTHER, *, sequence: int = 1) -> JobState:
    return JobState(status, token, 1, 0, sequence, dispatched=True)


def claim_after_judging(job: JobState, terms: Terms) -> Verdict:
    """A claim of the token MINE, as the store applies it."""
    return transitions.claim(transitions.expire(job, terms, NOW).state, terms, MINE, NOW)


class TestClaim:
    """The claim table, row by row."""

    @pytest.mark.parametrize("terms", [OPEN, CLOSED], ids=["open", "closed"])
    @pytest.mark.parametrize("lease_until", [ALIVE, OVER], ids=["alive", "over"])
    def test_of_the_token_that_runs_it_is_granted_and_changes_nothing_but_the_lease(
        self, terms: Terms, lease_until: datetime
    ) -> None:
        job = running(MINE, attempt=2, sequence=4, lease_until=lease_until)
        verdict = transitions.claim(job, terms, MINE, NOW)
        assert verdict.accepted
        assert verdict.state == replace(job, lease_until=NOW + LEASE)

    @pytest.mark.parametrize("dispatched", [True, False])
    @pytest.mark.parametrize("token", [None, OTHER], ids=["fresh", "last holder known"])
    def test_of_a_queued_job_is_granted_under_a_new_lease(self, token: str | None, dispatched: bool) -> None:
        job = JobState(QUEUED, token, attempt=1, sequence=7, dispatched=dispatched)
        verdict = transitions.claim(job, OPEN, MINE, NOW)
        assert verdict.accepted
        assert verdict.state == JobState(RUNNING, MINE, 2, lease_until=NOW + LEASE, dispatched=dispatched)

    def test_of_a_job_queued_again_by_its_last_token_goes_on_with_the_same_attempt(self) -> None:
        job = JobState(QUEUED, MINE, attempt=2, sequence=3)
        verdict = transitions.claim(job, OPEN, MINE, NOW)
        assert verdict.accepted
        assert verdict.state == running(MINE, attempt=2, sequence=3, lease_until=NOW + LEASE, dispatched=False)

    def test_of_a_job_whose_holder_was_silent_for_a_lease_is_granted_as_a_further_attempt(self) -> None:
        verdict = claim_after_judging(running(OTHER, sequence=5, lease_until=OVER), OPEN)
        assert verdict.accepted
        assert verdict.state == JobState(RUNNING, MINE, 2, lease_until=NOW + LEASE, ticket=2)

    def test_of_a_job_whose_last_attempt_was_lost_is_denied_and_the_job_crashed(self) -> None:
        verdict = claim_after_judging(running(OTHER, attempt=3, lease_until=OVER), OPEN)
        assert not verdict.accepted
        assert verdict.state.status == CRASHED
        assert verdict.state.lease_until is None

    def test_of_a_lost_job_in_a_closed_experiment_is_denied_and_the_job_queued(self) -> None:
        verdict = claim_after_judging(running(OTHER, lease_until=OVER), CLOSED)
        assert not verdict.accepted
        assert (verdict.state.status, verdict.state.dispatched) == (QUEUED, False)

    @pytest.mark.parametrize("terms", [OPEN, CLOSED], ids=["open", "closed"])
    def test_of_a_job_that_another_runs_is_denied(self, terms: Terms) -> None:
        job = running(OTHER)
        assert transitions.claim(job, terms, MINE, NOW) == Verdict(job, False, "another worker is running it.")

    @pytest.mark.parametrize("token", [None, MINE])
    def test_of_a_queued_job_in_a_closed_experiment_is_denied_and_its_ticket_forgotten(self, token: str | None) -> None:
        job = JobState(QUEUED, token, 1, dispatched=True)
        verdict = transitions.claim(job, CLOSED, MINE, NOW)
        assert not verdict.accepted
        assert verdict.state == replace(job, dispatched=False, ticket=2)

    @pytest.mark.parametrize("token", [MINE, OTHER, None])
    @pytest.mark.parametrize("status", FINAL_STATUSES)
    def test_of_a_final_job_is_denied_with_its_status(self, status: FinalStatus, token: str | None) -> None:
        job = ended(status, token)
        assert transitions.claim(job, OPEN, MINE, NOW) == Verdict(job, False, f"it is {status}.")


Report = Callable[[JobState, str, int], Verdict]


def progress(job: JobState, token: str, sequence: int) -> Verdict:
    return transitions.progress(job, OPEN, token, sequence, NOW)


def finish(job: JobState, token: str, sequence: int) -> Verdict:
    return transitions.finish(job, OPEN, token, sequence, DONE)


def heartbeat(job: JobState, token: str, _sequence: int) -> Verdict:
    return transitions.heartbeat(job, OPEN, token, NOW)


def release(job: JobState, token: str, sequence: int) -> Verdict:
    return transitions.release(job, OPEN, token, sequence)


NUMBERED: list[Report] = [progress, finish, release]
REPORTS: list[Report] = [*NUMBERED, heartbeat]


class TestReports:
    def test_progress_is_stored_and_keeps_the_lease(self) -> None:
        job = running(MINE, sequence=1, lease_until=OVER)
        assert progress(job, MINE, 3) == Verdict(replace(job, sequence=3, lease_until=NOW + LEASE), True, "stored")

    @pytest.mark.parametrize("status", FINAL_STATUSES)
    def test_finish_ends_the_job(self, status: FinalStatus) -> None:
        job = running(MINE, sequence=1)
        verdict = transitions.finish(job, OPEN, MINE, 2, status)
        assert verdict == Verdict(replace(job, status=status, sequence=2, lease_until=None), True, "stored")

    def test_release_queues_the_job_without_token_ticket_and_without_counting_the_attempt(self) -> None:
        verdict = release(running(MINE, attempt=2, sequence=1), MINE, 2)
        assert verdict == Verdict(JobState(QUEUED, None, attempt=1, ticket=2), True, "given back")

    def test_a_heartbeat_extends_the_lease_and_nothing_else(self) -> None:
        job = running(MINE, sequence=4)
        assert transitions.heartbeat(job, OPEN, MINE, NOW).state == replace(job, lease_until=NOW + LEASE)

    @pytest.mark.parametrize("report", [progress, heartbeat])
    @pytest.mark.parametrize("terms", [OPEN, CLOSED], ids=["open", "closed"])
    def test_the_last_token_takes_a_job_up_again_that_nobody_has_claimed(self, report: Report, terms: Terms) -> None:
        job = transitions.lease_over(running(MINE, attempt=2), terms).state
        verdict = report(job, MINE, 1)
        assert verdict.accepted
        assert (verdict.state.status, verdict.state.attempt, verdict.state.lease_until) == (RUNNING, 2, NOW + LEASE)

    def test_the_last_token_may_finish_a_job_that_nobody_has_claimed(self) -> None:
        job = transitions.lease_over(running(MINE), OPEN).state
        assert finish(job, MINE, 1).state.status == DONE

    @pytest.mark.parametrize("report", REPORTS)
    @pytest.mark.parametrize(
        ("job", "reason"),
        [
            (running(OTHER), "its lease ran out and another worker has taken it."),
            (JobState(QUEUED, None), "it was given back and is queued again."),
            (ended(DONE, OTHER), "another attempt ended it as DONE."),
        ],
        ids=["running", "queued", "done"],
    )
    def test_of_a_fenced_token_is_refused(self, report: Report, job: JobState, reason: str) -> None:
        assert report(job, MINE, 99) == Verdict(job, False, reason)

    @pytest.mark.parametrize("report", REPORTS)
    @pytest.mark.parametrize("status", FINAL_STATUSES)
    def test_after_the_end_is_refused(self, report: Report, status: FinalStatus) -> None:
        job = ended(status, MINE, sequence=3)
        assert report(job, MINE, 4) == Verdict(job, False, f"it is already {status}.")

    @pytest.mark.parametrize("report", NUMBERED)
    @pytest.mark.parametrize("sequence", [1, 2], ids=["older", "repeated"])
    @pytest.mark.parametrize("job", [running(MINE, sequence=2), ended(PRUNED, MINE, sequence=2)], ids=["runs", "ended"])
    def test_repeated_or_overtaken_is_accepted_and_changes_nothing(
        self, report: Report, sequence: int, job: JobState
    ) -> None:
        assert report(job, MINE, sequence) == Verdict(job, True)


class TestLease:
    @pytest.mark.parametrize("job", [running(), JobState(QUEUED), ended(DONE)], ids=["alive", "queued", "done"])
    def test_is_not_over(self, job: JobState) -> None:
        verdict = transitions.expire(job, OPEN, NOW)
        assert not verdict.accepted
        assert verdict.state == job

    def test_over_with_attempts_left_queues_the_job_and_wants_a_new_ticket(self) -> None:
        job = running(MINE, attempt=2, sequence=5, lease_until=OVER)
        assert transitions.expire(job, OPEN, NOW) == Verdict(
            JobState(QUEUED, MINE, 2, sequence=5, ticket=2), True, "worker lost"
        )

    @pytest.mark.parametrize(("attempts", "reason"), [(1, "worker lost once"), (3, "worker lost 3 times")])
    def test_over_without_attempts_left_crashes_the_job(self, attempts: int, reason: str) -> None:
        job = running(MINE, attempt=attempts, lease_until=OVER)
        verdict = transitions.expire(job, replace(OPEN, max_attempts=attempts), NOW)
        assert (verdict.state.status, verdict.state.lease_until, verdict.reason) == (CRASHED, None, reason)

    @pytest.mark.parametrize("report", REPORTS)
    def test_over_without_attempts_left_tells_its_late_holder(self, report: Report) -> None:
        job = transitions.lease_over(running(MINE, attempt=3, sequence=1), OPEN).state
        verdict = report(job, MINE, 2)
        assert not verdict.accepted
        assert verdict.state == job
        assert "silent" in verdict.reason


class TestTicketLost:
    def test_wants_a_new_one(self) -> None:
        job = JobState(QUEUED, OTHER, 1, dispatched=True)
        assert transitions.ticket_lost(job) == replace(job, dispatched=False, ticket=2)

    @pytest.mark.parametrize("job", [running(), ended(DONE)], ids=["running", "done"])
    def test_means_nothing_to_a_job_that_needs_none(self, job: JobState) -> None:
        assert transitions.ticket_lost(job) == job
