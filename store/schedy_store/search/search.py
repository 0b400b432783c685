"""One search: its jobs, the algorithm that makes them, and the pruner that ends them."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from sqlalchemy import select

from schedy.errors import InvalidValueError, NotFoundError, SchedyError
from schedy.search.algorithms import ALGORITHMS
from schedy.search.definition import Definition
from schedy.search.errors import message_of, neutrally
from schedy_store.schema.engine import Store
from schedy_store.schema.tables import Experiment
from schedy_store.search.catalogue import make_algorithm, make_pruner
from schedy_store.search.endings import ending
from schedy_store.search.filtered import Filtered
from schedy_store.search.memory import Memory, read_source
from schedy_store.search.protocol import WHY, Algorithm, Exhausted, NotYet, Pruner, Suggestion
from schedy_store.search.repeated import Repeated
from schedy_store.search.wire import WantedNumber

Failure = tuple[type[Exception], tuple[tuple[str, int | None], ...]]
"""The type of an exception, and the files and lines through which it came: its text may be another each time."""


class UnusableDefinitionError(SchedyError):
    """The algorithm cannot work by the definition."""


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except InvalidValueError as error:
        raise UnusableDefinitionError(message_of(error, neutrally)) from error


class Search:
    """One experiment with its algorithm and its pruner, which are created when first used."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.failures: set[Failure] = set()
        """Those that are in the log."""
        self._algorithm: Algorithm | None = None
        self._pruner: Pruner | None = None

    @property
    def algorithm(self) -> Algorithm:
        if self._algorithm is None:
            definition, tried = self.memory.definition, self.memory.tried
            make: Callable[[Definition], Algorithm] = partial(make_algorithm, self.memory.source.scheduler)
            is_filtered = tried is not None or (definition.where and self.memory.may_repeat)
            with _refusals():
                make = partial(Filtered, make_algorithm=make, tried=tried) if is_filtered else make
                self._algorithm = Repeated(definition, make) if definition.repeats > 1 else make(definition)
        return self._algorithm

    @property
    def pruner(self) -> Pruner | None:
        if self._pruner is None and self.memory.definition.pruner is not None:
            with _refusals():
                self._pruner = make_pruner(self.memory.definition)
        return self._pruner

    def next(self, wanted: WantedNumber) -> Suggestion | NotYet | Exhausted:
        """Return a suggestion, from what was known when it was wanted. Raises what the algorithm raises."""
        history = self.memory.history(number=wanted.number, known=wanted.known)
        suggestion = ending(self.memory, history, wanted.known) or self.algorithm.suggest(wanted.number, history)
        if isinstance(suggestion, Suggestion) and _learns(self.memory.source.scheduler):
            known = {"ended": len(history.ended), "pending": len(history.pending)}
            state = {**suggestion.state, WHY: {**known, **suggestion.state.get(WHY, {})}}
            return replace(suggestion, state=state)
        if isinstance(suggestion, NotYet) and not suggestion.for_pushed and not history.pending:
            return Exhausted("The search waits for a job to end, but none is queued or running.")
        return suggestion


def _learns(scheduler: str) -> bool:
    """Return whether the suggestions of an algorithm depend on all jobs before; of a user's own, that is not known."""
    return scheduler in ALGORITHMS and ALGORITHMS[scheduler].starts_from_others


def propose(store: Store, experiment_uid: str) -> Suggestion | NotYet | Exhausted:
    """Return what a search would suggest next, from its jobs as they are now, and change nothing.

    Raises NotFoundError, UnusableDefinitionError, StoreError, and what the algorithm raises.
    """
    with store.transaction() as transaction:
        found = select(Experiment.pk, Experiment.made).where(Experiment.uid == experiment_uid)
        row = transaction.sql.execute(found).one_or_none()
        source = None if row is None else read_source(transaction, row.pk)
        if row is None or source is None:
            raise NotFoundError("The experiment was deleted.")
        memory = Memory(source)
        memory.read(transaction)
    return Search(memory).next(WantedNumber(number=row.made, known=memory.known))
