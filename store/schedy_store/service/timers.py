"""Timers that run with a tick: leases, lost tickets, housekeeping."""

import time
from collections.abc import Callable

from schedy.settings import Settings
from schedy_store.lifecycle.effects import Effects
from schedy_store.lifecycle.leases import Leases
from schedy_store.lifecycle.tickets import TicketDispatcher
from schedy_store.lifecycle.workers import Workers
from schedy_store.schema.engine import Transaction
from schedy_store.service.chores import Chores

_LEASES_JUDGED = 1000
_HOUSEKEEPING_SECONDS = 3600.0


class Timers:
    """Runs what is due when a tick is applied, and with it all reports before it. Lives in the service thread."""

    def __init__(self, settings: Settings, tickets: TicketDispatcher, chores: Chores) -> None:
        self._settings = settings
        self._tickets = tickets
        self._chores = chores
        self._next_look = 0.0
        self._next_housekeeping = 0.0

    def tick(
        self,
        transaction: Transaction,
        *,
        leases: Leases,
        count_ready: Callable[[dict[int, str]], None],
    ) -> Effects:
        """Judge leases and time limits; once in a lease look for lost tickets; look for chores.

        `count_ready` counts the tickets in the queues of experiments.
        """
        effects = leases.expire(_LEASES_JUDGED)
        effects.log += leases.stop_overdue(_LEASES_JUDGED).log
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + self._settings.lease_seconds
            effects.log += self._tickets.reclaim_overtaken(transaction)
            count_ready(self._tickets.overdue_experiments(transaction))
        if time.monotonic() >= self._next_housekeeping:
            self._next_housekeeping = time.monotonic() + _HOUSEKEEPING_SECONDS
            Workers(transaction).forget_old()
        self._chores.look(transaction)
        return effects
