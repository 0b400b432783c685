"""The check of `schedy doctor` that store and broker belong together."""

from collections.abc import Iterator

from schedy.errors import SchedyError
from schedy.settings import Settings
from schedy_broker_setup.doctor.check import Check, Status
from schedy_broker_setup.inspection import Presence
from schedy_broker_setup.serving import ServedBroker
from schedy_store.schema.engine import Store
from schedy_store.service.home import Served, served

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
        finally:
            store.close()
        if found.broker_id is not None:
            state = ServedBroker(settings.broker_url, settings.broker_tls).mark_state(found.broker_id)
            yield _check(found, state.presence)
    except SchedyError as error:
        yield Check(name=_NAME, status=Status.UNKNOWN, detail=str(error))


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
