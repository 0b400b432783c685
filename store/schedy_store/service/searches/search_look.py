"""One look at a search: the jobs to want, the question to its algorithm, and the answers to waiting workers."""

import time
from datetime import datetime

from schedy.search.algorithms import ALGORITHMS, OTHERS_READY
from schedy.search.definition import Definition
from schedy.wire.answers import DemandAnswer
from schedy_store.lifecycle.effects import Effects
from schedy_store.schema.engine import Transaction
from schedy_store.search.wire import WantedNumber
from schedy_store.service.searches.backlog import Backlog, WantedRow
from schedy_store.service.searches.search_processes import process_of
from schedy_store.service.searches.search_rows import SearchRow, SearchRows
from schedy_store.service.searches.search_state import NextQuestion, SearchState
from schedy_store.service.searches.waiting_workers import Reply

_ASKED_AT_ONCE = 50
_RUNNING_FOR_EACH_AHEAD = 8


class SearchLook:
    """A search as one transaction finds it. `run` decides once; its steps depend on their order."""

    def __init__(self, transaction: Transaction, row: SearchRow, state: SearchState) -> None:
        self._rows = SearchRows(transaction)
        self._backlog = Backlog(transaction, row.pk)
        self._row = row
        self._state = state
        self._now = time.monotonic()
        self._definition = state.definition(row.settings)
        self._ready = self._wanted_ready()
        self._ended = self._backlog.ended()
        self._queued = self._backlog.queued(max(1, self._ready))
        self._wanted = self._backlog.wanted()
        self._end_reason = _end_reason(row, self._definition, transaction.now)

    def run(self, effects: Effects) -> list[Reply]:
        """Bring the search up to date; return replies to waiting workers."""
        self._drop_surplus()  # first: what a lowered budget does not cover is not asked for
        if self._row.is_open and not self._end_reason:
            self._want()
        if self._row.is_open and self._wanted:
            self._prepare_question()
        replies = self._answer_waiting()  # after `_want`: what is wanted will be there soon
        if self._end_reason and not self._wanted and self._row.status == "RUNNING":
            self._complete(effects)
        return replies

    def _wanted_ready(self) -> int:
        """Return how many jobs should be ready: one for each waiting worker, and at least `ready`.

        A search in which each result counts makes few ahead, if many workers run: it knows as little of their jobs.
        """
        rules = ALGORITHMS.get(self._row.scheduler)
        ready = self._definition.ready
        if ready is None:
            default = OTHERS_READY if rules is None else rules.ready
            ready = default or self._backlog.running() // _RUNNING_FOR_EACH_AHEAD
        return max(ready, self._state.waiting.count(self._now))

    def _drop_surplus(self) -> None:
        """Drop wanted suggestions that the budget, lowered meanwhile, does not cover, or all if the search is over."""
        kept = self._affordable()
        if len(kept) < len(self._wanted):
            self._backlog.drop_from(self._wanted[len(kept)].suggestion)
            self._wanted = kept

    def _affordable(self) -> list[WantedRow]:
        budget = self._definition.max_jobs
        is_spent = budget is not None and self._row.made >= budget
        if self._end_reason and not is_spent:
            return []
        return [row for row in self._wanted if budget is None or row.suggestion < budget]

    def _want(self) -> None:
        """Want as many further suggestions as are missing from those that should be ready."""
        made, budget = self._row.made, self._definition.max_jobs
        missing = self._ready - len(self._queued) - len(self._wanted)
        if budget is not None:
            missing = min(missing, budget - made)
        if missing > 0:
            self._backlog.want(missing, first=made, known=self._ended)
            self._wanted = self._backlog.wanted()

    def _prepare_question(self) -> None:
        """Ask for what is wanted, unless the algorithm is working, rests after a failure, or needs results."""
        state = self._state
        if state.open_question is not None or self._is_resting() or self._is_waiting_for_results():
            return
        if state.not_yet_at is not None:
            state.not_yet_at = None
            self._backlog.want_again(known=self._ended)
            self._wanted = self._backlog.wanted()
        state.has_asked_idle = not self._backlog.has_unfinished()
        wanted = [WantedNumber(number=row.suggestion, known=row.known) for row in self._wanted[:_ASKED_AT_ONCE]]
        state.next_question = NextQuestion(process_of(self._row.scheduler), wanted)

    def _is_resting(self) -> bool:
        """Return whether the algorithm has failed a short time ago."""
        return self._now < self._state.retry_at

    def _is_waiting_for_results(self) -> bool:
        """Return whether the algorithm had no suggestion, and no job has ended since.

        If all jobs that it waited for were removed, it is asked once more.
        """
        if self._state.not_yet_at != self._ended:
            return False
        return self._state.has_asked_idle or self._backlog.has_unfinished()

    def _answer_waiting(self) -> list[Reply]:
        waiting = self._state.waiting
        if self._row.is_open and self._queued:
            has_ticket = any(job.dispatched_at is not None for job in self._queued)
            return waiting.answer(DemandAnswer(there=True)) if has_ticket else []  # its ticket is on its way
        reason = self._why_no_job()
        if reason:
            return waiting.answer(DemandAnswer(there=False, reason=reason))
        return waiting.answer_due(DemandAnswer(there=False, coming=True, reason="it is being made."), self._now)

    def _why_no_job(self) -> str:
        """Return why no job will be there soon, empty if one will."""
        if not self._row.is_open:
            return "the experiment is paused or DONE."
        if self._is_resting():
            return self._row.problem or "the search has failed."
        if self._is_waiting_for_results():
            return "the search waits for running jobs to end."
        return self._end_reason if not self._wanted else ""

    def _complete(self, effects: Effects) -> None:
        """Make the experiment DONE once all its jobs have ended: workers that wait for a job stop waiting."""
        if self._queued or self._backlog.has_unfinished():
            return
        effects.log.append(self._rows.complete(self._row, self._end_reason))
        effects.queues.append(("gone", self._row.name))


def _end_reason(row: SearchRow, definition: Definition, now: datetime) -> str:
    """Return why a search wants no further job, empty if it does."""
    if definition.max_jobs is not None and row.made >= definition.max_jobs:
        return f"All {definition.max_jobs} jobs have been made."
    if definition.max_time is not None and (now - row.timed_from).total_seconds() > definition.max_time:
        return f"The time for making jobs ({definition.max_time:g} s) is over."
    return row.search_end or ""
