"""Experiments that make their own jobs, as the results service's loop sees them.

A few jobs of each are kept ready. When a job is claimed, or ends, or a worker waits for one, the transaction that notes
it also writes down which further jobs are wanted, and how many had ended at that moment. A search process then makes
them from what was known at that moment, however long it takes; so a restart in between repeats and skips nothing, and
one worker gets the same jobs again from the same seed. The service stores what it makes as it stores pushed jobs.
"""

import logging
import time
from collections.abc import Callable, Iterable

from schedy.amqp.channel import Incoming
from schedy.wire.answers import DemandAnswer, ReportAnswer
from schedy.wire.base import Answer
from schedy.wire.records import SEARCH_FAILED
from schedy_store.lifecycle.effects import Effects, PrunerCall, SearchCheck
from schedy_store.lifecycle.experiment_changes import withdraw
from schedy_store.schema.engine import Transaction
from schedy_store.search.wire import CheckAnswer, ProcessEnded, PruneAnswer, SearchAnswer, SuggestAnswer
from schedy_store.service.searches.backlog import Backlog
from schedy_store.service.searches.held_checks import HeldChecks
from schedy_store.service.searches.held_reports import HeldReports, store_pruner_state
from schedy_store.service.searches.search_look import SearchLook
from schedy_store.service.searches.search_processes import SHARED, SearchProcesses
from schedy_store.service.searches.search_rows import SearchRow, SearchRows
from schedy_store.service.searches.search_state import SearchState
from schedy_store.service.searches.waiting_workers import SERVED, Reply, ServedWaits

_log = logging.getLogger(__name__)

_RETRY_SECONDS = 20.0
"""An algorithm that has failed is asked again after this time."""
_MOST_FAILURES = 5
"""A search ends when its algorithm has failed so often in a row: it would fail in the same way for ever."""
_LOOK_SECONDS = 2.0
_DELETED = DemandAnswer(there=False, reason="the experiment was deleted.")


class Searches:
    """Keeps the searches going. Methods are called in the loop's thread, for each batch in this order:

    1. `note_tickets`, for tickets that the broker has confirmed: `look` tells waiting workers that they are there.
    2. `take`, within the transaction: what the processes have made is stored first, so that messages of the batch, such
       as a lower budget or a deletion, find it, and `look` does not want it again.
    3. `note`, after each message is applied: its effects say which searches to look at, and which workers wait.
    4. `look`, once, at the end of the transaction: it decides by all that the batch has changed.
    5. `ask_pruner` and `send`, after the commit: processes read the store, and an answer must be true when it arrives.

    If the transaction fails the same calls come again. That does no harm: what a process has made and the store does
    not have is asked for again and made again in the same way, and workers repeat their questions.
    """

    def __init__(self, store_url: str, *, patience_seconds: float) -> None:
        """`patience_seconds` is how long an algorithm may take for one answer."""
        self._processes = SearchProcesses(store_url, patience_seconds=patience_seconds)
        self._searches: dict[int, SearchState] = {}
        self._served = ServedWaits()
        self._held_reports = HeldReports()
        self._held_checks = HeldChecks()
        self._to_look_at: set[int] = set()
        self._to_ask: list[SearchState] = []
        self._replies: list[Reply] = []
        self._next_look = 0.0
        """When to look at all searches again, in monotonic seconds."""

    def reset(self, on_answer: Callable[[SearchAnswer], None]) -> None:
        """Start again, after a take-over or a lost connection.

        `on_answer` is called in threads of the search processes; what it gets must come back through `take`.
        """
        self._processes.reset(on_answer)
        self._searches.clear()
        self._held_reports.clear()
        self._held_checks.clear()
        self._to_ask.clear()
        self._replies.clear()
        self._next_look = 0.0

    def end(self) -> None:
        """End the search processes."""
        self._processes.end()

    def note(self, incoming: Incoming, effects: Effects) -> None:
        """Note what a message means for searches.

        The question of a waiting worker is ignored if it is redelivered: an instance that died may have answered it,
        and its worker may long be running a job. A worker that still waits asks again by itself.
        """
        self._to_look_at |= effects.touched
        now = time.monotonic()
        if effects.served is not None and self._searches:
            self._served.add(effects.served, now)
            for search in self._searches.values():
                self._replies += search.waiting.serve(effects.served)
        if effects.waiting is not None and not incoming.redelivered:
            experiment_pk, wait_id = effects.waiting
            if self._served.has(wait_id, now):  # it was sent again on the way: no other job is to be made
                self._replies.append(Reply(incoming, SERVED))
            else:
                self._search(experiment_pk).waiting.add(wait_id, incoming, now)

    def note_tickets(self, experiments: Iterable[int]) -> None:
        """Note that tickets of these experiments are out now."""
        self._to_look_at |= self._searches.keys() & set(experiments)

    def take(self, transaction: Transaction, answers: Iterable[SearchAnswer]) -> Effects:
        """Store what the search processes have answered."""
        effects = Effects()
        for answer in answers:
            match answer:
                case SuggestAnswer():
                    self._take_suggestions(transaction, answer, effects)
                case PruneAnswer():
                    self._take_verdict(transaction, answer)
                case CheckAnswer():
                    self._take_check(transaction, answer, effects)
                case ProcessEnded():
                    self._take_end(transaction, answer, effects)
        return effects

    def look(self, transaction: Transaction) -> Effects:
        """Write down which jobs are wanted by searches that need a look, and complete those that are over."""
        effects, rows, now = Effects(), SearchRows(transaction), time.monotonic()
        if now >= self._next_look:
            self._next_look = now + _LOOK_SECONDS
            self._to_look_at |= rows.running()
            self._processes.kill_overdue(self._searches.values())
        self._to_look_at |= {pk for pk, search in self._searches.items() if search.waiting.has_due(now)}
        to_look_at, self._to_look_at = self._to_look_at, set()
        for pk in sorted(to_look_at):
            row = rows.find(pk)
            if row is None:
                self._leave(pk)
            else:
                self._look_at(transaction, row, effects)
        return effects

    def ask_pruner(self, incoming: Incoming, answer: ReportAnswer, call: PrunerCall) -> bool:
        """Hold the answer to a report until the pruner has judged its job; False if the pruner has too much to do."""
        if self._held_reports.is_full:
            return False
        self._held_reports.hold(self._processes.ask_pruner(call), incoming, answer)
        return True

    def ask_check(self, incoming: Incoming, answer: Answer, check: SearchCheck) -> bool:
        """Hold the answer to a new search until its process has checked the definition; False if it has enough to do.

        A process that takes long, or dies, does not keep the experiment from being added: it fails later, if at all.
        """
        if self._held_checks.replace(incoming, check):
            return True
        if self._held_checks.is_full:
            return False
        self._held_checks.hold(self._processes.ask_check(check), incoming, answer, check)
        return True

    def send(self, reply: Callable[[Incoming, Answer], None]) -> None:
        """Ask the search processes, and answer what is due."""
        now = time.monotonic()
        self._replies += self._held_checks.release_due(now) + self._held_reports.release_due(now)
        to_ask, self._to_ask = self._to_ask, []
        for search in to_ask:
            self._processes.ask(search)
        replies, self._replies = self._replies, []
        for each in replies:
            reply(each.incoming, each.answer)

    def _search(self, pk: int) -> SearchState:
        return self._searches.setdefault(pk, SearchState(pk))

    def _leave(self, pk: int) -> None:
        """Answer those who wait for a job of an experiment that was deleted, and forget it."""
        if pk in self._searches:
            self._replies += self._searches[pk].waiting.answer(_DELETED)
        self._forget(pk)

    def _forget(self, pk: int) -> None:
        """Forget a search whose experiment is DONE or gone, once no process works for it."""
        if pk in self._searches and self._searches[pk].is_idle:
            del self._searches[pk]

    def _look_at(self, transaction: Transaction, row: SearchRow, effects: Effects) -> None:
        search = self._search(row.pk)
        self._replies.extend(SearchLook(transaction, row, search).run(effects))
        if search.next_question is not None:
            self._to_ask.append(search)
        elif row.status == "DONE" and search.waiting.count(time.monotonic()) == 0:
            self._forget(row.pk)

    def _take_suggestions(self, transaction: Transaction, answer: SuggestAnswer, effects: Effects) -> None:
        search = self._searches.get(answer.experiment_pk)
        if search is None or not self._processes.accept(search, answer):
            return
        self._to_look_at.add(search.pk)
        row = SearchRows(transaction).find(search.pk)
        if row is None:
            return
        backlog = Backlog(transaction, row.pk)
        wanted = backlog.wanted()
        if row.status == "RUNNING" and backlog.store(answer.made, wanted):
            effects.tickets_wanted.add(row.pk)
        self._note_success(transaction, search, row, answer)
        missing = wanted[len(answer.made) :]
        match answer.end:
            case "exhausted":
                backlog.exhaust(answer.reason, made=row.made - len(missing))
            case "unusable":
                self._give_up(transaction, row, f"{SEARCH_FAILED}: {answer.reason}", effects)
            case "not_yet":
                search.not_yet_at = missing[0].known if missing else 0
                search.has_asked_idle &= not answer.made
            case "failed":
                self._note_failure(transaction, search, answer.reason, effects)

    def _note_success(
        self, transaction: Transaction, search: SearchState, row: SearchRow, answer: SuggestAnswer
    ) -> None:
        """Forget earlier failures of a search that goes on; no job may be due yet, which shows nothing."""
        has_failed = answer.end in ("failed", "unusable")
        if answer.made or not has_failed:
            search.failures = 0
        if answer.made and not has_failed:
            SearchRows(transaction).clear_failure(row)

    def _take_verdict(self, transaction: Transaction, answer: PruneAnswer) -> None:
        store_pruner_state(transaction, answer)
        self._replies += self._held_reports.release(answer)

    def _take_check(self, transaction: Transaction, answer: CheckAnswer, effects: Effects) -> None:
        """Answer to a new search; the experiment is removed if its definition was refused.

        If the refusal is late, and the experiment stands, its search ends.
        """
        held = self._held_checks.take(answer.question)
        if held is None:
            row = SearchRows(transaction).find(answer.experiment_pk)
            if answer.problem and row is not None:
                self._give_up(transaction, row, f"{SEARCH_FAILED}: {answer.problem}", effects)
                self._to_look_at.add(row.pk)
            return
        removal = withdraw(transaction, held.check, answer.problem) if answer.problem else Effects()
        effects.queues += removal.queues
        effects.log += removal.log
        self._replies.append(Reply(held.incoming, removal.answer or held.answer))

    def _take_end(self, transaction: Transaction, ended: ProcessEnded, effects: Effects) -> None:
        """Ask the questions of a process that has ended again; the search that it worked for may be to blame."""
        _log.error("%s", ended.reason)
        searches = self._processes.close_questions(ended.process, self._searches.values())
        self._to_look_at |= {search.pk for search in searches}
        if searches and searches[0].blame():
            self._note_failure(transaction, searches[0], ended.reason, effects)
        if ended.process == SHARED:
            self._replies += self._held_reports.release_all()
        self._replies += self._held_checks.release_of(ended.process)

    def _note_failure(self, transaction: Transaction, search: SearchState, problem: str, effects: Effects) -> None:
        """Let a failed algorithm rest, and show the failure with its experiment; end a search that fails for good."""
        rows = SearchRows(transaction)
        row = rows.find(search.pk)
        if row is None:
            return
        self._to_look_at.add(search.pk)
        search.failures += 1
        if search.failures >= _MOST_FAILURES:
            search.failures = 0
            reason = f"{SEARCH_FAILED} {_MOST_FAILURES} times in a row: {problem}"
            self._give_up(transaction, row, reason, effects)
        else:
            search.retry_at = time.monotonic() + _RETRY_SECONDS
            effects.log += rows.show_failure(row, problem)

    def _give_up(self, transaction: Transaction, row: SearchRow, reason: str, effects: Effects) -> None:
        """End a search that has failed for good: what is wanted is not made, and workers learn the reason."""
        rows, backlog = SearchRows(transaction), Backlog(transaction, row.pk)
        backlog.exhaust(reason, made=row.made - len(backlog.wanted()))
        rows.clear_failure(row)
        effects.log.append(rows.note_end(row, reason))
