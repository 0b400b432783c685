"""The life of a job as a pure function: the claim table of docs/protocol.md, and every other rule."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from schedy.wire.base import CRASHED, DONE, FINAL_STATUSES, PRUNED, QUEUED, RUNNING, FinalStatus
from schedy.wire.stopping import Stop
from schedy_store.lifecycle import transitions
from schedy_store.lifecycle.transitions import JobState, Terms, Verdict

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
LEASE = timedelta(seconds=30)
ALIVE = NOW + timedelta(seconds=1)
OVER = NOW
MINE, OTHER = "mine", "other"
MAX_RELEASES = 3
OPEN = Terms(open=True, max_attempts=3, lease=LEASE)
CLOSED = replace(OPEN, open=False)


RETRYING = replace(OPEN, retry_timeouts=True)
TIMEOUTS: tuple[Stop, ...] = ("job_timeout", "stall_timeout")


def running(
    token: str = OTHER,
    *,
    attempt: int = 1,
    forgiven: int = 0,
    sequence: int = 0,
    lease_until: datetime = ALIVE,
    stop: Stop | None = None,
    dispatched: bool = True,
) -> JobState:
    return JobState(RUNNING, token, attempt, forgiven, sequence, lease_until, stop, dispatched)


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
    return transitions.release(job, OPEN, token, sequence, MAX_RELEASES)


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
        assert verdict == Verdict(JobState(QUEUED, None, attempt=1, ticket=2, releases=1), True, "given back")

    def test_the_last_release_of_many_in_a_row_crashes_the_job(self) -> None:
        job = running(MINE, sequence=1)
        often = replace(job, releases=MAX_RELEASES - 2)
        assert release(often, MINE, 2).state == JobState(QUEUED, attempt=0, ticket=2, releases=MAX_RELEASES - 1)
        too_often = replace(job, releases=MAX_RELEASES - 1)
        crashed = replace(job, status=CRASHED, sequence=2, lease_until=None, releases=MAX_RELEASES)
        assert release(too_often, MINE, 2) == Verdict(crashed, True, "given back")
        assert release(crashed, MINE, 2) == Verdict(crashed, True)  # it comes twice
        unlimited = transitions.release(too_often, OPEN, MINE, 2, 0)
        assert (unlimited.state.status, unlimited.state.releases) == (QUEUED, MAX_RELEASES)

    def test_what_was_claimed_ahead_is_as_before_when_it_is_given_back(self) -> None:
        job = replace(running(MINE, attempt=2), releases=MAX_RELEASES - 1)
        before = JobState(QUEUED, attempt=1, ticket=2, releases=MAX_RELEASES - 1)
        for stop in (None, "job_timeout", "stall_timeout"):
            verdict = transitions.release(replace(job, stop=stop), OPEN, MINE, 1, MAX_RELEASES, begun=False)
            assert verdict == Verdict(before, True, "given back")
        cancelled = transitions.release(replace(job, stop="cancelled"), OPEN, MINE, 1, MAX_RELEASES, begun=False)
        assert cancelled.state.status == PRUNED

    def test_what_is_no_release_starts_the_count_of_releases_again(self) -> None:
        job = replace(running(MINE, stop=None), releases=MAX_RELEASES - 1)
        assert progress(job, MINE, 1).state.releases == 0
        assert transitions.lease_over(job, OPEN).state.releases == 0
        assert transitions.retry(replace(ended(CRASHED), releases=MAX_RELEASES)).state.releases == 0
        assert heartbeat(job, MINE, 1).state.releases == MAX_RELEASES - 1
        written = transitions.output(job, OPEN, MINE, 1, NOW)
        assert written == Verdict(replace(job, sequence=1, lease_until=NOW + LEASE), True, "stored")
        assert transitions.claim(replace(job, status=QUEUED), OPEN, OTHER, NOW).state.releases == MAX_RELEASES - 1

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

    def test_over_before_the_job_began_leaves_it_as_it_was_before(self) -> None:
        job = replace(running(MINE, attempt=3, lease_until=OVER), releases=2)
        before = JobState(QUEUED, attempt=2, ticket=2, releases=2)
        lost = transitions.expire(job, OPEN, NOW, begun=False)
        assert lost == Verdict(before, True, "worker lost before the job began")
        for has_begun in (replace(job, sequence=1), replace(job, stop="cancelled"), replace(job, stop="job_timeout")):
            expected = transitions.expire(has_begun, OPEN, NOW)
            assert transitions.expire(has_begun, OPEN, NOW, begun=False) == expected

    @pytest.mark.parametrize("report", REPORTS)
    def test_over_without_attempts_left_tells_its_late_holder(self, report: Report) -> None:
        job = transitions.lease_over(running(MINE, attempt=3, sequence=1), OPEN).state
        verdict = report(job, MINE, 2)
        assert not verdict.accepted
        assert verdict.state == job
        assert "silent" in verdict.reason


class TestStop:
    """A holder that is to stop: it was cancelled, or has taken too long."""

    @pytest.mark.parametrize("stop", TIMEOUTS)
    def test_a_running_job_over_time_is_to_stop_within_one_lease(self, stop: Stop) -> None:
        job = running(MINE, attempt=2, sequence=3)
        verdict = transitions.overdue(job, OPEN, stop, NOW)
        assert verdict == Verdict(replace(job, stop=stop, lease_until=NOW + LEASE), True)

    @pytest.mark.parametrize(
        "job",
        [JobState(QUEUED), ended(DONE), running(stop="cancelled"), running(stop="stall_timeout")],
        ids=["queued", "done", "cancelled", "over time"],
    )
    def test_a_job_that_does_not_run_or_is_to_stop_already_is_not_over_time(self, job: JobState) -> None:
        verdict = transitions.overdue(job, OPEN, "job_timeout", NOW)
        assert (verdict.accepted, verdict.state) == (False, job)

    def test_a_heartbeat_gives_no_more_time(self) -> None:
        job = running(MINE, stop="cancelled")
        assert heartbeat(job, MINE, 0) == Verdict(job, True)

    def test_progress_is_stored_and_gives_no_more_time(self) -> None:
        job = running(MINE, stop="job_timeout")
        assert progress(job, MINE, 1) == Verdict(replace(job, sequence=1), True, "stored")

    def test_a_repeated_claim_is_granted_and_gives_no_more_time(self) -> None:
        job = running(MINE, stop="cancelled")
        assert transitions.claim(job, OPEN, MINE, NOW) == Verdict(job, True)

    @pytest.mark.parametrize("status", FINAL_STATUSES)
    def test_a_cancelled_job_is_pruned_however_it_ends(self, status: FinalStatus) -> None:
        job = running(MINE, stop="cancelled")
        verdict = transitions.finish(job, RETRYING, MINE, 1, status)
        assert verdict == Verdict(replace(job, status=PRUNED, sequence=1, lease_until=None), True, "stored")

    @pytest.mark.parametrize("status", FINAL_STATUSES)
    @pytest.mark.parametrize("stop", TIMEOUTS)
    def test_a_job_over_time_is_crashed_however_it_ends(self, stop: Stop, status: FinalStatus) -> None:
        job = running(MINE, stop=stop)
        verdict = transitions.finish(job, OPEN, MINE, 1, status)
        assert verdict == Verdict(replace(job, status=CRASHED, sequence=1, lease_until=None), True, "stored")

    @pytest.mark.parametrize(("stop", "status"), [("cancelled", PRUNED), ("job_timeout", CRASHED)])
    def test_a_release_ends_the_job_and_its_attempt_counts(self, stop: Stop, status: FinalStatus) -> None:
        job = running(MINE, attempt=2, stop=stop)
        verdict = release(job, MINE, 1)
        assert verdict == Verdict(replace(job, status=status, sequence=1, lease_until=None), True, "given back")

    @pytest.mark.parametrize(("stop", "status"), [("cancelled", PRUNED), ("stall_timeout", CRASHED)])
    def test_the_end_of_the_lease_ends_the_job_and_forgets_the_token(self, stop: Stop, status: FinalStatus) -> None:
        job = running(MINE, lease_until=OVER, stop=stop)
        verdict = transitions.expire(job, OPEN, NOW)
        assert verdict.accepted
        assert verdict.state == replace(job, status=status, token=None, lease_until=None)
        assert "did not stop" in finish(verdict.state, MINE, 1).reason

    @pytest.mark.parametrize("end", ["finish", "release", "lease"])
    def test_a_job_over_time_runs_again_where_that_is_set(self, end: str) -> None:
        job = running(MINE, attempt=2, sequence=4, lease_until=OVER, stop="job_timeout")
        verdicts = {
            "finish": lambda: transitions.finish(job, RETRYING, MINE, 5, DONE),
            "release": lambda: transitions.release(job, RETRYING, MINE, 5, MAX_RELEASES),
            "lease": lambda: transitions.expire(job, RETRYING, NOW),
        }
        assert verdicts[end]().state == JobState(QUEUED, None, 2, ticket=2)

    def test_a_job_over_time_runs_again_only_while_attempts_are_left(self) -> None:
        assert transitions.finish(running(MINE, attempt=3, stop="job_timeout"), RETRYING, MINE, 1, DONE).state.is_final
        forgiven = running(MINE, attempt=3, forgiven=1, stop="job_timeout")
        assert transitions.finish(forgiven, RETRYING, MINE, 1, DONE).state.status == QUEUED


class TestCancel:
    @pytest.mark.parametrize("token", [None, OTHER], ids=["fresh", "last holder known"])
    @pytest.mark.parametrize("terms", [OPEN, CLOSED], ids=["open", "closed"])
    def test_of_a_queued_job_ends_it_and_forgets_token_and_ticket(self, token: str | None, terms: Terms) -> None:
        job = JobState(QUEUED, token, 1, sequence=2, dispatched=True)
        verdict = transitions.cancel(job, terms, NOW)
        assert verdict.accepted
        assert verdict.state == JobState(PRUNED, None, 1, sequence=2, ticket=2)

    def test_of_a_running_job_tells_its_holder_to_stop_within_one_lease(self) -> None:
        job = running(MINE, sequence=2)
        verdict = transitions.cancel(job, OPEN, NOW)
        assert verdict.accepted
        assert verdict.state == replace(job, stop="cancelled", lease_until=NOW + LEASE)

    def test_again_gives_no_more_time(self) -> None:
        job = running(MINE, stop="cancelled")
        verdict = transitions.cancel(job, OPEN, NOW)
        assert (verdict.accepted, verdict.state) == (True, job)

    def test_outweighs_that_the_job_is_over_time(self) -> None:
        assert transitions.cancel(running(MINE, stop="job_timeout"), OPEN, NOW).state.stop == "cancelled"

    @pytest.mark.parametrize("status", FINAL_STATUSES)
    def test_of_a_final_job_changes_nothing(self, status: FinalStatus) -> None:
        job = ended(status)
        assert transitions.cancel(job, OPEN, NOW) == Verdict(job, False, f"it is already {status}.")


class TestRetry:
    @pytest.mark.parametrize("status", FINAL_STATUSES)
    def test_queues_a_final_job_as_if_it_were_new_but_for_its_number_of_attempts(self, status: FinalStatus) -> None:
        job = JobState(status, OTHER, 3, 1, 5, stop="cancelled", dispatched=True, ticket=4)
        verdict = transitions.retry(job)
        assert verdict.accepted
        assert verdict.state == JobState(QUEUED, None, 3, attempts_forgiven=3, ticket=5)

    @pytest.mark.parametrize("job", [JobState(QUEUED), running()], ids=["queued", "running"])
    def test_of_another_job_changes_nothing(self, job: JobState) -> None:
        verdict = transitions.retry(job)
        assert (verdict.accepted, verdict.state) == (False, job)

    def test_gives_as_many_attempts_as_a_new_job_has(self) -> None:
        lost = running(MINE, attempt=5, forgiven=3, lease_until=OVER)
        assert transitions.expire(lost, OPEN, NOW).state.status == QUEUED
        assert transitions.expire(replace(lost, attempt=6), OPEN, NOW).state.status == CRASHED


class TestTickets:
    @pytest.mark.parametrize("terms", [OPEN, CLOSED], ids=["open", "closed"])
    @pytest.mark.parametrize("dispatched", [True, False])
    @pytest.mark.parametrize("job", [JobState(QUEUED), running(), ended(DONE)], ids=["queued", "running", "done"])
    def test_are_wanted_for_queued_jobs_of_open_experiments(
        self, job: JobState, dispatched: bool, terms: Terms
    ) -> None:
        wanted = job.status == QUEUED and terms.open and not dispatched
        assert transitions.wants_ticket(replace(job, dispatched=dispatched), terms) == wanted

    @pytest.mark.parametrize("job", [JobState(QUEUED, ticket=4), running(dispatched=False)], ids=["queued", "running"])
    def test_that_are_published_are_out_if_they_are_the_wanted_ones(self, job: JobState) -> None:
        assert transitions.ticket_published(job, job.ticket) == replace(job, dispatched=True)
        for other in (job.ticket - 1, job.ticket + 1):
            assert transitions.ticket_published(job, other) == job

    def test_that_are_lost_are_wanted_again(self) -> None:
        job = JobState(QUEUED, OTHER, 1, dispatched=True)
        assert transitions.ticket_lost(job) == replace(job, dispatched=False, ticket=2)

    @pytest.mark.parametrize("job", [running(), ended(DONE)], ids=["running", "done"])
    def test_that_are_lost_mean_nothing_to_a_job_that_needs_none(self, job: JobState) -> None:
        assert transitions.ticket_lost(job) == job
