"""Work that may wait: rows that are to go, deleted in pieces between the batches."""

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from schedy.settings import Settings
from schedy_store.lifecycle.pieces import Sweep
from schedy_store.lifecycle.removals import RemovedRows, removed_experiments
from schedy_store.lifecycle.retention import Retention
from schedy_store.schema.engine import Transaction

_log = logging.getLogger(__name__)

_SWEPT_EACH_SECONDS = 3600.0
_REST_WHILE_BUSY = 4


class Chores:
    """Does one piece after the other, and rests in between. Lives in the service thread.

    What there is to do is in the store. A piece that fails is no matter: all is looked up again.
    """

    def __init__(self, settings: Settings) -> None:
        self._retention = Retention(
            events_days=settings.keep_events_days,
            curves_days=settings.keep_curves_days,
            outputs_days=settings.keep_outputs_days,
        )
        self._left: list[Sweep] = []
        self._next_piece = 0.0
        self._next_sweep = 0.0

    def look(self, transaction: Transaction) -> None:
        """Find what there is to do, if nothing is left; with each tick."""
        if self._left:
            return
        self._left += [RemovedRows(pk, name) for pk, name in removed_experiments(transaction).items()]
        if time.monotonic() >= self._next_sweep:
            self._next_sweep = time.monotonic() + _SWEPT_EACH_SECONDS
            self._left += self._retention.sweeps(transaction)

    def seconds_to_next(self, most: float) -> float:
        """Return the time until the next piece is due, at most `most`."""
        return max(0.0, min(most, self._next_piece - time.monotonic())) if self._left else most

    def work(self, transaction: Callable[[], AbstractContextManager[Transaction]], *, is_busy: bool = False) -> None:
        """Do a piece in a transaction of its own, if one is due.

        Afterwards it rests as long as that took; while messages arrive, four times as long.
        """
        if not self._left or time.monotonic() < self._next_piece:
            return
        sweep, began = self._left[0], time.monotonic()
        try:
            with transaction() as opened:
                more = sweep.piece(opened)
        except BaseException:
            self._left.clear()
            raise
        seconds = time.monotonic() - began
        sweep.took(seconds)
        self._next_piece = time.monotonic() + seconds * (_REST_WHILE_BUSY if is_busy else 1)
        if not more:
            del self._left[0]
            if line := sweep.summary():
                _log.info("%s", line)
