"""Handling batches: decode, apply, commit, send out what follows, acknowledge."""

from schedy.errors import StoreError
from schedy_store.service.after_commit import AfterCommit
from schedy_store.service.applying import Applier, BatchError
from schedy_store.service.broker.link import Link
from schedy_store.service.decoding import DecodedMessage, decode_deliveries
from schedy_store.service.inbox import Arrivals


class BatchHandler:
    """Handles what arrives over a link. Lives in the service thread."""

    def __init__(self, link: Link, applier: Applier, after_commit: AfterCommit) -> None:
        self._link = link
        self._applier = applier
        self._after_commit = after_commit

    def handle(self, arrivals: Arrivals) -> None:
        """Handle a batch. It is acknowledged last: whatever fails before, the broker delivers it again.

        Raises BrokerError, StoreError or DeposedError; what was delivered must then go back.
        """
        messages = decode_deliveries(arrivals.deliveries, bury=self._link.bury)
        try:
            self._apply(arrivals, messages)
        except BatchError:
            self._apply_one_by_one(arrivals, messages)
        if arrivals.deliveries:
            self._link.ack(arrivals.deliveries[-1])

    def _apply(self, arrivals: Arrivals, messages: list[DecodedMessage]) -> None:
        """Apply a batch in one transaction, commit, and send out what follows. Raises BatchError."""
        batch = self._applier.apply_batch(arrivals, messages)
        self._after_commit.send_out(batch)

    def _apply_one_by_one(self, arrivals: Arrivals, messages: list[DecodedMessage]) -> None:
        """Find the message at fault of a failed batch and bury it; the others are stored."""
        try:
            self._apply(arrivals, [])
        except BatchError as error:
            raise StoreError(f"The results service cannot go on, and no message is at fault: {error}") from error
        for decoded in messages:
            try:
                self._apply(Arrivals(), [decoded])
            except BatchError as error:
                self._link.bury(decoded.alone(), str(error))
