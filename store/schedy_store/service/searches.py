"""Experiments that make their own jobs: the results service's side.

A few jobs of each are kept ready. When a job is claimed, or ends, or a worker says that it waits, the transaction that
notes it also writes down which further jobs are wanted, and how many had ended at that moment. The search process then
makes them, in any time that it takes, from what was known at that moment; so a restart in between repeats and skips
nothing, and one worker gets the same jobs again from the same seed. What it makes is stored as a push is.
"""

import itertools
import json
import logging
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import bindparam, delete, exists, func, insert, select, update

from schedy.amqp.channel import Incoming
from schedy.search.definition import ALGORITHMS, MANUAL, OWN_READY, Definition, read_definition
from schedy.wire.answers import DemandAnswer, ReportAnswer
from schedy.wire.base import Answer
from schedy.wire.changes import NewJob
from schedy.wire.values import load_values
from schedy_store.lifecycle.effects import Effects, PrunerCall
from schedy_store.lifecycle.journal import Journal
from schedy_store.lifecycle.new_jobs import Newcomer, NewJobs
from schedy_store.schema.engine import Transaction
from schedy_store.schema.records import AnyRow
from schedy_store.schema.tables import Experiment, Job, WantedJob
from schedy_store.search.process import SearchProcess
from schedy_store.search.wire import (
    ProcessEnded,
    PruneAnswer,
    PruneQuestion,
    SearchAnswer,
    SuggestAnswer,
    SuggestQuestion,
    WantedNumber,
)

_log = logging.getLogger(__name__)

_WAIT_SECONDS = 15.0
"""A worker that waits says so again before this is over."""
_PARKED_SECONDS = 0.5
"""Whoever has waited for so long is told with the next tick that a job is being made: nobody takes us for dead."""
_REST_SECONDS = 20.0
"""An algorithm that has failed is asked again after this."""
_FAILED = "The search failed and is tried again: "
_LOOK_SECONDS = 2.0
_ASKED_AT_ONCE = 50
_PRUNINGS_AT_ONCE = 500

_EXPERIMENT = select(
    Experiment.pk,
    Experiment.name,
    Experiment.scheduler,
    Experiment.settings,
    Experiment.status,
    Experiment.paused,
    Experiment.made,
    Experiment.search_end,
    Experiment.problem,
    Experiment.created_at,
).where(Experiment.pk == bindparam("pk_is"), Experiment.scheduler != MANUAL)
_ENDED = select(func.max(Job.ended)).where(Job.experiment_pk == bindparam("pk_is"))
_WANTED = (
    select(WantedJob.suggestion, WantedJob.known)
    .where(WantedJob.experiment_pk == bindparam("pk_is"))
    .order_by(WantedJob.suggestion)
)
_QUEUED = (
    select(Job.pk, Job.dispatched_at)
    .where(Job.experiment_pk == bindparam("pk_is"), Job.status == "QUEUED")
    .order_by(Job.pk)
    .limit(bindparam("most"))
)
_UNFINISHED = select(exists().where(Job.experiment_pk == bindparam("pk_is"), Job.status.in_(("QUEUED", "RUNNING"))))
_RUNNING_SEARCHES = select(Experiment.pk).where(Experiment.scheduler != MANUAL, Experiment.status == "RUNNING")


@dataclass(slots=True)
class _Waiting:
    """A worker that waits for a job; `incoming` is its question until it is answered."""

    since: float
    until: float
    incoming: Incoming | None

    def is_parked(self, now: float) -> bool:
        return self.incoming is not None and now - self.since >= _PARKED_SECONDS


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a search process was asked for an experiment, and since when."""

    question: int
    since: float
    process: str


@dataclass(slots=True)
class _Search:
    """An experiment as one look finds it."""

    row: AnyRow
    definition: Definition
    ended: int
    wanted: list[AnyRow]
    queued: list[AnyRow]
    over: str
    """Why no further job is made, empty if more are."""

    @property
    def is_open(self) -> bool:
        return self.row.status == "RUNNING" and not self.row.paused


@dataclass(slots=True)
class Searches:
    """Keeps the searches going. What it remembers may be lost at any time: the store has what matters."""

    store_url: str
    patience_seconds: float
    """How long an algorithm may take for one answer."""
    _processes: dict[str, SearchProcess] = field(default_factory=dict)
    """One for Schedy's own algorithms and the pruners, and one for each of a user's own, which may hang or die."""
    _heard: dict[str, float] = field(default_factory=dict)
    """When each process has answered last."""
    _on_answer: Callable[[SearchAnswer], None] | None = None
    _questions: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))
    _touched: set[int] = field(default_factory=set)
    _waiting: dict[int, dict[str, _Waiting]] = field(default_factory=dict)
    _asked: dict[int, _Asked] = field(default_factory=dict)
    _pruning: dict[int, tuple[Incoming, ReportAnswer]] = field(default_factory=dict)
    _stuck: dict[int, int] = field(default_factory=dict)
    """Searches that can go on only when more jobs have ended than these."""
    _resting: dict[int, float] = field(default_factory=dict)
    _overdue: set[int] = field(default_factory=set)
    """Experiments whose process is ended because they take too long."""
    _died: set[int] = field(default_factory=set)
    """Experiments whose process has died once over what they asked."""
    _next_look: float = 0.0
    _to_ask: dict[int, tuple[str, SuggestQuestion]] = field(default_factory=dict)
    """By experiment: a process, and what it is to be asked."""
    _to_tell: list[tuple[Incoming, Answer]] = field(default_factory=list)
    _definitions: dict[int, tuple[str, Definition]] = field(default_factory=dict)

    def reset(self, on_answer: Callable[[SearchAnswer], None]) -> None:
        """Start again, after a take-over or a lost connection; `on_answer` is called from threads of the processes."""
        self.end()
        self._on_answer = on_answer
        for forgotten in (self._waiting, self._asked, self._pruning, self._stuck, self._resting, self._definitions):
            forgotten.clear()
        for unjudged in (self._heard, self._overdue, self._died):
            unjudged.clear()
        self._to_ask.clear()
        self._to_tell.clear()
        self._next_look = 0.0

    def end(self) -> None:
        """End the search processes."""
        for process in self._processes.values():
            process.end()
        self._processes.clear()

    def note(self, incoming: Incoming, outcome: Effects) -> None:
        """Note what a message means for searches.

        A demand that comes again may have been answered by an instance that died, and its worker may be at work long
        since: one that still waits asks again by itself.
        """
        self._touched |= outcome.touched
        if outcome.served is not None:
            for waiting in self._waiting.values():
                waiting.pop(outcome.served, None)
        if outcome.waiting is not None and not incoming.redelivered:
            experiment_pk, wait_id = outcome.waiting
            now = time.monotonic()
            here = self._waiting.setdefault(experiment_pk, {})
            before = here.get(wait_id)
            since = now if before is None or before.incoming is None else before.since
            here[wait_id] = _Waiting(since, now + _WAIT_SECONDS, incoming)

    def note_tickets(self, experiments: Iterable[int]) -> None:
        """Note that tickets of these experiments are out now."""
        self._touched |= self._waiting.keys() & set(experiments)

    # Within the transaction.

    def take(self, transaction: Transaction, answers: list[SearchAnswer]) -> Effects:
        """Store what the search process has answered."""
        outcome = Effects()
        for answer in answers:
            match answer:
                case SuggestAnswer():
                    self._take_made(transaction, answer, outcome)
                case PruneAnswer():
                    self._take_verdict(transaction, answer, outcome)
                case ProcessEnded():
                    self._take_end(transaction, answer, outcome)
        return outcome

    def look(self, transaction: Transaction) -> Effects:
        """Write down which jobs are wanted in the experiments that were touched; end those that are over."""
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + _LOOK_SECONDS
            self._touched |= set(transaction.sql.scalars(_RUNNING_SEARCHES))
            self._resting = {pk: until for pk, until in self._resting.items() if until > now}
            self._end_overdue(now)
        self._touched |= {
            pk for pk, here in self._waiting.items() if any(each.is_parked(now) for each in here.values())
        }
        outcome = Effects()
        touched, self._touched = self._touched, set()
        for experiment_pk in sorted(touched):
            row = transaction.sql.execute(_EXPERIMENT, {"pk_is": experiment_pk}).one_or_none()
            if row is not None:
                self._look_at(transaction, row, outcome)
        return outcome

    def _end_overdue(self, now: float) -> None:
        """End processes that have worked on one question for too long; others that wait behind it do not count."""
        for name, process in self._processes.items():
            first = self._first_asked(name)
            if first is not None:
                since = max(self._asked[first].since, self._heard.get(name, 0.0))
                if now - since > self.patience_seconds:
                    self._overdue.add(first)
                    process.kill()

    def _first_asked(self, process: str) -> int | None:
        """The experiment that a process works for, as it answers in order."""
        return next((pk for pk, asked in self._asked.items() if asked.process == process), None)

    def _look_at(self, transaction: Transaction, row: AnyRow, outcome: Effects) -> None:
        search = self._found(transaction, row)
        self._drop_surplus(transaction, search)
        if search.is_open and not search.over:
            self._want(transaction, search)
        if search.wanted and search.is_open:
            self._prepare_question(transaction, search)
        self._answer_waiting(search)
        if search.over and not search.wanted and row.status == "RUNNING":
            self._complete(transaction, search, outcome)

    def _found(self, transaction: Transaction, row: AnyRow) -> _Search:
        known, definition = self._definitions.get(row.pk, ("", None))
        if definition is None or known != row.settings:
            definition = read_definition(load_values(row.settings))
            self._definitions[row.pk] = (row.settings, definition)
        most = max(1, self._target(row, definition))
        sql = transaction.sql
        return _Search(
            row,
            definition,
            ended=sql.scalar(_ENDED, {"pk_is": row.pk}) or 0,
            wanted=list(sql.execute(_WANTED, {"pk_is": row.pk})),
            queued=list(sql.execute(_QUEUED, {"pk_is": row.pk, "most": most})),
            over=_why_over(row, definition, transaction.now),
        )

    def _target(self, row: AnyRow, definition: Definition) -> int:
        """How many jobs are to be ready: as many as workers wait, and at least as many as was laid down."""
        now = time.monotonic()
        waiting = {wait: each for wait, each in self._waiting.get(row.pk, {}).items() if each.until > now}
        self._waiting[row.pk] = waiting
        rules = ALGORITHMS.get(row.scheduler)
        ready = definition.ready if definition.ready is not None else OWN_READY if rules is None else rules.ready
        return max(ready, len(waiting))

    def _drop_surplus(self, transaction: Transaction, search: _Search) -> None:
        """Wanted jobs that a lowered budget does not pay any more are not made."""
        budget = search.definition.max_jobs
        is_over = search.over and not (budget is not None and search.row.made >= budget)
        kept = [] if is_over else [each for each in search.wanted if budget is None or each.suggestion < budget]
        if len(kept) < len(search.wanted):
            first = search.wanted[len(kept)].suggestion
            pk = search.row.pk
            surplus = (WantedJob.experiment_pk == pk, WantedJob.suggestion >= first)
            transaction.sql.execute(delete(WantedJob).where(*surplus))
            transaction.sql.execute(update(Experiment).where(Experiment.pk == pk).values(made=first))
            search.wanted = kept

    def _want(self, transaction: Transaction, search: _Search) -> None:
        made, budget = search.row.made, search.definition.max_jobs
        missing = self._target(search.row, search.definition) - len(search.queued) - len(search.wanted)
        if budget is not None:
            missing = min(missing, budget - made)
        if missing <= 0:
            return
        rows = [
            {"experiment_pk": search.row.pk, "suggestion": number, "known": search.ended}
            for number in range(made, made + missing)
        ]
        transaction.sql.execute(insert(WantedJob), rows)
        transaction.sql.execute(update(Experiment).where(Experiment.pk == search.row.pk).values(made=made + missing))
        search.wanted = list(transaction.sql.execute(_WANTED, {"pk_is": search.row.pk}))

    def _prepare_question(self, transaction: Transaction, search: _Search) -> None:
        """Ask for what is wanted, unless that was done, or there is no hope yet."""
        pk = search.row.pk
        if pk in self._asked or pk in self._resting or self._stuck.get(pk) == search.ended:
            return
        if self._stuck.pop(pk, None) is not None:
            transaction.sql.execute(update(WantedJob).where(WantedJob.experiment_pk == pk).values(known=search.ended))
            search.wanted = list(transaction.sql.execute(_WANTED, {"pk_is": pk}))
        wanted = [WantedNumber(number=each.suggestion, known=each.known) for each in search.wanted[:_ASKED_AT_ONCE]]
        question = SuggestQuestion(question=next(self._questions), experiment_pk=pk, wanted=wanted)
        self._to_ask[pk] = ("" if search.row.scheduler in ALGORITHMS else search.row.scheduler, question)

    def _answer_waiting(self, search: _Search) -> None:
        reason = self._why_none(search)
        if search.is_open and search.queued:
            if any(job.dispatched_at is not None for job in search.queued):  # else its ticket is on its way
                self._tell_waiting(search, DemandAnswer(there=True))
        elif reason:
            self._tell_waiting(search, DemandAnswer(there=False, reason=reason))
        else:
            longest = time.monotonic() - _PARKED_SECONDS
            coming = DemandAnswer(there=False, coming=True, reason="it is being made.")
            self._tell_waiting(search, coming, since=longest)

    def _why_none(self, search: _Search) -> str:
        """Why a worker that waits gets no job now, empty if it soon will."""
        if not search.is_open:
            return "the experiment is paused or DONE."
        if search.row.pk in self._resting:
            return search.row.problem or "the search has failed."
        if self._stuck.get(search.row.pk) == search.ended:
            return "the search waits for running jobs to end."
        return search.over if not search.wanted else ""

    def _tell_waiting(self, search: _Search, answer: DemandAnswer, *, since: float = math.inf) -> None:
        for each in self._waiting.get(search.row.pk, {}).values():
            if each.incoming is not None and each.since <= since:
                self._to_tell.append((each.incoming, answer))
                each.incoming = None

    def _complete(self, transaction: Transaction, search: _Search, outcome: Effects) -> None:
        """Nothing is left: who waits for a job is let go."""
        pk = search.row.pk
        if search.queued or transaction.sql.scalar(_UNFINISHED, {"pk_is": pk}):
            return
        transaction.sql.execute(
            update(Experiment).where(Experiment.pk == pk).values(status="DONE", completed=True, search_end=search.over)
        )
        Journal(transaction).record("status", f"The experiment is DONE. {search.over}", experiment_pk=pk)
        outcome.queues.append(("gone", search.row.name))
        outcome.log.append(f"{search.row.name}: the experiment is DONE. {search.over}")

    def _take_made(self, transaction: Transaction, answer: SuggestAnswer, outcome: Effects) -> None:
        pk = answer.experiment_pk
        asked = self._asked.get(pk)
        if asked is None or asked.question != answer.question:
            return
        del self._asked[pk]
        self._heard[asked.process] = time.monotonic()
        self._died.discard(pk)
        self._touched.add(pk)
        row = transaction.sql.execute(_EXPERIMENT, {"pk_is": pk}).one_or_none()
        if row is None:
            return
        wanted = transaction.sql.execute(_WANTED, {"pk_is": pk}).all()
        if row.status == "RUNNING" and self._store(transaction, pk, answer, {each.suggestion for each in wanted}):
            outcome.tickets_wanted.add(pk)
        if answer.made and answer.end != "failed" and (row.problem or "").startswith(_FAILED):
            transaction.sql.execute(update(Experiment).where(Experiment.pk == pk).values(problem=None))
        if answer.end == "exhausted":
            values = {"search_end": answer.reason, "made": row.made - max(0, len(wanted) - len(answer.made))}
            transaction.sql.execute(delete(WantedJob).where(WantedJob.experiment_pk == pk))
            transaction.sql.execute(update(Experiment).where(Experiment.pk == pk).values(values))
        elif answer.end == "not_yet":
            self._stuck[pk] = next((each.known for each in wanted[len(answer.made) :]), 0)
        elif answer.end == "failed":
            self._note_problem(transaction, row, answer.reason, outcome)

    def _store(self, transaction: Transaction, pk: int, answer: SuggestAnswer, wanted: set[int]) -> bool:
        """Store the jobs that are still wanted; whether there are any."""
        made = [each for each in answer.made if each.number in wanted]
        if not made:
            return False
        new_jobs = NewJobs(transaction)
        newcomers = [
            Newcomer(
                NewJob(hyperparameters=each.hyperparameters, results=each.results),
                {
                    "suggestion": each.number,
                    "parent": each.parent,
                    "generation": each.generation,
                    "search_state": json.dumps(each.state),
                },
            )
            for each in made
        ]
        new_jobs.insert(pk, new_jobs.fresh_ids(pk, len(made)), newcomers)
        stored = (WantedJob.experiment_pk == pk, WantedJob.suggestion.in_([each.number for each in made]))
        transaction.sql.execute(delete(WantedJob).where(*stored))
        return True

    def _take_verdict(self, transaction: Transaction, answer: PruneAnswer, outcome: Effects) -> None:
        incoming, base = self._pruning.pop(answer.question, (None, None))
        if answer.state is not None:
            transaction.sql.execute(
                update(Job)
                .where(Job.pk == answer.job_pk, Job.attempt == answer.attempt)
                .values(search_state=json.dumps(answer.state))
            )
        if answer.problem:
            _log.error("The pruner failed: %s", answer.problem)
        if incoming is not None and base is not None:
            self._to_tell.append((incoming, base.model_copy(update={"prune": answer.prune})))

    def _take_end(self, transaction: Transaction, ended: ProcessEnded, outcome: Effects) -> None:
        """A search process has gone. Who it worked for is to blame if that happens again, or it took too long."""
        _log.error("%s", ended.reason)
        first = self._first_asked(ended.process)
        for pk in [pk for pk, asked in self._asked.items() if asked.process == ended.process]:
            del self._asked[pk]
            self._touched.add(pk)
        if first is not None and (first in self._died or first in self._overdue):
            row = transaction.sql.execute(_EXPERIMENT, {"pk_is": first}).one_or_none()
            if row is not None:
                self._note_problem(transaction, row, ended.reason, outcome)
        elif first is not None:
            self._died.add(first)
        self._overdue.discard(first or 0)
        if ended.process == "":
            for incoming, base in self._pruning.values():
                self._to_tell.append((incoming, base))
            self._pruning.clear()

    def _note_problem(self, transaction: Transaction, row: AnyRow, problem: str, outcome: Effects) -> None:
        self._resting[row.pk] = time.monotonic() + _REST_SECONDS
        self._touched.add(row.pk)
        text = f"{_FAILED}{problem}"
        if text != row.problem:
            transaction.sql.execute(update(Experiment).where(Experiment.pk == row.pk).values(problem=text))
            Journal(transaction).record("problem", text, experiment_pk=row.pk)
            outcome.log.append(f"{row.name}: {text}")

    # After the commit.

    def ask_pruner(self, incoming: Incoming, answer: ReportAnswer, pruning: PrunerCall) -> bool:
        """Have the pruner asked before a report is answered; False if it has too much to do."""
        if self._on_answer is None or len(self._pruning) >= _PRUNINGS_AT_ONCE:
            return False
        experiment_pk, job_pk, attempt = pruning
        number = next(self._questions)
        self._pruning[number] = (incoming, answer)
        self._process("", self._on_answer).ask(
            PruneQuestion(question=number, experiment_pk=experiment_pk, job_pk=job_pk, attempt=attempt)
        )
        return True

    def _process(self, name: str, on_answer: Callable[[SearchAnswer], None]) -> SearchProcess:
        if name not in self._processes:
            self._processes[name] = SearchProcess(self.store_url, name=name, on_answer=on_answer)
        return self._processes[name]

    def send(self, reply: Callable[[Incoming, Answer], None]) -> None:
        """Ask the search processes, and answer the workers that wait."""
        if self._on_answer is None:
            return
        questions, self._to_ask = self._to_ask, {}
        for name, question in questions.values():
            self._asked[question.experiment_pk] = _Asked(question.question, time.monotonic(), name)
            self._process(name, self._on_answer).ask(question)
        answers, self._to_tell = self._to_tell, []
        for incoming, answer in answers:
            reply(incoming, answer)


def _why_over(row: AnyRow, definition: Definition, now: datetime) -> str:
    """Why a search makes no further job, empty if it does."""
    if definition.max_jobs is not None and row.made >= definition.max_jobs:
        return f"All {definition.max_jobs} jobs have been made."
    if definition.max_time is not None and (now - row.created_at).total_seconds() > definition.max_time:
        return f"The {definition.max_time:g} s for making jobs are over."
    return row.search_end or ""
