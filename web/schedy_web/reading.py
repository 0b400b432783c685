"""Reads of the store, for requests that come from many browsers at once."""

import contextlib
import threading
from collections.abc import Iterator

from schedy.errors import NotFoundError
from schedy.results.ask import Ask
from schedy.wire.answers import expected
from schedy.wire.base import A
from schedy.wire.records import ExperimentRecord
from schedy.wire.requests import GetExperiments, Request
from schedy_store.reads import answer_request
from schedy_store.schema.engine import Store, Transaction

_AT_ONCE = 4


class StoreReads:
    """Answers reads, at most four at once. Any thread may use it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._room = threading.BoundedSemaphore(_AT_ONCE)

    def ask(self, request: Request[A]) -> A:
        """Return the answer. Raises SchedyError for a refusal, StoreError if the store cannot be read."""
        with self.transaction() as transaction:
            return expected(request, answer_request(transaction, request))

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Run statements as one read. Raises StoreError."""
        with self._room, self.store.transaction() as transaction:
            yield transaction


def experiment_numbered(ask: Ask, number: int) -> ExperimentRecord:
    """Return the experiment of that number. Raises NotFoundError."""
    found = ask(GetExperiments(after=number - 1, limit=1)).experiments
    if not found or found[0].position != number:
        raise NotFoundError(f"There is no experiment number {number}: it was removed, or the store is another one.")
    return found[0]
