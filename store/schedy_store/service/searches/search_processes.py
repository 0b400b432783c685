"""The search processes of the results service, and the questions that they have not answered yet."""

import itertools
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from schedy.search.algorithms import ALGORITHMS, MANUAL
from schedy_store.lifecycle.effects import PrunerCall, SearchCheck
from schedy_store.search.process import SearchProcess
from schedy_store.search.wire import CheckQuestion, PruneQuestion, SearchAnswer, SuggestAnswer, SuggestQuestion
from schedy_store.service.searches.search_state import OpenQuestion, SearchState

SHARED = ""
"""Name of the process for Schedy's own algorithms and all pruners."""


def process_of(scheduler: str) -> str:
    """Return the name of the process that runs an algorithm."""
    return SHARED if scheduler in ALGORITHMS or scheduler == MANUAL else scheduler


@dataclass(slots=True)
class _Process:
    process: SearchProcess
    answered_at: float = 0.0
    """When it last answered, in monotonic seconds."""


class SearchProcesses:
    """One process for Schedy's own algorithms, and one for each algorithm of a user's own, which may hang or die.

    Methods are called in the loop's thread; answers, and ends of processes, go to `on_answer` in other threads.
    """

    def __init__(self, store_url: str, *, patience_seconds: float) -> None:
        self._store_url = store_url
        self._patience_seconds = patience_seconds
        self._on_answer: Callable[[SearchAnswer], None] | None = None
        self._numbers = itertools.count(1)
        self._processes: dict[str, _Process] = {}

    def reset(self, on_answer: Callable[[SearchAnswer], None]) -> None:
        """End all processes; answers of later ones go to `on_answer`."""
        self.end()
        self._on_answer = on_answer

    def end(self) -> None:
        """End all processes; nothing more arrives from them."""
        for each in self._processes.values():
            each.process.end()
        self._processes.clear()

    def ask(self, search: SearchState) -> None:
        """Ask the next question of a search, if there is one."""
        question, search.next_question = search.next_question, None
        if question is None:
            return
        number = next(self._numbers)
        search.open_question = OpenQuestion(number, question.process, time.monotonic())
        self._named(question.process).process.ask(
            SuggestQuestion(question=number, experiment_pk=search.pk, wanted=question.wanted)
        )

    def ask_pruner(self, call: PrunerCall) -> int:
        """Ask whether to prune a job; return the number of the question."""
        number = next(self._numbers)
        self._named(SHARED).process.ask(
            PruneQuestion(question=number, experiment_pk=call.experiment_pk, job_pk=call.job_pk, token=call.token)
        )
        return number

    def ask_check(self, check: SearchCheck) -> int:
        """Ask whether what will run a new experiment takes its definition; return the number of the question."""
        number = next(self._numbers)
        question = CheckQuestion(question=number, experiment_pk=check.experiment_pk)
        self._named(process_of(check.scheduler)).process.ask(question)
        return number

    def accept(self, search: SearchState, answer: SuggestAnswer) -> bool:
        """Close the open question of a search; False if the answer is to another one."""
        question = search.open_question
        if question is None or question.number != answer.question:
            return False
        search.note_answer()
        self._named(question.process).answered_at = time.monotonic()
        return True

    def kill_overdue(self, searches: Iterable[SearchState]) -> None:
        """Kill processes that take too long over one question; time spent waiting for earlier questions is free."""
        searches, now = list(searches), time.monotonic()
        for name, each in self._processes.items():
            waiting = _open_questions(name, searches)
            if not waiting:
                continue
            question, search = waiting[0]
            if now - max(question.asked_at, each.answered_at) > self._patience_seconds:
                search.is_overdue = True
                each.process.kill()

    def close_questions(self, process: str, searches: Iterable[SearchState]) -> list[SearchState]:
        """Close all questions to a process that has ended; return their searches, first the one it worked for."""
        closed = [search for _question, search in _open_questions(process, searches)]
        for search in closed:
            search.open_question = None
        return closed

    def _named(self, name: str) -> _Process:
        if self._on_answer is None:
            raise RuntimeError("Call `reset` before asking: nobody takes the answers.")
        if name not in self._processes:
            self._processes[name] = _Process(SearchProcess(self._store_url, name=name, on_answer=self._on_answer))
        return self._processes[name]


def _open_questions(process: str, searches: Iterable[SearchState]) -> list[tuple[OpenQuestion, SearchState]]:
    """Return the open questions to a process, in the order in which it answers them."""
    found = [
        (search.open_question, search)
        for search in searches
        if search.open_question is not None and search.open_question.process == process
    ]
    return sorted(found, key=lambda pair: pair[0].number)
