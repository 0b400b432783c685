"""The real `schedy_store.transitions`, called once for each (job, event): its verdicts are remembered."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any, NamedTuple

from schedy.wire.base import DONE, FINAL_STATUSES, QUEUED
from schedy_store.lifecycle import transitions

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LEASE = timedelta(seconds=30)
OVER = NOW
ALIVE = NOW + LEASE

DELETED = 0
"""The number of the job that is no more."""


class Row(NamedTuple):
    """The parts of a `JobState` that the model looks at."""

    status: str
    token: int = 0
    attempt: int = 0
    counted: int = 0
    sequence: int = 0
    lease: str = ""
    stop: str | None = None
    dispatched: bool = False
    final: bool = False
    releases: int = 0


class Judged(NamedTuple):
    """A verdict. `withdrawn`: another ticket number is wanted now."""

    job: int
    accepted: bool
    reason: str
    withdrawn: bool


class Judge:
    """Numbers job states and asks `rules`, the module `transitions` or a mutation of it."""

    def __init__(self, rules: ModuleType, *, max_attempts: int, retry_timeouts: bool, max_releases: int) -> None:
        self._rules: Any = rules
        terms = rules.Terms(open=True, max_attempts=max_attempts, lease=LEASE, retry_timeouts=retry_timeouts)
        self._terms = {True: terms, False: replace(terms, open=False)}
        self.max_attempts = max_attempts
        self.max_releases = max_releases
        self.stored: str = rules.STORED
        self.given_back: str = rules.GIVEN_BACK
        self.rows = [Row("deleted")]
        self._states: list[Any] = [None]
        self._numbers: dict[Any, int] = {}
        self._verdicts: dict[tuple[str, int, bool, int, int], Judged] = {}
        self._names: dict[tuple[int, int], int] = {}
        self._leases: dict[tuple[int, bool], int] = {}
        self._wanting: dict[tuple[int, bool], bool] = {}
        self.first = self._number(rules.JobState(QUEUED))

    def verdict(self, event: str, job: int, is_open: bool, token: int = 0, sequence: int = 0) -> Judged:
        """Ask for the verdict on an event that is named as its function."""
        key = (event, job, is_open, token, sequence)
        known = self._verdicts.get(key)
        if known is None:
            known = self._verdicts[key] = self._ask(event, self._states[job], is_open, token, sequence)
        return known

    def wants_ticket(self, job: int, is_open: bool) -> bool:
        key = (job, is_open)
        if key not in self._wanting:
            self._wanting[key] = job != DELETED and self._rules.wants_ticket(self._states[job], self._terms[is_open])
        return self._wanting[key]

    def renamed(self, job: int, names: dict[int, int]) -> int:
        """Return the same job under another token."""
        token = names[self.rows[job].token]
        key = (job, token)
        if key not in self._names:
            same = self.rows[job].token == token
            self._names[key] = job if same else self._number(replace(self._states[job], token=_text(token)))
        return self._names[key]

    def with_lease(self, job: int, lease_until: datetime) -> int:
        """Time has passed, or the service has renewed all leases: `Leases.renew`."""
        key = (job, lease_until is OVER)
        if key not in self._leases:
            self._leases[key] = self._number(replace(self._states[job], lease_until=lease_until))
        return self._leases[key]

    def _ask(self, event: str, state: Any, is_open: bool, token: int, sequence: int) -> Judged:
        rules, terms, name = self._rules, self._terms[is_open], _text(token)
        verdicts: dict[str, Callable[[], Any]] = {
            "claim": lambda: rules.claim(state, terms, name, NOW),
            "heartbeat": lambda: rules.heartbeat(state, terms, name, NOW),
            "progress": lambda: rules.progress(state, terms, name, sequence, NOW),
            "finish": lambda: rules.finish(state, terms, name, sequence, DONE),
            "release": lambda: rules.release(state, terms, name, sequence, self.max_releases),
            "release unbegun": lambda: rules.release(state, terms, name, sequence, self.max_releases, begun=False),
            "expire": lambda: rules.expire(state, terms, NOW),
            "expire unbegun": lambda: rules.expire(state, terms, NOW, begun=False),
            "lease over": lambda: rules.lease_over(state, terms),
            "overdue": lambda: rules.overdue(state, terms, "job_timeout", NOW),
            "cancel": lambda: rules.cancel(state, terms, NOW),
            "retry": lambda: rules.retry(state),
            "wanted ticket published": lambda: _accepted(rules.ticket_published(state, state.ticket)),
            "older ticket published": lambda: _accepted(rules.ticket_published(state, state.ticket - 1)),
            "ticket lost": lambda: _accepted(rules.ticket_lost(state)),
        }
        verdict = verdicts[event]()
        withdrawn = verdict.state.ticket != state.ticket
        return Judged(self._number(verdict.state), verdict.accepted, verdict.reason, withdrawn)

    def _number(self, state: Any) -> int:
        """Number a state. Of its ticket number only the changes matter, and those are in `Judged`."""
        state = replace(state, ticket=1)
        number = self._numbers.get(state)
        if number is None:
            number = self._numbers[state] = len(self._states)
            self._states.append(state)
            self.rows.append(_row(state))
        return number


def _accepted(state: Any) -> transitions.Verdict:
    return transitions.Verdict(state, True)


def _text(token: int) -> str | None:
    return str(token) if token else None


def _row(state: Any) -> Row:
    lease = "" if state.lease_until is None else "alive" if state.lease_until > NOW else "over"
    return Row(
        state.status,
        int(state.token or 0),
        state.attempt,
        state.counted_attempts,
        state.sequence,
        lease,
        state.stop,
        state.dispatched,
        state.status in FINAL_STATUSES,
        state.releases,
    )
