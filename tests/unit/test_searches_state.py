"""The state of searches between two looks: waiting workers, held reports, and blame for a process that dies."""

import time
from typing import cast

import pytest

from schedy.amqp.channel import Channel, Incoming
from schedy.wire.answers import DemandAnswer, ReportAnswer
from schedy_store.search.wire import PruneAnswer
from schedy_store.service.searches.held_reports import HeldReports
from schedy_store.service.searches.search_state import SearchState
from schedy_store.service.searches.waiting_workers import Reply, ServedWaits, WaitingWorkers

NONE = DemandAnswer(there=False, coming=True)
THERE = DemandAnswer(there=True)


def message(tag: int) -> Incoming:
    """A message whose channel nobody uses."""
    return Incoming(cast("Channel", None), tag, b"", "report.demand", None, None, None)


FIRST, SECOND = message(1), message(2)


class TestWaitingWorkers:
    def test_a_question_is_held_for_half_a_second(self) -> None:
        waiting = WaitingWorkers()
        waiting.add("a", FIRST, now=10.0)
        assert not waiting.has_due(10.4)
        assert waiting.answer_due(NONE, 10.4) == []
        assert waiting.has_due(10.5)
        assert waiting.answer_due(NONE, 10.5) == [Reply(FIRST, NONE)]

    def test_an_answered_worker_still_counts_and_is_not_answered_again(self) -> None:
        waiting = WaitingWorkers()
        waiting.add("a", FIRST, now=10.0)
        assert len(waiting.answer(THERE)) == 1
        assert (waiting.count(11.0), waiting.answer(THERE), waiting.has_due(11.0)) == (1, [], False)

    def test_a_repeated_question_takes_the_place_of_the_first_and_is_due_at_the_same_time(self) -> None:
        waiting = WaitingWorkers()
        waiting.add("a", FIRST, now=10.0)
        waiting.add("a", SECOND, now=10.4)
        assert waiting.answer_due(NONE, 10.5) == [Reply(SECOND, NONE)]

    def test_a_question_after_an_answer_is_held_again(self) -> None:
        waiting = WaitingWorkers()
        waiting.add("a", FIRST, now=10.0)
        waiting.answer(THERE)
        waiting.add("a", SECOND, now=12.0)
        assert waiting.answer_due(NONE, 12.4) == []

    def test_a_worker_that_has_a_job_or_stops_asking_counts_no_longer(self) -> None:
        waiting = WaitingWorkers()
        for name in ("a", "b"):
            waiting.add(name, FIRST, now=10.0)
        assert waiting.serve("a") == [Reply(FIRST, THERE)]
        assert waiting.serve("unknown") == []
        assert (waiting.count(24.9), waiting.count(25.0)) == (1, 0)

    def test_a_worker_that_gets_a_job_after_its_answer_is_not_answered_again(self) -> None:
        waiting = WaitingWorkers()
        waiting.add("a", FIRST, now=10.0)
        waiting.answer(THERE)
        assert waiting.serve("a") == []

    def test_it_is_known_for_a_while_who_has_got_a_job(self) -> None:
        served = ServedWaits()
        served.add("a", 11.0)
        assert served.has("a", 25.9)
        assert not served.has("a", 26.0)
        served.add("b", 26.0)
        assert served._until.keys() == {"b"}


class TestHeldReports:
    def verdict(self, question: int, *, prune: bool) -> PruneAnswer:
        return PruneAnswer(question=question, job_pk=1, token="a", prune=prune)

    @pytest.mark.parametrize("prune", [True, False])
    def test_the_verdict_is_added_to_the_answer(self, prune: bool) -> None:
        held = HeldReports()
        held.hold(1, FIRST, ReportAnswer(accepted=True))
        assert held.release(self.verdict(1, prune=prune)) == [Reply(FIRST, ReportAnswer(accepted=True, prune=prune))]
        assert held.release(self.verdict(1, prune=prune)) == []

    def test_all_are_released_without_a_verdict(self) -> None:
        held = HeldReports()
        held.hold(1, FIRST, ReportAnswer(accepted=True))
        assert held.release_all() == [Reply(FIRST, ReportAnswer(accepted=True))]
        assert held.release_all() == []

    def test_a_slow_pruner_keeps_none(self) -> None:
        held, now = HeldReports(), time.monotonic()
        held.hold(1, FIRST, ReportAnswer(accepted=True))
        assert held.release_due(now + 1.0) == []
        assert held.release_due(now + 60.0) == [Reply(FIRST, ReportAnswer(accepted=True))]
        assert held.release(self.verdict(1, prune=True)) == []

    def test_it_takes_no_more_than_the_pruner_can_judge(self) -> None:
        held = HeldReports()
        for question in range(500):
            assert not held.is_full
            held.hold(question, FIRST, ReportAnswer(accepted=True))
        assert held.is_full


class TestBlame:
    def test_a_process_that_dies_once_is_no_fault_of_the_search(self) -> None:
        search = SearchState(1)
        assert not search.blame()
        assert search.blame()

    def test_an_answer_in_between_clears_it(self) -> None:
        search = SearchState(1)
        assert not search.blame()
        search.note_answer()
        assert not search.blame()

    def test_one_that_took_too_long_is_to_blame_at_once(self) -> None:
        search = SearchState(1, is_overdue=True)
        assert search.blame()
        assert not search.blame()
