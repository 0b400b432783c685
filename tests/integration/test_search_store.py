"""Searches in every database: the jobs that are wanted, each of which is stored once."""

import queue
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, ClassVar, cast

import pytest
import sqlalchemy as sa
from sqlalchemy import select, text, update
from sqlalchemy.exc import IntegrityError

from schedy.amqp.channel import Channel, Incoming
from schedy.wire.answers import DemandAnswer, ExperimentChangedAnswer, Refusal
from schedy.wire.base import Answer
from schedy.wire.changes import (
    AddExperiment,
    CancelJobs,
    Change,
    DeleteExperiment,
    DeleteJob,
    NewJob,
    Push,
    UpdateExperiment,
)
from schedy.wire.records import ExperimentRecord
from schedy.wire.requests import GetExperiments
from schedy_store.lifecycle.changes import Changes
from schedy_store.lifecycle.effects import Effects, WaitingWorker
from schedy_store.reads import answer_request
from schedy_store.schema.engine import Store
from schedy_store.schema.tables import Experiment, Job, WantedJob
from schedy_store.search.wire import ProcessEnded, SearchAnswer, SuggestAnswer
from schedy_store.service.searches.searches import Searches
from tests.integration.test_store import WORKER, fresh

SPACE = {"x": {"uniform": {"low": 0, "high": 1}}}


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    opened = Store.open(store_url)
    yield opened
    opened.close()


class SearchDesk:
    """Searches with their process and their transactions; nothing comes from or goes to a broker."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.arrived: queue.SimpleQueue[SearchAnswer] = queue.SimpleQueue()
        self.searches = Searches(store.url, patience_seconds=30.0)
        self.searches.reset(self.arrived.put)

    def end(self) -> None:
        self.searches.end()

    def change(self, change: Change[Any]) -> Any:
        with self.store.transaction() as transaction:
            return Changes(transaction, lease_seconds=30.0, max_attempts=2).apply(change).answer

    def add(self, scheduler: str = "random", **settings: Any) -> ExperimentRecord:
        definition = {"hyperparameters": SPACE, "seed": 1, "ready": 5, **settings}
        answer = self.change(AddExperiment(request_id=fresh(), name="E", scheduler=scheduler, settings=definition))
        assert isinstance(answer, ExperimentChangedAnswer), answer
        return answer.experiment

    def redefine(self, experiment: ExperimentRecord, **changes: Any) -> None:
        settings = {**self.record().settings, **changes}
        self.change(UpdateExperiment(request_id=fresh(), experiment_uid=experiment.uid, settings=settings))

    def look(self) -> None:
        """Look at every search, as the service does now and then."""
        self.searches._next_look = 0.0
        with self.store.transaction() as transaction:
            self.searches.look(transaction)

    def answers(self) -> list[SuggestAnswer]:
        """Ask the questions that are due, and return the answers of the search process."""
        if not self.searches._to_ask:
            return []
        self.searches.send(lambda _incoming, _answer: None)
        answer = self.arrived.get(timeout=60)
        assert isinstance(answer, SuggestAnswer), answer
        return [answer]

    def take(self, *answers: SearchAnswer) -> None:
        with self.store.transaction() as transaction:
            self.searches.take(transaction, list(answers))

    def go_round(self) -> list[SuggestAnswer]:
        """Look, ask, and store the answers."""
        self.look()
        answers = self.answers()
        self.take(*answers)
        return answers

    def numbers(self) -> list[int | None]:
        return self._all(select(Job.suggestion).order_by(Job.suggestion, Job.pk))

    def wanted(self) -> list[int | None]:
        return self._all(select(WantedJob.suggestion).order_by(WantedJob.suggestion))

    def _all(self, statement: sa.Select[*tuple[Any, ...]]) -> list[Any]:
        with self.store.transaction() as transaction:
            return list(transaction.sql.scalars(statement))

    def record(self) -> ExperimentRecord:
        with self.store.transaction() as transaction:
            answer: Any = answer_request(transaction, GetExperiments(name="E"))
        record: ExperimentRecord = answer.experiments[0]
        return record

    def grow_older(self, seconds: float) -> None:
        """Set back the time at which the experiment was added."""
        with self.store.transaction() as transaction:
            (timed_from,) = transaction.sql.scalars(select(Experiment.timed_from))
            transaction.sql.execute(update(Experiment).values(timed_from=timed_from - timedelta(seconds=seconds)))

    def end_jobs(self, experiment: ExperimentRecord) -> None:
        """Make everything that is queued final."""
        ids = self._all(select(Job.job_id).where(Job.status == "QUEUED"))
        self.change(CancelJobs(request_id=fresh(), experiment_uid=experiment.uid, job_ids=ids))


@pytest.fixture
def desk(store: Store) -> Iterator[SearchDesk]:
    made = SearchDesk(store)
    yield made
    made.end()


def test_what_is_wanted_is_made_and_stored(desk: SearchDesk) -> None:
    desk.add()
    desk.look()
    assert (desk.wanted(), desk.record().made) == (list(range(5)), 0)
    desk.take(*desk.answers())
    assert (desk.wanted(), desk.numbers(), desk.record().made) == ([], list(range(5)), 5)
    assert desk.go_round() == []


def test_an_answer_that_is_taken_twice_is_stored_once(desk: SearchDesk) -> None:
    desk.add()
    answers = desk.go_round()
    desk.take(*answers, *answers)
    assert desk.numbers() == list(range(5))


def test_the_database_refuses_a_number_that_is_there(desk: SearchDesk) -> None:
    desk.add()
    desk.go_round()
    with pytest.raises(IntegrityError, match=r"(?i)unique"):
        with desk.store.transaction() as transaction:
            transaction.sql.execute(text("UPDATE job SET suggestion = 1 WHERE suggestion = 2"))


def test_an_answer_whose_transaction_fails_is_asked_for_again(desk: SearchDesk) -> None:
    desk.add()
    desk.look()
    answers = desk.answers()
    with pytest.raises(ZeroDivisionError):
        with desk.store.transaction() as transaction:
            desk.searches.take(transaction, list(answers))
            _ = 1 / 0
    assert (desk.numbers(), desk.wanted()) == ([], list(range(5)))
    again = desk.go_round()
    assert [each.made for each in again] == [each.made for each in answers]
    assert desk.numbers() == list(range(5))


def test_two_instances_store_each_job_once(desk: SearchDesk, store: Store) -> None:
    """Two instances of the service, one of which does not know yet that the other has taken over."""
    desk.add()
    other = SearchDesk(store)
    desk.look()
    other.look()
    assert desk.wanted() == list(range(5))
    desk.take(*desk.answers())
    other.take(*other.answers())
    assert desk.numbers() == list(range(5))
    assert desk.record().made == 5
    other.end()


def test_what_a_lowered_budget_does_not_cover_is_not_stored(desk: SearchDesk) -> None:
    experiment = desk.add(max_jobs=5)
    desk.look()
    answers = desk.answers()
    desk.redefine(experiment, max_jobs=2)
    desk.look()
    assert (desk.wanted(), desk.record().made) == ([0, 1], 0)
    desk.take(*answers)
    assert desk.numbers() == [0, 1]
    desk.redefine(experiment, max_jobs=4)
    desk.go_round()
    assert (desk.numbers(), desk.record().made) == ([0, 1, 2, 3], 4)


def test_a_search_whose_time_is_over_makes_nothing_more(desk: SearchDesk) -> None:
    experiment = desk.add(max_time=60.0, ready=2)
    desk.go_round()
    desk.look()
    assert (desk.numbers(), desk.record().search_end) == ([0, 1], None)
    desk.grow_older(seconds=61)
    desk.end_jobs(experiment)
    desk.go_round()
    assert (desk.numbers(), desk.wanted(), desk.record().status) == ([0, 1], [], "DONE")
    assert desk.record().search_end == "The time for making jobs (60 s) is over."
    desk.redefine(experiment, max_time=3600.0)
    desk.go_round()
    assert (desk.numbers(), desk.record().status) == ([0, 1, 2, 3], "RUNNING")


def test_an_answer_from_before_a_take_over_is_not_stored(desk: SearchDesk) -> None:
    desk.add()
    desk.look()
    answers = desk.answers()
    desk.searches.reset(desk.arrived.put)
    desk.take(*answers)
    assert (desk.numbers(), desk.wanted()) == ([], list(range(5)))
    again = desk.go_round()
    assert [each.made for each in again] == [each.made for each in answers]
    assert desk.numbers() == list(range(5))


def test_an_exhausted_search_ends_with_its_last_job(desk: SearchDesk) -> None:
    space = {"x": {"choice": {"values": [1, 2, 3]}}}
    experiment = desk.add("grid", hyperparameters=space, ready=8)
    desk.go_round()
    assert (desk.numbers(), desk.wanted(), desk.record().made) == ([0, 1, 2], [], 3)
    assert desk.record().search_end
    desk.look()
    assert desk.record().status == "RUNNING"
    desk.end_jobs(experiment)
    desk.look()
    assert (desk.record().status, desk.record().made) == ("DONE", 3)


def test_a_search_that_cannot_go_on_yet_is_asked_when_a_job_has_ended(desk: SearchDesk) -> None:
    objectives = [{"result": "r", "direction": "minimize"}]
    options = {"population_size": 2, "max_generations": 2}
    experiment = desk.add("pbt", objectives=objectives, options=options, ready=3)
    (answer,) = desk.go_round()
    assert (answer.end, desk.numbers(), desk.wanted()) == ("not_yet", [0, 1], [2])
    assert desk.go_round() == []
    desk.end_jobs(experiment)
    (answer,) = desk.go_round()
    assert 2 in desk.numbers()
    assert desk.record().problem is None


def test_a_search_whose_queued_jobs_were_removed_ends(desk: SearchDesk) -> None:
    objectives = [{"result": "r", "direction": "minimize"}]
    options = {"population_size": 2, "max_generations": 2}
    experiment = desk.add("pbt", objectives=objectives, options=options, ready=3)
    desk.go_round()
    assert (desk.numbers(), desk.wanted()) == ([0, 1], [2])
    assert desk.go_round() == []
    for job_id in desk._all(select(Job.job_id)):
        desk.change(DeleteJob(request_id=fresh(), experiment_uid=experiment.uid, job_id=job_id))
    (answer,) = desk.go_round()
    assert answer.end == "exhausted"
    desk.look()
    assert (desk.record().status, desk.numbers()) == ("DONE", [])
    assert desk.record().search_end == "The search waits for a job to end, but none is queued or running."


def test_a_population_of_pushed_jobs_waits_for_them(desk: SearchDesk) -> None:
    objectives = [{"result": "r", "direction": "minimize"}]
    experiment = desk.add("pbt", objectives=objectives, hyperparameters={}, ready=1)
    (answer,) = desk.go_round()
    assert answer.end == "not_yet"
    for _ in range(3):
        assert desk.go_round() == [], "it is not asked again and again"
    for number in range(2):
        jobs = [NewJob(hyperparameters={"lr": 0.1 * number})]
        desk.change(Push(request_id=fresh(), experiment_name="E", jobs=jobs, worker=WORKER))
    assert desk.go_round() == []
    desk.end_jobs(experiment)
    desk.go_round()
    assert 0 in desk.numbers()
    assert desk.record().status == "RUNNING"


def test_a_failure_is_shown_and_what_was_made_before_it_is_stored(desk: SearchDesk) -> None:
    desk.add()
    desk.look()
    (answer,) = desk.answers()
    desk.take(answer.model_copy(update={"made": answer.made[:2], "end": "failed", "reason": "It broke."}))
    assert (desk.numbers(), desk.wanted()) == ([0, 1], [2, 3, 4])
    assert desk.record().problem == "The search failed and is tried again: It broke."
    assert desk.go_round() == [], "it rests for a while"
    desk.searches.reset(desk.arrived.put)
    desk.go_round()
    assert desk.numbers() == list(range(5))
    assert desk.record().problem is None


def test_a_search_that_fails_again_and_again_ends_with_its_reason(desk: SearchDesk) -> None:
    experiment = desk.add(ready=2)
    desk.look()
    (answer,) = desk.answers()
    broken = answer.model_copy(update={"made": [], "end": "failed", "reason": "It broke."})
    desk.take(answer.model_copy(update={"made": answer.made[:1], "end": "failed", "reason": "It broke."}))
    for _ in range(4):
        assert desk.record().search_end is None
        assert desk.record().problem == "The search failed and is tried again: It broke."
        desk.searches._searches[1].retry_at = 0.0
        desk.look()
        (answer,) = desk.answers()
        desk.take(broken.model_copy(update={"question": answer.question}))
    assert desk.record().search_end == "The search failed 5 times in a row: It broke."
    assert (desk.record().problem, desk.record().made, desk.wanted()) == (None, 1, [])
    desk.end_jobs(experiment)
    assert desk.go_round() == []
    assert desk.record().status == "DONE"
    desk.change(UpdateExperiment(request_id=fresh(), experiment_uid=experiment.uid, status="RUNNING"))
    desk.go_round()
    assert (desk.record().search_end, desk.numbers()) == (None, [0, 1, 2])


def test_a_search_that_cannot_use_its_definition_ends_at_once(desk: SearchDesk) -> None:
    desk.add("grid", hyperparameters={name: {"int": {"low": 1, "high": 300}} for name in "abc"})
    desk.go_round()
    desk.look()
    reason = "The search failed: The grid has 27,000,000 points, more than 10,000,000."
    assert (desk.record().search_end or "").startswith(reason)
    assert (desk.record().status, desk.wanted(), desk.record().made) == ("DONE", [], 0)


def test_nothing_is_stored_for_an_experiment_that_is_gone_or_done(desk: SearchDesk) -> None:
    experiment = desk.add()
    desk.look()
    answers = desk.answers()
    uid = experiment.uid
    desk.change(UpdateExperiment(request_id=fresh(), experiment_uid=uid, status="DONE"))
    desk.take(*answers)
    assert desk.numbers() == []
    desk.change(UpdateExperiment(request_id=fresh(), experiment_uid=uid, status="RUNNING"))
    desk.look()
    answers = desk.answers()
    assert len(answers) == 1
    desk.change(DeleteExperiment(request_id=fresh(), experiment_uid=uid))
    desk.take(*answers)
    assert (desk.numbers(), desk.wanted()) == ([], [])


def test_who_waits_for_a_job_of_a_deleted_search_is_told(desk: SearchDesk) -> None:
    experiment = desk.add(ready=0)
    incoming = Incoming(cast("Channel", None), 1, b"", "", None, None, None)
    desk.searches.note(incoming, Effects(waiting=WaitingWorker(experiment.position, "w")))
    desk.change(DeleteExperiment(request_id=fresh(), experiment_uid=experiment.uid))
    desk.searches._to_look_at.add(experiment.position)
    desk.look()
    sent: list[Answer] = []
    desk.searches.send(lambda _incoming, answer: sent.append(answer))
    assert sent == [DemandAnswer(there=False, reason="the experiment was deleted.")]


def test_pushed_jobs_leave_nothing_to_be_made_ahead(desk: SearchDesk) -> None:
    desk.add(ready=2)
    desk.change(
        Push(request_id=fresh(), experiment_name="E", jobs=[NewJob(hyperparameters={"x": 9})] * 3, worker=WORKER)
    )
    assert desk.go_round() == []
    assert desk.numbers() == [None] * 3


def test_a_paused_search_makes_nothing(desk: SearchDesk) -> None:
    experiment = desk.add()
    desk.change(UpdateExperiment(request_id=fresh(), experiment_uid=experiment.uid, paused=True))
    assert desk.go_round() == []
    assert desk.wanted() == []
    assert desk._all(select(Experiment.status)) == ["RUNNING"]


class TestChecksOfNewSearches:
    """The answer to a new search is held until what will run it has taken its definition."""

    TOO_LARGE: ClassVar[dict[str, Any]] = {name: {"int": {"low": 1, "high": 300}} for name in "abc"}

    def add(self, desk: SearchDesk, request_id: str = "a" * 32, **settings: Any) -> Effects:
        definition = {"hyperparameters": SPACE, "seed": 1, "ready": 0, **settings}
        change = AddExperiment(request_id=request_id, name="E", scheduler="grid", settings=definition)
        with desk.store.transaction() as transaction:
            return Changes(transaction, lease_seconds=30.0, max_attempts=2).apply(change)

    def ask(self, desk: SearchDesk, effects: Effects, tag: int = 1) -> None:
        assert effects.checking is not None
        assert effects.answer is not None
        incoming = Incoming(cast("Channel", None), tag, b"", "", None, None, None)
        assert desk.searches.ask_check(incoming, effects.answer, effects.checking)

    def replies(self, desk: SearchDesk) -> list[tuple[int, Answer]]:
        sent: list[tuple[int, Answer]] = []
        desk.searches.send(lambda incoming, answer: sent.append((incoming.tag, answer)))
        return sent

    def test_a_refused_one_is_removed_and_stays_refused(self, desk: SearchDesk) -> None:
        self.ask(desk, self.add(desk, hyperparameters=self.TOO_LARGE))
        assert self.replies(desk) == []
        desk.take(desk.arrived.get(timeout=60))
        ((tag, refusal),) = self.replies(desk)
        assert isinstance(refusal, Refusal)
        assert (tag, refusal.code) == (1, "invalid")
        assert refusal.reason.startswith("The grid has 27,000,000 points")
        assert desk._all(select(Experiment.pk)) == []
        assert self.add(desk, hyperparameters=self.TOO_LARGE).answer == refusal
        assert isinstance(self.add(desk, "b" * 32, options={"points": 2}).answer, ExperimentChangedAnswer)

    def test_a_question_that_comes_again_is_answered_once(self, desk: SearchDesk) -> None:
        self.ask(desk, self.add(desk, options={"points": 2}), tag=1)
        self.ask(desk, self.add(desk, options={"points": 2}), tag=2)
        desk.take(desk.arrived.get(timeout=60))
        ((tag, answer),) = self.replies(desk)
        assert (tag, type(answer)) == (2, ExperimentChangedAnswer)

    def test_one_that_takes_long_is_added_and_ends_if_it_is_refused_then(self, desk: SearchDesk) -> None:
        self.ask(desk, self.add(desk, hyperparameters=self.TOO_LARGE))
        desk.searches._replies += desk.searches._held_checks.release_due(time.monotonic() + 6)
        ((_tag, answer),) = self.replies(desk)
        assert isinstance(answer, ExperimentChangedAnswer)
        desk.take(desk.arrived.get(timeout=60))
        desk.look()
        assert (desk.record().status, desk.record().made) == ("DONE", 0)
        assert (desk.record().search_end or "").startswith("The search failed: The grid has 27,000,000 points")

    def test_one_that_has_jobs_already_is_not_removed(self, desk: SearchDesk) -> None:
        self.ask(desk, self.add(desk, hyperparameters=self.TOO_LARGE))
        job = NewJob(hyperparameters=dict.fromkeys(self.TOO_LARGE, 1))
        desk.change(Push(request_id=fresh(), experiment_name="E", jobs=[job], worker=WORKER))
        desk.take(desk.arrived.get(timeout=60))
        ((_tag, answer),) = self.replies(desk)
        assert isinstance(answer, ExperimentChangedAnswer)
        assert desk.numbers() == [None]

    def test_one_whose_process_dies_is_added(self, desk: SearchDesk) -> None:
        self.ask(desk, self.add(desk, options={"points": 2}))
        desk.take(ProcessEnded(reason="It was killed."))
        assert len(self.replies(desk)) == 1
