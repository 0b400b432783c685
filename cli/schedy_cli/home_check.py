"""The checks of `schedy doctor` on what the store says of its service: its broker, and whether it works."""

import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from schedy.errors import SchedyError
from schedy.settings import Settings
from schedy_broker_setup.doctor.check import Check, Status
from schedy_broker_setup.inspection import Presence
from schedy_broker_setup.serving import ServedBroker
from schedy_cli.printing.text import local_time
from schedy_store.schema.engine import Store
from schedy_store.service.home import Served, served
from schedy_store.service.lost_messages import Loss, last_loss

_RECENT = timedelta(days=7)
_NAME = "store and broker"


def home_checks(settings: Settings) -> Iterator[Check]:
    """Compare the broker of the settings with the one through which the store is served; both must be reachable.

    No check if the store has not been served yet.
    """
    try:
        store = Store.open(settings.effective_store_url, read_only=True)
        try:
            with store.transaction() as transaction:
                found = served(transaction)
                loss = last_loss(transaction, within=_RECENT)
        finally:
            store.close()
        if loss is not None:
            yield _lost(loss)
        if found.broker_id is not None:
            state = ServedBroker(settings.broker_url, settings.broker_tls).mark_state(found.broker_id)
            yield _check(found, state.presence)
            instance = instance_check(found)
            if instance is not None:
                yield instance
    except SchedyError as error:
        yield Check(name=_NAME, status=Status.UNKNOWN, detail=str(error))


def _lost(loss: Loss) -> Check:
    return Check(
        name="lost reports",
        status=Status.WARNING,
        detail=f"Noticed at {local_time(loss.at)}: {loss.detail}",
        remedy=f"This warning ends {_RECENT.days} days after that. `schedy log` keeps the event.",
    )


def _check(found: Served, presence: Presence) -> Check:
    if presence is Presence.THERE:
        return Check(name=_NAME, status=Status.OK, detail="The store is served through this broker.")
    if presence is Presence.HIDDEN:
        return Check(
            name=_NAME,
            status=Status.UNKNOWN,
            detail="This user may not see whether the store is served through this broker.",
            remedy="Run `schedy doctor` with the broker URL of the service user or of an administrator.",
        )
    when = "is" if found.is_active else "was last"
    return Check(
        name=_NAME,
        status=Status.FAILED if found.is_active else Status.WARNING,
        detail=f"The store {when} served through another RabbitMQ, by the instance {found.instance}.",
        remedy="Give all services of a store the same SCHEDY_BROKER_URL. Reports and pushes that wait at the other"
        " broker are stored once the store is served there again.",
    )


def instance_check(found: Served) -> Check | None:
    """Check the instance that was active last; None if it has stopped in good order, or there was none."""
    name, instance = "instance", found.instance
    if found.silent_seconds is None:
        return None
    if found.is_active:
        return Check(name=name, status=Status.OK, detail=f"{instance} is active.")
    runs_here = _runs_here(instance)
    why = "It runs, but" if runs_here else "It was killed, or"
    elsewhere = " If it is gone, start another: `schedy serve` (or `schedy up`)."
    return Check(
        name=name,
        status=Status.FAILED,
        detail=f"{instance} was last seen {found.silent_seconds:.0f} s ago and has not stopped. {why} cannot write to"
        " the store, or reach the broker.",
        remedy=f"Its log says what it waits for.{'' if runs_here else elsewhere}",
    )


def _runs_here(instance: str) -> bool:
    """Return whether an instance, HOST:PID, is a process of this machine."""
    host, _, pid = instance.rpartition(":")
    return host == socket.gethostname() and Path(f"/proc/{pid}").exists()
