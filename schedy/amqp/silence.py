"""How long the channels of a connection have waited for confirms while none has come."""

import time
from collections.abc import Collection

from schedy.amqp.channel import Channel

_SILENT_SECONDS = 30.0
_SLOWEST_BYTES_PER_SECOND = 65_536
"""A network of at least this speed has time to carry what waits."""


def silent_seconds(channels: Collection[Channel], *, free_since: float) -> float | None:
    """Return the time since the last confirm on any of these channels if it has become too long, else None.

    It counts while a message waits, and from `free_since` on (`time.monotonic`), the end of the last alarm.
    """
    since = [channel.waits_since for channel in channels]
    oldest = min((each for each in since if each is not None), default=None)
    if oldest is None:
        return None
    heard = max(oldest, free_since, *(channel.confirmed_at for channel in channels))
    silent = time.monotonic() - heard
    if silent <= _SILENT_SECONDS:
        return None
    size = sum(len(outgoing.body) for channel in channels for outgoing in channel.unconfirmed())
    return silent if silent > _SILENT_SECONDS + size / _SLOWEST_BYTES_PER_SECOND else None
