"""The check of `schedy doctor` that no policy of the broker's owner harms Schedy's queues."""

import os

from schedy.settings import RUN_FILE, Settings
from schedy_broker_setup.connecting import addresses_of
from schedy_broker_setup.doctor.check import Check, Status
from schedy_broker_setup.doctor.policies import check_policies, management_url_beside
from schedy_cli.up.run_record import RunRecord


def policies(settings: Settings, *, management_url: str | None = None) -> list[Check]:
    """Check the policies, at `management_url` or SCHEDY_MANAGEMENT_URL, or where the management API usually is."""
    url = management_url or os.environ.get("SCHEDY_MANAGEMENT_URL") or _of_private_node(settings)
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


def _of_private_node(settings: Settings) -> str | None:
    record = RunRecord.load(settings.data_dir / RUN_FILE)
    return record.management_url if record is not None and record.broker_url == settings.broker_url else None
