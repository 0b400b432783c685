"""The life of a job as a pure function: the claim table of docs/architecture.md, and every reachable state."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from schedy.messages import CRASHED, DONE, FINAL_STATUSES, PRUNED, QUEUED, RUNNING, FinalStatus, JobStatus
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
    return JobState(RUNNING, token, attempt, sequence, lease_until, dispatched)


def ended(status: FinalStatus, token: str | None = OTHER, *, sequence: int = 1) -> JobState:
    return JobState(status, token, 1, sequence, None, True)


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
        assert verdict.state == JobState(RUNNING, MINE, 2, 0, NOW + LEASE, dispatched)

    def test_of_a_job_queued_again_by_its_last_token_goes_on_with_the_same_attempt(self) -> None:
        job = JobState(QUEUED, MINE, attempt=2, sequence=3)
        verdict = transitions.claim(job, OPEN, MINE, NOW)
        assert verdict.accepted
        assert verdict.state == running(MINE, attempt=2, sequence=3, lease_until=NOW + LEASE, dispatched=False)

    def test_of_a_job_whose_holder_was_silent_for_a_lease_is_granted_as_a_further_attempt(self) -> None:
        verdict = transitions.claim(running(OTHER, sequence=5, lease_until=OVER), OPEN, MINE, NOW)
        assert verdict.accepted
        assert verdict.state == JobState(RUNNING, MINE, 2, 0, NOW + LEASE, dispatched=False)

    def test_of_a_job_whose_last_attempt_was_lost_is_denied_and_the_job_crashed(self) -> None:
        verdict = transitions.claim(running(OTHER, attempt=3, lease_until=OVER), OPEN, MINE, NOW)
        assert not verdict.accepted
        assert verdict.state.status == CRASHED
        assert verdict.state.lease_until is None

    def test_of_a_lost_job_in_a_closed_experiment_is_denied_and_the_job_queued(self) -> None:
        verdict = transitions.claim(running(OTHER, lease_until=OVER), CLOSED, MINE, NOW)
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
        assert verdict.state == replace(job, dispatched=False)

    @pytest.mark.parametrize("token", [MINE, OTHER, None])
    @pytest.mark.parametrize("status", FINAL_STATUSES)
    def test_of_a_final_job_is_denied_with_its_status(self, status: FinalStatus, token: str | None) -> None:
        job = ended(status, token)
        assert transitions.claim(job, OPEN, MINE, NOW) == Verdict(job, False, f"it is {status}.")


Report = Callable[[JobState, str, int], Verdict]


def progress(job: JobState, token: str, sequence: int) -> Verdict:
    return transitions.progress(job, OPEN, token, sequence, NOW)


def finish(job: JobState, token: str, sequence: int) -> Verdict:
    return transitions.finish(job, token, sequence, DONE)


def heartbeat(job: JobState, token: str, _sequence: int) -> Verdict:
    return transitions.heartbeat(job, OPEN, token, NOW)


NUMBERED: list[Report] = [progress, finish, transitions.release]
REPORTS: list[Report] = [*NUMBERED, heartbeat]


class TestReports:
    def test_progress_is_stored_and_keeps_the_lease(self) -> None:
        job = running(MINE, sequence=1, lease_until=OVER)
        assert progress(job, MINE, 3) == Verdict(replace(job, sequence=3, lease_until=NOW + LEASE), True, "stored")

    @pytest.mark.parametrize("status", FINAL_STATUSES)
    def test_finish_ends_the_job(self, status: FinalStatus) -> None:
        job = running(MINE, sequence=1)
        verdict = transitions.finish(job, MINE, 2, status)
        assert verdict == Verdict(replace(job, status=status, sequence=2, lease_until=None), True, "stored")

    def test_release_queues_the_job_without_token_ticket_and_without_counting_the_attempt(self) -> None:
        verdict = transitions.release(running(MINE, attempt=2, sequence=1), MINE, 2)
        assert verdict == Verdict(JobState(QUEUED, None, attempt=1), True, "given back")

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
            JobState(QUEUED, MINE, 2, 5, None, dispatched=False), True, "worker lost"
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
        assert transitions.ticket_lost(job) == Verdict(replace(job, dispatched=False), True)

    @pytest.mark.parametrize("job", [JobState(QUEUED), running(), ended(DONE)], ids=["not out", "running", "done"])
    def test_means_nothing_to_a_job_that_needs_none(self, job: JobState) -> None:
        assert transitions.ticket_lost(job).state == job


MAX_ATTEMPTS = 2
TOKENS = ("a", "b")


@dataclass(frozen=True)
class World:
    """A job, and what an onlooker knows: who was granted it last and whether he was silent for a lease since."""

    job: JobState
    holder: str | None = None
    silent: bool = False
    finishes: int = 0


Event = tuple[str, str, int]
"""What happens, whose token, and a sequence number, or 1/0 for an open or closed experiment."""

EVENTS: list[Event] = [
    *(("claim", token, is_open) for token in TOKENS for is_open in (0, 1)),
    *(("heartbeat", token, 0) for token in TOKENS),
    *((kind, token, number) for kind in ("progress", "finish", "release") for token in TOKENS for number in (1, 2)),
    *((kind, "", 0) for kind in ("silence", "tick", "ticket published", "ticket lost")),
]


def judge(job: JobState, event: Event) -> Verdict:
    kind, token, number = event
    terms = Terms(open=bool(number), max_attempts=MAX_ATTEMPTS, lease=LEASE)
    verdicts: dict[str, Callable[[], Verdict]] = {
        "claim": lambda: transitions.claim(job, terms, token, NOW),
        "heartbeat": lambda: transitions.heartbeat(job, terms, token, NOW),
        "progress": lambda: transitions.progress(job, terms, token, number, NOW),
        "finish": lambda: transitions.finish(job, token, number, DONE),
        "release": lambda: transitions.release(job, token, number),
        "tick": lambda: transitions.expire(job, terms, NOW),
        "ticket lost": lambda: transitions.ticket_lost(job),
        "ticket published": lambda: Verdict(replace(job, dispatched=job.dispatched or job.status == QUEUED), True),
        "silence": lambda: Verdict(replace(job, lease_until=job.lease_until and OVER), True),
    }
    return verdicts[kind]()


def step(world: World, event: Event) -> World:
    """Apply an event, and hold the verdict against what the onlooker knows."""
    kind, token, _number = event
    verdict = judge(world.job, event)
    moved = verdict.state != world.job
    if kind == "silence":
        return replace(world, job=verdict.state, silent=world.silent or world.job.status == RUNNING)
    if kind in {"heartbeat", "progress", "finish", "release"} and verdict.accepted and moved:
        assert token == world.holder, f"{event} of a fenced token was accepted: {world}"
    if kind == "claim" and verdict.accepted:
        assert token == world.holder or world.holder is None or world.silent, f"two workers: {world} {event}"
        return replace(world, job=verdict.state, holder=token, silent=False)
    if kind in {"heartbeat", "progress"} and verdict.accepted and moved:
        return replace(world, job=verdict.state, silent=False)
    if kind == "release" and verdict.accepted and moved:
        return replace(world, job=verdict.state, holder=None, silent=False)
    ends = int(kind == "finish" and verdict.accepted and moved)
    return replace(world, job=verdict.state, finishes=world.finishes + ends)


def explore() -> dict[World, list[tuple[Event, World]]]:
    """All worlds reachable from a job just pushed, with what leads where."""
    first = World(JobState(QUEUED))
    found: dict[World, list[tuple[Event, World]]] = {}
    waiting = deque([first])
    while waiting:
        world = waiting.popleft()
        if world in found:
            continue
        found[world] = [(event, step(world, event)) for event in EVENTS]
        waiting.extend(after for _event, after in found[world])
    return found


@pytest.fixture(scope="module")
def reachable() -> dict[World, list[tuple[Event, World]]]:
    return explore()


Reachable = dict[World, list[tuple[Event, World]]]


class TestEveryReachableState:
    def test_all_kinds_of_states_are_reached(self, reachable: Reachable) -> None:
        seen: set[tuple[JobStatus, int, bool]] = {
            (world.job.status, world.job.attempt, world.job.token is None) for world in reachable
        }
        assert {(QUEUED, 0, True), (QUEUED, 1, False), (QUEUED, 1, True), (RUNNING, 2, False), (DONE, 2, False)} <= seen
        assert any(status == CRASHED for status, _attempt, _token in seen)

    def test_running_means_a_lease_and_a_token(self, reachable: Reachable) -> None:
        for world in reachable:
            assert (world.job.status == RUNNING) == (world.job.lease_until is not None), world
            assert world.job.status != RUNNING or world.job.token is not None, world

    def test_attempts_stay_within_bounds(self, reachable: Reachable) -> None:
        for world in reachable:
            assert 0 <= world.job.attempt <= MAX_ATTEMPTS, world
            if world.job.status == QUEUED:
                assert world.job.attempt < MAX_ATTEMPTS, world

    def test_a_job_ends_once(self, reachable: Reachable) -> None:
        for world, leads_to in reachable.items():
            assert world.finishes <= 1, world
            if world.job.is_final:
                assert {after.job for _event, after in leads_to} == {world.job}, world

    def test_a_job_that_comes_back_wants_a_new_ticket(self, reachable: Reachable) -> None:
        for world, leads_to in reachable.items():
            for event, after in leads_to:
                if world.job.status == RUNNING and after.job.status == QUEUED:
                    assert not after.job.dispatched, (world, event)

    def test_an_event_that_comes_twice_changes_nothing_the_second_time(self, reachable: Reachable) -> None:
        for world, leads_to in reachable.items():
            for event, after in leads_to:
                assert judge(after.job, event).state == after.job, (world, event)

    def test_there_is_no_dead_end(self, reachable: Reachable) -> None:
        can_end = {world for world in reachable if world.job.is_final}
        grown = True
        while grown:
            more = set(_leading_to(reachable, can_end)) - can_end
            grown = bool(more)
            can_end |= more
        assert can_end == set(reachable)


def _leading_to(reachable: Reachable, targets: set[World]) -> Iterator[World]:
    for world, leads_to in reachable.items():
        if any(after in targets for _event, after in leads_to):
            yield world
