"""The check of `schedy doctor` that no policy of the broker's owner harms Schedy's queues."""

import os

from schedy.settings import RUN_FILE, Settings
from schedy_broker_setup.connecting import addresses_of
from schedy_broker_setup.doctor.check import Check, Status
from schedy_broker_setup.doctor.policies import check_policies, management_url_beside
from schedy_cli.up.run_record import RunRecord


def policies(settings: Settings, *, management_url: str | None = None) -> list[Check]:
    """Check the policies, at `management_url` or SCHEDY_MANAGEMENT_URL, or where the management API usually is."""
    url = management_url or os.environ.get("SCHEDY_MANAGEMENT_URL") or management_url_of_private_node(settings)
    url = url or management_url_beside(settings.broker_url)
    if url is None:
        return [
            Check(
                name="policies",
                status=Status.UNKNOWN,
                detail="Not checked: the management API of a broker with TLS must be named.",
                remedy="Set SCHEDY_MANAGEMENT_URL to https://USER:PASSWORD@HOST:15671.",
            )
        ]
    return check_policies(url, vhost=addresses_of(settings.broker_url)[0].vhost, tls=settings.broker_tls)


def management_url_of_private_node(settings: Settings) -> str | None:
    """Return the management URL of `schedy up` if its node is the broker, by whatever user and name of this machine."""
    record = RunRecord.load(settings.data_dir / RUN_FILE)
    if record is None:
        return None
    places = {_place(url) for url in (record.broker_url, *record.worker_urls)}
    return record.management_url if _place(settings.broker_url) in places else None


def _place(broker_url: str) -> tuple[str, int]:
    address = addresses_of(broker_url)[0]
    return "127.0.0.1" if address.host == "localhost" else address.host, address.port
