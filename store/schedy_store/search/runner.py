"""The search process: runs algorithms and pruners for the results service, its parent.

As a separate process, a slow algorithm, or a user's own that crashes, delays no claim and no report. It never writes to
the store. It ends when its standard input does. Everything runs in the main thread.
"""

import contextlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any, TextIO

from schedy.errors import InvalidValueError, SchedyError
from schedy.search.algorithms import MANUAL
from schedy.search.errors import message_of, neutrally
from schedy.wire.values import plain_values
from schedy_store.schema.engine import Store, Transaction
from schedy_store.search.memory import Memory, read_source, running_experiments
from schedy_store.search.output import begin_output, name_output
from schedy_store.search.protocol import Exhausted, NotYet, Suggestion
from schedy_store.search.search import Failure, Search, UnusableDefinitionError
from schedy_store.search.wire import (
    CheckAnswer,
    CheckQuestion,
    MadeJob,
    PruneAnswer,
    PruneQuestion,
    Question,
    SearchAnswer,
    SuggestAnswer,
    SuggestEnd,
    SuggestQuestion,
    WantedNumber,
    read_question,
    write_line,
)

_SWEEP_SECONDS = 60.0
_NICENESS = 10
"""Lower priority than the service, which handles claims and reports."""


class DeletedError(SchedyError):
    """The experiment was deleted meanwhile."""


class Runner:
    """Answers questions, one at a time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._searches: dict[int, Search] = {}
        self._next_sweep = time.monotonic() + _SWEEP_SECONDS
        self._named = ""
        """The experiment whose search has the output."""

    def answer(self, question: Question) -> SearchAnswer:
        """Answer a question; an exception of the algorithm becomes part of the answer."""
        self._sweep()
        match question:
            case SuggestQuestion():
                return self._suggest(question)
            case PruneQuestion():
                return self._prune(question)
            case CheckQuestion():
                return self._check(question)

    def _sweep(self) -> None:
        """Forget now and then the experiments that are DONE or deleted."""
        now = time.monotonic()
        if now < self._next_sweep:
            return
        self._next_sweep = now + _SWEEP_SECONDS
        with contextlib.suppress(SchedyError), self._store.transaction() as transaction:
            going_on = running_experiments(transaction)
            self._searches = {pk: search for pk, search in self._searches.items() if pk in going_on}

    def _suggest(self, question: SuggestQuestion) -> SuggestAnswer:
        made: list[MadeJob] = []
        try:
            end, reason = self._make(question, made)
        except DeletedError as error:
            end, reason = "failed", str(error)
        except UnusableDefinitionError as error:
            end, reason = "unusable", str(error)
        except Exception as error:
            end, reason = "failed", self._problem(question.experiment_pk, error)
        return SuggestAnswer(
            question=question.question, experiment_pk=question.experiment_pk, made=made, end=end, reason=reason
        )

    def _make(self, question: SuggestQuestion, made: list[MadeJob]) -> tuple[SuggestEnd, str]:
        """Add the suggestions to `made`; return why there are no more."""
        with self._store.transaction() as transaction:
            search = self._search(transaction, question.experiment_pk)
            search.memory.read(transaction)
        for wanted in question.wanted:
            match search.next(wanted):
                case Suggestion() as suggestion:
                    made.append(_made_job(wanted.number, suggestion))
                    search.memory.remember(made[-1])
                case NotYet():
                    return "not_yet", ""
                case Exhausted(reason):
                    return "exhausted", reason
        return "", ""

    def _prune(self, question: PruneQuestion) -> PruneAnswer:
        prune, state = False, None
        try:
            prune, state = self._judge(question)
        except DeletedError:
            pass  # nobody waits for the verdict
        except Exception as error:
            self._problem(question.experiment_pk, error)
        return PruneAnswer(
            question=question.question, job_pk=question.job_pk, token=question.token, prune=prune, state=state
        )

    def _judge(self, question: PruneQuestion) -> tuple[bool, dict[str, Any] | None]:
        """Return the pruner's verdict, and the state to keep with the job, None if it has not changed."""
        with self._store.transaction() as transaction:
            search = self._search(transaction, question.experiment_pk)
            search.memory.read(transaction)
            trial = search.memory.to_prune(transaction, question.job_pk)
        if trial is None or search.pruner is None or not trial.curve:
            return False, None
        prune, state = search.pruner.prune(trial, search.memory.everything())
        return prune, None if state == trial.state else plain_values(state)

    def _check(self, question: CheckQuestion) -> CheckAnswer:
        """Create the algorithm and the pruner, and make the first suggestion, as later for its job.

        Only a refusal of the definition is a fault here: another error may be gone when the job is wanted.
        """
        problem = ""
        try:
            with self._store.transaction() as transaction:
                search = self._search(transaction, question.experiment_pk)
                search.memory.read(transaction)
            _ = search.pruner
            if search.memory.source.scheduler != MANUAL:
                search.next(WantedNumber(number=0, known=0))
        except InvalidValueError as error:
            problem = message_of(error, neutrally)
        except UnusableDefinitionError as error:
            problem = str(error)
        except Exception as error:
            self._problem(question.experiment_pk, error)
        return CheckAnswer(question=question.question, experiment_pk=question.experiment_pk, problem=problem)

    def _problem(self, experiment_pk: int, error: Exception) -> str:
        """Return the text shown with the experiment; the failure goes to the log of the service, once."""
        problem = _description(error)
        search = self._searches.get(experiment_pk)
        failure = _failure(error)
        if search is None or failure not in search.failures:
            with contextlib.suppress(Exception):  # an algorithm of a user's own may raise anything, in its text too
                print(problem if isinstance(error, SchedyError) else _traceback(error), file=sys.stderr)
        if search is not None:
            search.failures.add(failure)
        return problem

    def _search(self, transaction: Transaction, experiment_pk: int) -> Search:
        """Return the search of an experiment, created again when its settings or its past have changed."""
        source = read_source(transaction, experiment_pk)
        if source is None:
            raise DeletedError("The experiment was deleted.")
        search = self._searches.get(experiment_pk)
        if search is None or search.memory.source != source:
            search = self._searches[experiment_pk] = Search(Memory(source))
        if source.name != self._named:
            name_output(source.name)
            self._named = source.name
        return search


def _made_job(number: int, suggestion: Suggestion) -> MadeJob:
    return MadeJob(
        number=number,
        hyperparameters=plain_values(suggestion.hyperparameters),
        results=plain_values(suggestion.results),
        parent=suggestion.parent,
        generation=suggestion.generation,
        state=plain_values(suggestion.state),
    )


def _failure(error: Exception) -> Failure:
    return type(error), tuple((frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__))


def _traceback(error: Exception) -> str:
    return "".join(traceback.format_exception(error)).rstrip()


def _description(error: Exception) -> str:
    return f"{type(error).__name__}: {_text_of(error)}"


def _text_of(error: Exception) -> str:
    try:
        return str(error)
    except Exception:  # an algorithm of a user's own may raise anything
        return "(its text cannot be read)"


def serve(store: Store, questions: TextIO, write: Callable[[str], object]) -> None:
    """Answer questions until there are no more."""
    runner = Runner(store)
    for line in questions:
        write(write_line(runner.answer(read_question(line))))


def main() -> None:
    """Read the URL of the store, which may contain a password, from standard input, then questions."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the service ends this process
    os.nice(_NICENESS)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # an algorithm's prints go to the log
    begin_output()
    url = sys.stdin.readline().strip()
    store = Store.open(url, read_only=True)
    try:
        serve(store, sys.stdin, answers.write)
    except BrokenPipeError:
        os._exit(0)  # the service is gone
    finally:
        store.close()


if __name__ == "__main__":
    main()
